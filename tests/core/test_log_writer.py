"""The thread that writes the access log: no line is lost while the sink takes them; what it does not take is dropped
and counted.
"""

import errno
import fcntl
import os
import select
import socket
from pathlib import Path

import pytest
from fastnlb._core._testing_log import LINE_MOST, WriterProbe
from support.procs import wait_for

F_SETPIPE_SZ = 1031
RING = 65536


def line(number, length=100):
    return (b"%d " % number).ljust(length - 1, b"x") + b"\n"


def numbers(data):
    assert data == b"" or data.endswith(b"\n")
    return [int(each.split()[0]) for each in data.splitlines()]


def open_log(path, flags=0):
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | flags, 0o600)


@pytest.fixture
def writer():
    made = WriterProbe(RING)
    yield made
    made.end()


def patient_put(writer, number, length=100):
    """Puts a line; a full ring is waited for, and counted."""
    while not writer.put(line(number, length)):
        writer.turn()


def test_a_line_is_written_soon(writer, tmp_path):
    writer.send_to(open_log(tmp_path / "log"))
    writer.put(line(1))
    writer.turn()
    wait_for(lambda: writer.lines == 1, "the line")
    assert numbers((tmp_path / "log").read_bytes()) == [1]


def test_lines_come_in_order_and_whole_whatever_their_lengths(writer, tmp_path):
    writer.send_to(open_log(tmp_path / "log"))
    for number in range(20_000):
        patient_put(writer, number, 10 + number % (LINE_MOST - 10))
        writer.turn()
    wait_for(lambda: writer.lines == 20_000, "all lines")
    assert numbers((tmp_path / "log").read_bytes()) == list(range(20_000))


def test_what_is_there_at_the_end_is_written(tmp_path):
    for count in range(50):
        writer = WriterProbe(RING)
        path = tmp_path / str(count)
        writer.send_to(open_log(path))
        for number in range(count):
            writer.put(line(number))
        writer.end()
        assert numbers(path.read_bytes()) == list(range(count))
        assert (writer.lines, writer.dropped) == (count, 0)


def test_lines_before_a_change_of_file_are_in_the_old_one(writer, tmp_path):
    total = 0
    for count in range(60):
        writer.send_to(open_log(tmp_path / str(count)))
        for number in range(count):
            writer.put(line(number))
        total += count
        writer.turn()
        wait_for(lambda: writer.lines == total, "the lines")  # noqa: B023
    for count in range(60):
        assert numbers((tmp_path / str(count)).read_bytes()) == list(range(count))


def test_the_last_lines_are_written_when_it_is_switched_off(writer, tmp_path):
    writer.send_to(open_log(tmp_path / "log"))
    writer.put(line(0))
    writer.turn()
    wait_for(lambda: writer.lines == 1, "the writer to have its file")
    for number in range(1, 100):
        writer.put(line(number))
    writer.send_to(-1)
    wait_for(lambda: writer.lines == 100, "the lines")
    assert numbers((tmp_path / "log").read_bytes()) == list(range(100))


