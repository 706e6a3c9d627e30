"""The data path runs without Python: a thousand TLS connections, and the event loop never came back to it."""

import socket
import ssl

from support import servers
from support.daemon import quick

CONNECTIONS, AT_A_TIME = 1000, 50
TEXT = bytes(range(256)) * 64


def test_no_connection_returns_the_loop_to_python(tmp_path, material):
    material.write(tmp_path)
    contexts = [material.client_context(version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]

    def connect(number):
        sock = socket.create_connection(daemon.address, timeout=20)
        return contexts[number % 2].wrap_socket(sock, server_hostname="localhost")

    with servers.running("echo", tmp_path) as server, quick(tmp_path, [server], workers=1) as daemon:
        before = daemon.total()["python_returns"]
        for _ in range(CONNECTIONS // AT_A_TIME):
            clients = [connect(number) for number in range(AT_A_TIME)]
            for client in clients:
                client.sendall(TEXT)
            for client in clients:
                left = len(TEXT)
                while left:
                    left -= len(client.recv(left))
                client.close()
        daemon.assert_nothing_held()
        numbers = daemon.total()
        assert numbers["handshakes"] == CONNECTIONS
        assert numbers["bytes_up"] == numbers["bytes_down"] == CONNECTIONS * len(TEXT)
        assert numbers["python_returns"] == before
