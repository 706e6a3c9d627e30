"""At its descriptor limit the daemon keeps whom it has, says so once, and lets the others in when there is room."""

from support import servers
from support.daemon import quick
from support.procs import descriptors, wait_for
from support.tls_client import TlsClient

LIMIT = 256
LATE = 60
BATCH = 20


def talk(client, text):
    client.send(text)
    assert client.receive_exactly(len(text)) == text


def complaints(daemon):
    return [line for line in daemon.program.lines() if "has reached its limit of" in line]


def fill(daemon):
    """As many established clients as there is room for, and the first that has to wait."""
    before = daemon.total()
    clients = []
    while True:
        client = TlsClient(daemon.address)
        count = before["accepted"] + len(clients)
        wait_for(
            lambda count=count: daemon.total()["accepted"] > count or pauses(daemon) > before["accept_pauses"],
            "the client to be accepted, or to have to wait",
        )
        if pauses(daemon) > before["accept_pauses"]:
            return clients, client
        clients.append(client.handshake())


def pauses(daemon):
    return daemon.total()["accept_pauses"]


def test_more_clients_than_descriptors(tmp_path, material):
    material.write(tmp_path)
    with (
        servers.running("echo", tmp_path) as server,
        quick(tmp_path, [server], workers=1, descriptor_limit=LIMIT) as daemon,
    ):
        early, first = fill(daemon)
        wait_for(lambda: complaints(daemon), "the daemon to say so")
        held = daemon.total()["connections"]
        assert held == len(early)
        late = [first, *(TlsClient(daemon.address) for _ in range(LATE))]
        # Whoever is in is served, also through many turns at the limit.
        for number in range(20):
            for client in early[::9]:
                talk(client, b"still here %d" % number)
        assert daemon.total()["connections"] == held
        assert len(descriptors(daemon.workers[0])) <= LIMIT

        gone = LATE + BATCH
        for client in early[:gone]:
            client.end_stream()
            client.close()
        for client in late:
            client.handshake()
            talk(client, b"at last")
        for client in early[gone:]:
            talk(client, b"never left")

        for client in early + late:
            client.close()
        daemon.assert_nothing_held()
        numbers = daemon.total()
        closed = sum(value for name, value in numbers.items() if name.startswith("closed_"))
        assert numbers["accepted"] == closed == len(early + late)
        assert numbers["connects_failed"] == numbers["accept_errors"] == numbers["handshakes_evicted"] == 0
        assert len(complaints(daemon)) == 1, daemon.program.output()
        assert "raise the limit" in complaints(daemon)[0]


def test_clients_that_come_and_go_at_the_limit(tmp_path, material):
    """Many times over the edge in both directions: nobody is lost, and the log does not fill."""
    material.write(tmp_path)
    with (
        servers.running("echo", tmp_path) as server,
        quick(tmp_path, [server], workers=1, descriptor_limit=LIMIT) as daemon,
    ):
        served = 0
        for _ in range(4):
            clients, first = fill(daemon)
            late = [first, *(TlsClient(daemon.address) for _ in range(LATE - 1))]
            for start in range(0, LATE, BATCH):
                # As many as leave are let in, and do not keep the worker waiting.
                for client in clients[start : start + BATCH]:
                    client.close()
                for client in late[start : start + BATCH]:
                    talk(client.handshake(), b"hello")
                for client in late[start : start + BATCH]:
                    client.close()
            for client in clients[LATE:]:
                talk(client, b"never left")
            for client in clients + late:
                client.close()
            served += len(clients) + LATE
            daemon.wait_numbers(connections=0)
        daemon.assert_nothing_held()
        assert daemon.total()["handshakes"] >= served
        assert daemon.total()["accept_pauses"] >= 2
        assert len(complaints(daemon)) == 1, daemon.program.output()
