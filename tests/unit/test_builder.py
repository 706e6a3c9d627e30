"""Builds beside the event loop: in order, each told of, and none that a rollback has made pointless is served."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

import pytest
from support.procs import wait_for

from fastnlb.channel import channel_pair, encode_offer, payload_descriptor
from fastnlb.model import Front, Listener, Offer, Server, ServerGroup, Snapshot
from fastnlb.tls.contexts import ContextError
from fastnlb.worker import builder
from fastnlb.worker.builder import Builder
from fastnlb.worker.contexts import Contexts
from fastnlb.worker.run import Worker

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
    assert [keys for keys, _ in built.result(0).listeners] == [[("l", 1)]]
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


class Engine:
    """Takes note of what it is asked to prepare."""

    descriptor_limit = 0

    def __init__(self):
        self.prepared, self.rollbacks = [], 0

    def prepare(self, generation, listeners, groups, sockets):
        self.prepared.append((generation, sockets))

    def rollback(self):
        self.rollbacks += 1


class Seat:
    row = 0

    def __init__(self, channel):
        self.channel = channel


def test_a_worker_answers_only_for_what_was_not_rolled_back_meanwhile(material, monkeypatch, tmp_path):
    """prepare 1, rollback, prepare 2, all while the thread is still at the first of them."""
    go = threading.Event()
    compile_offer = builder.compile_offer
    monkeypatch.setattr(builder, "compile_offer", lambda *both: (go.wait(10), compile_offer(*both))[1])
    master, ours = channel_pair()
    engine = Engine()
    worker = Worker(Seat(ours), engine, None, ())
    for number, frames in enumerate((["sockets", "prepare", "rollback"], ["sockets", "prepare"]), 1):
        for kind in frames:
            if kind == "sockets":
                file = tmp_path / str(number)
                file.touch()
                with file.open() as held:
                    master.send(kind, [held.fileno()], generation=number, ports={"l": [443]})
            elif kind == "prepare":
                offer = payload(material)
                master.send(kind, [offer], generation=number)
                os.close(offer)
            else:
                master.send(kind, generation=number)
    worker._receive()
    worker._take_built()
    assert master.receive() is None
    assert worker._coming() == {2}
    go.set()
    wait_for(lambda: (worker._take_built(), engine.prepared)[-1], "the second build")
    ((generation, sockets),) = engine.prepared
    assert (generation, engine.rollbacks) == (2, 1)
    assert Path(f"/proc/self/fd/{sockets['l', 443]}").readlink() == tmp_path / "2"
    frame = master.receive()
    assert frame is not None and (frame.kind, frame.fields) == ("prepared", {"generation": 2})
    assert master.receive() is None
    os.close(sockets["l", 443])
    master.close()
    ours.close()
