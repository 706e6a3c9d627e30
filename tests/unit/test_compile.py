"""From a Snapshot to what the Engine takes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnlb._core.smooth import smooth_round
from fastnlb.model import Cells, Certificate, Front, Listener, Offer, Server, ServerGroup, Snapshot
from fastnlb.tls.binding import context_address
from fastnlb.tls.contexts import ContextError, make_fronts
from fastnlb.worker.compile import compile_offer
from fastnlb.worker.contexts import Contexts, Inner
from fastnlb.worker.orders import Orders, smooth_sequence

NO_FRONT = Front(-1, 1)


def servers(*weights):
    return [Server("127.0.0.1", 1000 + i, weight) for i, weight in enumerate(weights)]


def offer(material, front=NO_FRONT, **listener):
    fields = {
        "name": "l",
        "protocol": "TCPSSL",
        "address": "127.0.0.1",
        "port": 1,
        "server_group": "g",
        "certificate": "ecdsa",
        **listener,
    }
    listeners, groups = (Listener(**fields),), (ServerGroup("g", tuple(servers(1))),)
    return Offer(Snapshot(listeners, groups, (material.ecdsa, material.rsa)), {"l": front})


def inner(compiled):
    (only,) = (thing for thing in compiled.holds if isinstance(thing, Inner))
    return only


def test_weights_are_smoothed_as_published():
    """The example of nginx's smooth weighted round robin: a a b a c a a."""
    assert smooth_sequence(servers(5, 1, 1)) == [0, 0, 1, 0, 2, 0, 0]


def test_equal_weights_are_one_round():
    assert smooth_sequence(servers(100, 100, 100)) == [0, 1, 2]


def as_published(weights):
    """Each pick raises every server by its weight, takes the first of the highest and lowers it by the sum."""
    current = [0] * len(weights)
    for _ in range(sum(weights)):
        current = [have + weight for have, weight in zip(current, weights, strict=True)]
        best = current.index(max(current))
        current[best] -= sum(weights)
        yield best


@given(st.lists(st.one_of(st.integers(1, 5), st.integers(1, 100)), max_size=12))
def test_the_order_is_the_published_one_whoever_shares_a_weight(weights):
    assert smooth_round(weights) == list(as_published(weights))


def test_ten_thousand_servers_are_ordered_too():
    weights = [1 + i % 100 for i in range(10_000)]
    assert Counter(smooth_round(weights)) == dict(enumerate(weights))


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_each_server_gets_its_share_and_no_long_runs(weights):
    sequence = smooth_sequence(servers(*weights))
    counts = Counter(sequence)
    assert all(counts[i] * sum(weights) == weight * len(sequence) for i, weight in enumerate(weights))
    for start in range(len(sequence)):
        for i, weight in enumerate(weights):
            seen = sequence[: start + 1].count(i)
            assert abs(seen - (start + 1) * weight / sum(weights)) < len(weights)


def test_a_server_of_weight_0_comes_last_and_not_into_the_order():
    group = ServerGroup("g", tuple(servers(0, 7, 0)))
    listener = Listener("l", "TCP", "127.0.0.1", 1, "g")
    compiled = compile_offer(
        Offer(Snapshot((listener,), (group,)), {}, Cells({("g", "127.0.0.1", 1001): 7}, {"l": 3})), Contexts()
    )
    assert compiled.groups == [
        (0, [("127.0.0.1", 1001, 7, 7), ("127.0.0.1", 1000, 0, -1), ("127.0.0.1", 1002, 0, -1)], [0], -1, False)
    ]
    assert compiled.listeners == [([("l", 1)], (0, None, 10_000, 5_000, 900_000, 3, 0, 0, b"l", None))]


def test_seconds_become_milliseconds_and_disabled_listeners_nothing(material):
    times = {"idle_timeout": 60, "handshake_timeout": 3, "connect_timeout": 2}
    ((keys, (group, tls, handshake, connect, idle, *_)),) = compile_offer(
        offer(material, **times), Contexts()
    ).listeners
    assert (keys, group, handshake, connect, idle) == ([("l", 1)], 0, 3000, 2000, 60_000)
    assert tls is not None
    assert compile_offer(offer(material, enabled=False), Contexts()).listeners == []


def test_an_unchanged_certificate_keeps_its_context(material):
    contexts = Contexts()
    first = compile_offer(offer(material), contexts)
    second = compile_offer(offer(material, idle_timeout=5, alpn_policy="HTTP2Only"), contexts)
    changed = compile_offer(offer(material, certificate="rsa"), contexts)
    assert inner(first) is inner(second)
    assert inner(changed) is not inner(first)


