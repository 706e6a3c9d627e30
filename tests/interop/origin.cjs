// An HTTP/2 origin without TLS, by Node's own implementation.  It writes its port and serves until it is ended.
"use strict";

const http2 = require("node:http2");

const server = http2.createServer((request, response) => {
  response.end(`HTTP/${request.httpVersion} ${request.url}`);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