def test_a_descriptor_that_nobody_fetched_is_closed(writer, tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(100):
        writer.send_to(open_log(tmp_path / str(number)))
    wait_for(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 1, "the others to be closed")


def test_a_full_disk_drops_what_it_does_not_take(writer, tmp_path):
    writer.send_to(open_log("/dev/full"))
    for number in range(10):
        writer.put(line(number))
    writer.turn()
    wait_for(lambda: writer.dropped == 10, "the lines to be dropped")
    assert writer.error == errno.ENOSPC
    writer.send_to(open_log(tmp_path / "log"))
    writer.put(line(10))
    writer.turn()
    wait_for(lambda: writer.lines == 1, "the next line")
    assert numbers((tmp_path / "log").read_bytes()) == [10]


@pytest.mark.parametrize("later", [0, 1, 2], ids=["at once", "and one later", "and two later"])
def test_a_line_that_was_cut_short_does_not_spoil_the_next(writer, tmp_path, later):
    """The limit of a file's size stands for a disk that becomes full within a line, and stays so for later ones."""
    import resource  # noqa: PLC0415
    import signal  # noqa: PLC0415

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250, hard))
    try:
        writer.send_to(open_log(tmp_path / "log"))
        for numbers_put in (range(5 - later), *([number] for number in range(5 - later, 5))):
            for number in numbers_put:
                writer.put(line(number))
            writer.turn()
            wait_for(lambda until=number + 1: writer.lines + writer.dropped == until, "the lines")
        assert (writer.lines, writer.dropped) == (2, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    for number in range(5, 8):
        writer.put(line(number))
    writer.turn()
    wait_for(lambda: writer.lines == 5, "the next lines")
    written = (tmp_path / "log").read_bytes().splitlines()
    assert [each.split()[0] for each in written] == [b"0", b"1", b"2", b"5", b"6", b"7"]
    assert [len(each) for each in written] == [99, 99, 50, 99, 99, 99]


@pytest.fixture
def pipe():
    """Of one page, which a line alone takes up: to poll it is full then."""
    source, sink = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(sink, False)
    fcntl.fcntl(sink, F_SETPIPE_SZ, 4096)
    yield source, sink
    os.close(source)


def fill(writer, sink):
    writer.send_to(sink)
    writer.put(line(0))
    writer.turn()
    wait_for(lambda: writer.lines == 1, "the pipe to be full")


def read_lines(source, count):
    got = b""
    while got.count(b"\n") < count:
        assert select.select([source], [], [], 15)[0], numbers(got)
        got += os.read(source, 65536)
    return numbers(got)


def test_a_pipe_that_nobody_reads_fills_the_ring_and_then_lines_are_dropped(writer, pipe):
    source, sink = pipe
    writer.send_to(sink)
    taken = []
    for number in range(3000):
        if writer.put(line(number)):
            taken.append(number)
        writer.turn()
    assert writer.dropped == 3000 - len(taken)
    assert writer.dropped > 0
    assert read_lines(source, len(taken)) == taken
    wait_for(lambda: writer.lines == len(taken), "the count")
    writer.put(line(3000))
    writer.turn()
    assert read_lines(source, 1) == [3000]


def test_a_pipe_that_nobody_reads_does_not_hold_up_a_change(writer, pipe, tmp_path):
    _, sink = pipe
    fill(writer, sink)
    for number in range(1, 200):
        writer.put(line(number))
    writer.send_to(open_log(tmp_path / "log"))
    wait_for(lambda: writer.lines == 200, "the other lines")
    assert numbers((tmp_path / "log").read_bytes()) == list(range(1, 200))


def test_nor_the_end(pipe):
    writer = WriterProbe(RING)
    _, sink = pipe
    fill(writer, sink)
    for number in range(1, 200):
        writer.put(line(number))
    writer.end()
    assert (writer.lines, writer.dropped) == (1, 199)


def test_a_reader_that_has_gone_is_an_error_and_no_signal(writer):
    source, sink = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.close(source)
    writer.send_to(sink)
    writer.put(line(1))
    writer.turn()
    wait_for(lambda: writer.dropped == 1, "the line to be dropped")
    assert writer.error == errno.EPIPE


def test_lines_of_two_writers_do_not_mix_in_a_pipe():
    source, sink = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    writers = [WriterProbe(1 << 20), WriterProbe(1 << 20)]
    for each in writers:
        each.send_to(os.dup(sink))
    for number in range(1000):
        for each in writers:
            assert each.put(line(number, 300 + 7 * (number % 90)))
            each.turn()
    assert sorted(read_lines(source, 2000)) == sorted([*range(1000), *range(1000)])
    for each in writers:
        each.end()
    os.close(sink)
    os.close(source)


def test_a_socket_that_nobody_reads_does_not_hold_up_the_end():
    ours, theirs = socket.socketpair()
    with ours:
        writer = WriterProbe(1 << 20)
        writer.send_to(theirs.detach())
        for number in range(10_000):
            writer.put(line(number))
        writer.end()
        assert writer.lines > 0
        assert writer.dropped > 0
        assert writer.lines + writer.dropped == 10_000
