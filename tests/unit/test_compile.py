"""From a Snapshot to what the Engine takes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnlb.model import Listener, Server, ServerGroup, Snapshot
from fastnlb.tls.contexts import ContextError
from fastnlb.worker.compile import Contexts, compile_snapshot, smooth_sequence


def servers(*weights):
    return [Server("127.0.0.1", 1000 + i, weight) for i, weight in enumerate(weights)]


def snapshot(material, **listener):
    fields = {
        "name": "l",
        "protocol": "TCPSSL",
        "address": "127.0.0.1",
        "port": 1,
        "server_group": "g",
        "certificate": "ecdsa",
        **listener,
    }
    return Snapshot((Listener(**fields),), (ServerGroup("g", tuple(servers(1))),), (material.ecdsa, material.rsa))


def test_weights_are_smoothed_as_published():
    """The example of nginx's smooth weighted round robin: a a b a c a a."""
    assert smooth_sequence(servers(5, 1, 1)) == [0, 0, 1, 0, 2, 0, 0]


def test_equal_weights_are_one_round():
    assert smooth_sequence(servers(100, 100, 100)) == [0, 1, 2]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_each_server_gets_its_share_and_no_long_runs(weights):
    sequence = smooth_sequence(servers(*weights))
    counts = Counter(sequence)
    assert all(counts[i] * sum(weights) == weight * len(sequence) for i, weight in enumerate(weights))
    for start in range(len(sequence)):
        for i, weight in enumerate(weights):
            seen = sequence[: start + 1].count(i)
            assert abs(seen - (start + 1) * weight / sum(weights)) < len(weights)


def test_a_server_of_weight_0_is_left_out():
    group = ServerGroup("g", tuple(servers(0, 7, 0)))
    listener = Listener("l", "TCP", "127.0.0.1", 1, "g")
    compiled = compile_snapshot(Snapshot((listener,), (group,)), Contexts())
    assert compiled.groups == [([("127.0.0.1", 1001)], [0])]


def test_seconds_become_milliseconds_and_disabled_listeners_nothing(material):
    compiled = compile_snapshot(
        snapshot(material, idle_timeout=60, handshake_timeout=3, connect_timeout=2), Contexts()
    )
    ((name, (group, context, handshake, connect, idle)),) = compiled.listeners
    assert (name, group, handshake, connect, idle) == ("l", 0, 3000, 2000, 60_000)
    assert context != 0
    assert compile_snapshot(snapshot(material, enabled=False), Contexts()).listeners == []


def test_an_unchanged_certificate_keeps_its_context(material):
    contexts = Contexts()
    first = compile_snapshot(snapshot(material), contexts)
    second = compile_snapshot(snapshot(material, idle_timeout=5), contexts)
    changed = compile_snapshot(snapshot(material, certificate="rsa"), contexts)
    assert first.contexts == second.contexts
    assert changed.contexts != first.contexts


def test_contexts_go_with_the_last_generation_that_uses_them(material):
    contexts = Contexts()
    contexts.hold(1, compile_snapshot(snapshot(material), contexts).contexts)
    contexts.hold(2, compile_snapshot(snapshot(material, certificate="rsa"), contexts).contexts)
    contexts.keep_only({2})
    assert len(contexts._built) == 1


def test_a_key_the_library_refuses_is_named(material):
    broken = type(material.ecdsa)("odd", material.ecdsa.chain_pem, material.rsa.key_pem)
    with pytest.raises(ContextError, match="certificate odd: "):
        compile_snapshot(
            Snapshot((Listener("l", "TCPSSL", "127.0.0.1", 1, "g", "odd"),), (ServerGroup("g", ()),), (broken,)),
            Contexts(),
        )