def test_two_listeners_share_the_context_of_a_certificate_but_not_their_front(material):
    contexts = Contexts()
    one = offer(material).snapshot.listeners[0]
    two = Listener("m", "TCPSSL", "127.0.0.1", 2, "g", "ecdsa")
    both = Offer(
        Snapshot((one, two), (ServerGroup("g", ()),), (material.ecdsa,)), {"l": Front(-1, 1), "m": Front(-1, 2)}
    )
    first, second = (fields[1] for _, fields in compile_offer(both, contexts).listeners)
    assert first[7] == second[7]
    assert first[0] != second[0]


def test_contexts_go_with_the_last_generation_that_uses_them(material):
    contexts = Contexts()
    contexts.hold(1, compile_offer(offer(material), contexts).holds)
    contexts.hold(2, compile_offer(offer(material, certificate="rsa"), contexts).holds)
    kept = inner(compile_offer(offer(material, certificate="rsa"), contexts))
    contexts.keep_only({2})
    assert [each for made in contexts._inner.values() for each in made.values()] == [kept]


def test_a_front_is_configured_once_for_each_taking_of_it(material):
    pool = make_fronts(1)
    contexts = Contexts(pool)
    for epoch in (1, 1, 2):
        compiled = compile_offer(offer(material, front=Front(0, epoch)), contexts)
        assert compiled.listeners[0][1][1][0] == context_address(pool[0])
        assert contexts._configured.get(0) != 2, "compiling alone must leave the front as it is"
        contexts.configure(compiled.fronts)
        assert contexts._configured == {0: epoch}


def test_what_is_served_is_told_in_numbers(material):
    assert compile_offer(offer(material), Contexts()).numbers == {
        "certificates": 1,
        "certificates_first_expiry": material.ecdsa.not_after,
        "certificates_last_start": material.ecdsa.not_before,
    }


def test_a_key_the_library_refuses_is_named(material):
    broken = Certificate("odd", material.ecdsa.chain_pem, material.rsa.key_pem)
    listener = Listener("l", "TCPSSL", "127.0.0.1", 1, "g", "odd")
    with pytest.raises(ContextError, match="certificate odd: "):
        compile_offer(
            Offer(Snapshot((listener,), (ServerGroup("g", ()),), (broken,)), {"l": Front(-1, 1)}), Contexts()
        )


def compile_group(group, orders=None):
    listener = Listener("l", "TCP", "127.0.0.1", 1, group.name)
    return compile_offer(Offer(Snapshot((listener,), (group,))), Contexts(), orders).groups[0]


@pytest.mark.parametrize(("scheduler", "number"), [("rr", 0), ("wrr", 0), ("wlc", 1), ("sch", 2), ("tch", 3)])
def test_a_group_has_its_scheduler_and_its_drain_timeout(scheduler, number):
    fields = compile_group(ServerGroup("g", tuple(servers(1, 2)), scheduler, 7))
    assert (fields[0], fields[3]) == (number, 7000)
    assert compile_group(ServerGroup("g", (), scheduler))[1:] == ([], b"" if number > 1 else [], -1, False)


def test_an_unchanged_group_keeps_its_order_and_a_forgotten_one_does_not():
    orders = Orders()
    group = ServerGroup("g", tuple(servers(1, 2)), "sch")
    first = compile_group(group, orders)[2]
    renamed = ServerGroup("h", (*servers(1, 2), Server("127.0.0.9", 1, 0)), "tch", 5)
    assert compile_group(renamed, orders)[2] is first
    compile_group(ServerGroup("g", tuple(servers(1))), orders)
    again = compile_group(group, orders)[2]
    assert again == first
    assert again is not first


def test_a_range_of_ports_has_the_sockets_that_the_offer_says():
    listener = Listener("l", "TCP", "127.0.0.1", 2000, "g", last_port=2999)
    group = ServerGroup("g", (Server("127.0.0.1", 0),), any_port=True)
    snapshot = Snapshot((listener,), (group,))
    one = compile_offer(Offer(snapshot, ports={"l": (2001,)}), Contexts())
    each = compile_offer(Offer(snapshot, ports={"l": (2000, 2999)}), Contexts())
    assert [keys for keys, _ in one.listeners] == [[("l", 2001)]]
    assert [keys for keys, _ in each.listeners] == [[("l", 2000), ("l", 2999)]]
    assert one.groups[0][1] == [("127.0.0.1", 0, 100, -1)]
