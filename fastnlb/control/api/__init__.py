"""The REST API: what clients of the admin socket and port are answered.

server   HTTP/1.1 on the sockets (uvicorn)      gate     who may come in, and with how much
app      the routes, as one application         errors   refusals as problem details (RFC 9457)
"""
