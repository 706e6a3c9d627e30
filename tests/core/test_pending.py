"""Who of the pending clients is served next, on a clock of the test."""

import random

from fastnlb._core._testing_pending import LATE, PendingProbe


def probe(clients):
    pending = PendingProbe()
    return pending, [pending.come() for _ in range(clients)]


def test_a_silent_client_is_never_served():
    pending, clients = probe(3)
    assert pending.serve() is None
    pending.speak(clients[1])
    assert pending.serve() == clients[1]
    assert pending.serve() is None
    assert pending.counts == (3, 0)


def test_the_first_to_speak_is_served_first():
    pending, clients = probe(10)
    for client in clients[::-1]:
        pending.speak(client)
        pending.pass_time(LATE // 10)
    assert [pending.serve() for _ in clients] == clients[::-1]


def test_a_worker_that_is_far_behind_serves_the_last_and_then_the_others():
    pending, clients = probe(10)
    for client in clients[:5]:
        pending.speak(client)
    pending.pass_time(LATE + 1)
    for client in clients[5:]:
        pending.speak(client)
    assert [pending.serve() for _ in clients] == clients[::-1]


def test_one_that_was_begun_does_not_wait_behind_those_that_were_not():
    pending, clients = probe(20)
    pending.speak(clients[0])
    assert pending.serve() == clients[0]
    for client in clients[1:]:
        pending.speak(client)
    pending.speak(clients[0])
    assert clients[0] in (pending.serve(), pending.serve())


def test_clients_that_speak_a_byte_at_a_time_keep_no_new_one_out():
    """Ten that have always something more to say leave every other step to the others."""
    pending, clients = probe(20)
    dripping, fresh = clients[:10], clients[10:]
    for client in dripping:
        pending.speak(client)
        pending.serve()
    for client in fresh:
        pending.speak(client)
    served = []
    for _ in range(20):
        for client in dripping:
            pending.speak(client)
        served.append(pending.serve())
    assert set(fresh) <= set(served)


def test_the_first_that_is_awaited_has_been_for_longest():
    pending, clients = probe(3)
    assert pending.first_awaited == clients[0]
    pending.speak(clients[0])
    assert pending.first_awaited == clients[1]
    pending.serve()
    assert pending.first_awaited == clients[1]
    pending.leave(clients[1])
    assert pending.first_awaited == clients[2]


def test_whatever_happens_each_is_counted_once():
    chance = random.Random(7)  # noqa: S311 - to be repeatable is all that is asked of it
    pending = PendingProbe()
    there = set()
    for _ in range(5000):
        act = chance.choice(["come", "speak", "speak", "serve", "leave", "wait"])
        if act == "come":
            there.add(pending.come())
        elif act == "serve":
            pending.serve()
        elif act == "wait":
            pending.pass_time(chance.randrange(LATE))
        elif there:
            client = chance.choice(sorted(there))
            pending.speak(client) if act == "speak" else pending.leave(client)
            there -= {client} if act == "leave" else set()
        every, ours = pending.counts
        assert every == len(there)
        assert 0 <= ours <= every
