"""What the program tells the TLS library by a configuration file, and that somebody else's comes first."""

from support import servers
from support.daemon import quick
from support.tls_client import CHUNK, TlsClient


def tickets(daemon):
    """How many a client is given: each comes in a record of its own, and all at once."""
    client = TlsClient(daemon.address).handshake()
    data = client.socket.recv(CHUNK)
    client.close()
    count = 0
    while data:
        count += 1
        data = data[5 + int.from_bytes(data[3:5], "big") :]
    return count


def test_a_client_gets_one_session_ticket(tmp_path, material, monkeypatch):
    monkeypatch.delenv("OPENSSL_CONF")
    material.write(tmp_path)
    with servers.running("echo", tmp_path) as server, quick(tmp_path, [server], workers=1) as daemon:
        assert tickets(daemon) == 1


def test_a_configuration_of_the_users_own_is_read_instead(tmp_path, material, monkeypatch):
    own = tmp_path / "own.cnf"
    own.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nNumTickets = 3\n")
    monkeypatch.setenv("OPENSSL_CONF", str(own))
    material.write(tmp_path)
    with servers.running("echo", tmp_path) as server, quick(tmp_path, [server], workers=1) as daemon:
        assert tickets(daemon) == 3
