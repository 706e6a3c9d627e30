"""The control channel: frames, descriptors, back-pressure, and what a broken peer cannot do."""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
from collections.abc import Iterator

import pytest
from support.procs import descriptors

from fastnlb import channel as channel_module
from fastnlb.channel import (
    MAX_FDS,
    MAX_MESSAGE,
    Channel,
    ChannelClosed,
    ChannelError,
    Frame,
    channel_pair,
    decode_snapshot,
    encode_snapshot,
    payload_descriptor,
    read_payload,
)
from fastnlb.model import Certificate, Listener, Snapshot

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Both ends; the test must close what it receives, and leaves no descriptor open."""
    before = descriptors(os.getpid())
    ends = channel_pair()
    yield ends
    for end in ends:
        end.close()
    assert descriptors(os.getpid()) == before, "a descriptor leaked"


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, Channel]]:
    """A peer that sends what it likes."""
    before = descriptors(os.getpid())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    end = Channel(theirs)
    yield ours, end
    ours.close()
    end.close()
    assert descriptors(os.getpid()) == before, "a descriptor leaked"


def receive(end: Channel) -> Frame:
    frame = end.receive()
    assert frame is not None
    return frame


def test_frames_arrive_whole_and_in_order(pair: Pair) -> None:
    master, worker = pair
    master.send("commit", generation=7)
    master.send("drain", seconds=2.5)
    worker.send("notice", level="info", message="grüezi")
    assert receive(worker) == Frame("commit", {"generation": 7})
    assert receive(worker) == Frame("drain", {"seconds": 2.5})
    assert worker.receive() is None
    assert receive(master).fields == {"level": "info", "message": "grüezi"}


def test_the_frames_of_control_travel_as_the_others(pair: Pair) -> None:
    master, control = pair
    fd = payload_descriptor(b"snapshot")
    control.send("propose", [fd], serial=3)
    master.send("current", [fd], generation=1)
    os.close(fd)
    master.send("reload", whole=True)
    master.send("outcome", serial=3, accepted=False, message="port taken")
    for end, kind in ((master, "propose"), (control, "current")):
        frame = receive(end)
        assert frame.kind == kind
        assert read_payload(frame.fds[0]) == b"snapshot"
        frame.close()
    assert receive(control) == Frame("reload", {"whole": True})
    assert receive(control).fields == {"serial": 3, "accepted": False, "message": "port taken"}


def test_descriptors_arrive_in_order_and_close_on_exec(pair: Pair) -> None:
    master, worker = pair
    pipes = [os.pipe() for _ in range(3)]
    master.send("sockets", [read for read, _ in pipes], generation=1, ports={"a": [1], "b": [2, 3]})
    frame = receive(worker)
    for number, (read, write) in enumerate(pipes):
        os.write(write, bytes([number]))
        assert os.read(frame.fds[number], 1) == bytes([number])
        assert fcntl.fcntl(frame.fds[number], fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        os.close(read)  # still ours: send takes nothing away
        os.close(write)
    frame.close()


def test_the_largest_set_of_descriptors_fits_and_one_more_is_refused(pair: Pair) -> None:
    master, worker = pair
    master.send("sockets", [0] * MAX_FDS, generation=1, ports={f"{n:0255}": [65535] for n in range(MAX_FDS)})
    frame = receive(worker)
    assert len(set(frame.fds)) == MAX_FDS
    frame.close()
    with pytest.raises(ValueError, match="201 descriptors"):
        master.send("sockets", [0] * (MAX_FDS + 1), generation=1, ports={"n": list(range(MAX_FDS + 1))})


@pytest.mark.parametrize(
    ("kind", "fields", "fds"),
    [
        ("dance", {}, []),
        ("commit", {}, []),
        ("commit", {"generation": "1"}, []),
        ("commit", {"generation": True}, []),
        ("commit", {"generation": 1, "more": 2}, []),
        ("commit", {"generation": 1}, [0]),
        ("prepare", {"generation": 1}, []),
        ("sockets", {"generation": 1, "ports": {"a": [1, 2]}}, [0]),
        ("sockets", {"generation": 1, "ports": {"a": "1"}}, [0]),
        ("sockets", {"generation": 1, "ports": {"a": ["1"]}}, [0]),
        ("propose", {"serial": 1}, []),
        ("propose", {"serial": True}, [0]),
        ("current", {"generation": 1}, []),
        ("reload", {}, []),
        ("reload", {"whole": 1}, []),
        ("outcome", {"serial": 1, "accepted": 1, "message": ""}, []),
        ("outcome", {"serial": 1, "accepted": None, "message": ""}, []),
        ("outcome", {"serial": 1, "accepted": True}, []),
        ("sockets", {"generation": 1, "ports": {"n" * 200_000: [1]}}, [0]),
    ],
)
def test_a_frame_off_the_table_is_not_sent(pair: Pair, kind: str, fields: dict[str, object], fds: list[int]) -> None:
    master, worker = pair
    with pytest.raises(ValueError, match=f"frame {kind}: "):
        master.send(kind, fds, **fields)
    assert worker.receive() is None


@pytest.mark.parametrize(
    "packet",
    [
        b"\x00\xff",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"kind": ["stop"]}',
        b'{"generation": 1}',
        b'{"kind": "dance"}',
        b'{"kind": "stop"}',
        b'{"kind": "propose", "serial": 1}',
        b'{"kind": "outcome", "serial": 1, "accepted": 0, "message": ""}',
        b'{"kind": "prepare", "generation": null}',
        b'{"kind": "sockets", "generation": 1, "ports": {"a": [1]}}',
        b'{"kind": "stop"' + b" " * 200_000 + b"}",
    ],
)
def test_nonsense_is_an_error_and_its_descriptors_are_closed(
    raw: tuple[socket.socket, Channel], packet: bytes
) -> None:
    peer, end = raw
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    socket.send_fds(peer, [packet], [0, 0])
    with pytest.raises(ChannelError):
        end.receive()
    assert end.receive() is None


def test_more_descriptors_than_announced_are_an_error_and_closed(raw: tuple[socket.socket, Channel]) -> None:
    peer, end = raw
    header = json.dumps({"kind": "sockets", "generation": 1, "ports": {"n": list(range(250))}}).encode()
    peer.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))])
    with pytest.raises(ChannelError, match="cut off"):
        end.receive()


def test_what_the_kernel_does_not_take_waits_and_keeps_its_order(pair: Pair) -> None:
    master, worker = pair
    sent = 0
    while not master.pending:
        master.send("refused", generation=sent, message="x" * 1000)
        sent += 1
    read, write = os.pipe()
    os.write(write, b"!")
    master.send("prepare", [read], generation=-1)
    os.close(read)  # the outbox has its own duplicate
    os.close(write)
    master.flush()
    assert master.pending, "a full socket took more"

    generations = []
    while (frame := worker.receive()) is not None or master.pending:
        master.flush()
        if frame is not None:
            generations.append(frame.fields["generation"])
            if frame.fds:
                assert os.read(frame.fds[0], 1) == b"!"
            frame.close()
    assert generations == [*range(sent), -1]


def test_what_waits_is_dropped_with_its_descriptors_at_close(pair: Pair) -> None:
    master, _ = pair
    while not master.pending:
        master.send("refused", generation=1, message="x" * 10_000)
    master.send("prepare", [0], generation=1)
    master.close()
    master.close()
    assert not master.pending
    assert master.fileno() == -1


def test_the_end_of_the_peer_is_seen_by_reading_and_by_sending(pair: Pair) -> None:
    master, worker = pair
    worker.close()
    with pytest.raises(ChannelClosed):
        master.receive()
    with pytest.raises(ChannelClosed):
        master.send("stop")


def test_the_last_words_of_a_peer_are_heard_although_it_left_frames_unread(pair: Pair) -> None:
    master, worker = pair
    master.send("commit", generation=1)
    worker.send("refused", generation=1, message="no")
    worker.close()
    assert receive(master).kind == "refused"
    with pytest.raises(ChannelClosed):
        master.receive()


def test_a_long_message_is_cut_rather_than_lost(pair: Pair) -> None:
    master, worker = pair
    worker.send("refused", generation=1, message="é" * 1_000_000)
    assert receive(master).fields["message"] == "é" * MAX_MESSAGE


def test_a_payload_is_sealed_and_every_reader_starts_at_its_beginning(pair: Pair) -> None:
    master, worker = pair
    data = os.urandom(3_000_000)
    fd = payload_descriptor(data)
    for _ in range(2):
        master.send("prepare", [fd], generation=1)
        frame = receive(worker)
        assert read_payload(frame.fds[0]) == data
        with pytest.raises(PermissionError):
            os.pwrite(frame.fds[0], b"x", 0)
        frame.close()
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


def test_a_snapshot_survives_the_journey() -> None:
    snapshot = Snapshot(
        listeners=(Listener("l", "TCP", "::1", 1, "g", tags=(("a", "b"),)),),
        certificates=(Certificate("c", b"chain", b"key"),),
    )
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot


def test_a_payload_that_is_no_snapshot_is_refused() -> None:
    with pytest.raises(ChannelError):
        decode_snapshot(channel_module.pickle.dumps({"listeners": ()}))
