"""A worker whose connections have all the descriptors is told of a change: it refuses, and loses nobody."""

from __future__ import annotations

import itertools
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.procs import descriptors, free_port, wait_for
from support.site import HEAD, Site, connection, serves

from fastnlb.worker import boot

REFUSED = ".* ERROR master: the change was refused, .*leave it no file descriptor"
LOGGED = HEAD + "logging: {access_log: access.log}\n"


@contextmanager
def room_for(pid: int, count: int) -> Iterator[None]:
    """That process can open `count` descriptors more, and no others."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = descriptors(pid).keys()
    free = (number for number in itertools.count() if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(itertools.islice(free, count, None)), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 5], ids=["for nothing", "for one", "for some"])
def test_a_change_that_does_not_fit_is_refused_and_connections_stay(site: Site, room: int) -> None:
    kept, added = free_port(), [free_port() for _ in range(20)]
    site.write(kept)
    site.start()
    workers = site.workers
    with connection(kept) as exchange:
        site.write(kept, *added)
        with room_for(workers[0], room):
            site.reload()
            site.running.wait_line(rf"{REFUSED}.*LimitNOFILE=.*")
            assert exchange(b"still here") == b"still here"
            assert not serves(added[0])
        site.reload_done()
        assert serves(added[-1])
        assert exchange(b"and here") == b"and here"
    assert site.workers == workers
    wait_for(lambda: len({len(descriptors(pid)) for pid in workers}) == 1, "as many open files as the other has")


def test_a_configuration_alone_that_does_not_fit_is_refused(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    workers = site.workers
    site.write(port, head=HEAD + "ca_certificates: []\n", server=("127.0.0.1", free_port()))
    with connection(port) as exchange, room_for(workers[1], 0):
        site.reload()
        site.running.wait_line(f"{REFUSED}.*")
        assert exchange(b"still here") == b"still here"
    assert serves(port), "the servers of old"
    assert site.workers == workers


def test_a_log_that_cannot_be_opened_anew_stays(site: Site) -> None:
    port = free_port()
    site.write(port, head=LOGGED)
    site.start()
    workers, log = site.workers, site.folder / "access.log"
    log.rename(site.folder / "old.log")
    with room_for(workers[0], 0):
        site.running.signal(signal.SIGUSR1)
        site.running.wait_line(".* worker 0: .*its access log stays the one it has")
    assert site.workers == workers
    for _ in range(20):
        assert serves(port)
    site.running.signal(signal.SIGUSR1)
    wait_for(lambda: site.count("opened anew") == 2, "the second time")
    wait_for(lambda: all(serves(port) for _ in range(20)) and log.stat().st_size > 0, "lines in the new one")


def test_connections_are_counted_right_when_there_is_nothing_left_to_count_with() -> None:
    class Engine:
        descriptor_limit = -1

        def debug_counts(self) -> dict[str, int]:
            return {"descriptors": 20}

    engine = Engine()
    with room_for(os.getpid(), 0):
        boot.fit_descriptor_limit(engine)  # type: ignore[arg-type]
    assert engine.descriptor_limit == 20 - boot.RESERVED_DESCRIPTORS
