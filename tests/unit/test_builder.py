"""Builds beside the event loop: in order, each told of, and none that a rollback has made pointless is served."""

from __future__ import annotations

import select
import threading

import pytest

from fastnlb.channel import encode_offer, payload_descriptor
from fastnlb.model import Front, Listener, Offer, Server, ServerGroup, Snapshot
from fastnlb.tls.contexts import ContextError
from fastnlb.worker import builder
from fastnlb.worker.builder import Builder
from fastnlb.worker.contexts import Contexts

GROUP = ServerGroup("g", (Server("127.0.0.1", 1),))


def payload(material, certificate="ecdsa"):
    listener = Listener("l", "TCPSSL", "127.0.0.1", 1, "g", certificate=certificate)
    snapshot = Snapshot((listener,), (GROUP,), (material.ecdsa, material.rsa))
    return payload_descriptor(encode_offer(Offer(snapshot, {"l": Front(-1, 1)})))


def rings(one, seconds=10.0):
    return bool(select.select([one], [], [], seconds)[0])


def test_the_end_of_a_build_is_told_until_it_is_heard(material):
    one = Builder(Contexts())
    built = one.build(1, payload(material))
    assert rings(one)
    assert [name for name, _ in built.result(0).listeners] == ["l"]
    one.hush()
    assert not rings(one, 0)
    one.hush()


def test_what_fails_is_told_too(material):
    one = Builder(Contexts())
    broken = Snapshot(
        (Listener("l", "TCPSSL", "127.0.0.1", 1, "g", certificate="c"),),
        (GROUP,),
        (type(material.ecdsa)("c", material.ecdsa.chain_pem, material.rsa.key_pem),),
    )
    built = one.build(1, payload_descriptor(encode_offer(Offer(broken, {"l": Front(-1, 1)}))))
    assert rings(one)
    with pytest.raises(ContextError):
        built.result(0)


def test_builds_wait_for_one_another_and_contexts_go_with_their_generation(material, monkeypatch):
    contexts, go = Contexts(), threading.Event()
    compile_offer = builder.compile_offer
    monkeypatch.setattr(builder, "compile_offer", lambda *both: (go.wait(10), compile_offer(*both))[1])
    one = Builder(contexts)
    first = one.build(1, payload(material))
    one.keep_only({1})
    second = one.build(2, payload(material, "rsa"))
    one.keep_only({2})  # the first has been rolled back
    assert not rings(one, 0)
    go.set()
    second.result(10)
    assert first.done()
    third = one.build(3, payload(material, "rsa"))
    third.result(10)
    assert [inner.leaves for made in contexts._inner.values() for inner in made.values()] == [
        second.result().holds[1].leaves
    ]
    assert third.result().holds[1] is second.result().holds[1]
