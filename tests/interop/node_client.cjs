// A TLS client by Node.  It visits a server several times in a row, each time with the newest session it was given; on
// every visit a line goes out and comes back.  The wishes are a JSON object, the only argument; what it saw is a JSON
// list on standard output, one object for each visit.
"use strict";

const fs = require("node:fs");
const tls = require("node:tls");

const wishes = JSON.parse(process.argv[2]);
const read = (path) => (path ? fs.readFileSync(path) : undefined);

function visit(session) {
  return new Promise((resolve) => {
    const found = { error: "", staple: 0 };
    let newest = session;
    let heard = "";
    const socket = tls.connect({
      host: "127.0.0.1",
      port: wishes.port,
      servername: wishes.name,
      minVersion: wishes.version,
      maxVersion: wishes.version,
      ALPNProtocols: wishes.alpn,
      ca: read(wishes.trust),
      cert: read(wishes.certificate),
      key: read(wishes.key),
      requestOCSP: Boolean(wishes.status),
      session,
      timeout: 15000,
    });
    socket.on("session", (each) => (newest = each));
    socket.on("OCSPResponse", (response) => (found.staple = response ? response.length : 0));
    socket.on("timeout", () => socket.destroy(new Error("timeout")));
    socket.on("error", (error) => (found.error = found.error || `${error.code} ${error.message}`));
    socket.on("secureConnect", () => {
      found.version = socket.getProtocol();
      found.cipher = socket.getCipher().name;
      found.group = socket.getEphemeralKeyInfo().name || "";
      found.protocol = socket.alpnProtocol || "";
      found.resumed = socket.isSessionReused();
      found.peer = (socket.getPeerCertificate().subject || {}).CN || "";
      socket.write("hello");
    });
    socket.on("data", (data) => {
      heard += data;
      if (heard === "hello") socket.end();
    });
    socket.on("close", () => {
      if (heard !== "hello" && !found.error) found.error = "ended without an answer";
      resolve([found, newest]);
    });
  });
}

async function main() {
  const all = [];
  let session;
  for (let number = 0; number < (wishes.visits || 1); number += 1) {
    const [found, newest] = await visit(session);
    session = newest;
    all.push(found);
  }
  console.log(JSON.stringify(all));
}

main();
