"""A crowd of open connections: what each of them does is counted, and those that are lost are counted too."""

import threading

import pytest
from support.load import client_context, interrupted
from support.procs import PATIENCE, alive, free_port, wait_for

load = pytest.importorskip("bench._load", reason="the load generator is not built (FASTNLB_BENCH=1)")

MIB = 1 << 20


@pytest.fixture(params=["plain", "TLSv1.2", "TLSv1.3"])
def target(request, proxy):
    if request.param == "plain":
        return load.Target("127.0.0.1", proxy("--protocol", "TCP").port)
    return load.Target("127.0.0.1", proxy().port, client_context(request.param))


@pytest.fixture
def origin_target(origin_port):
    return load.Target("127.0.0.1", origin_port)


def test_transfers_are_counted_in_kib(target):
    with load.Crowd(target, 9) as crowd:
        for each in (crowd.download, crowd.upload, crowd.download):
            outcome = each(MIB + 512)
            assert (outcome.units, outcome.failed) == (9 * (MIB + 512) // 1024, 0)
            assert outcome.bytes == 9 * (MIB + 512)
            assert len(outcome.latencies_us) == 9


def test_round_trips_of_some_and_of_all(target):
    with load.Crowd(target, 12) as crowd:
        for size, active in ((128, 1), (1024, None), (3 * MIB, 4)):
            outcome = crowd.echo(size=size, seconds=0.1, active=active)
            assert outcome.units >= (active or 12) and outcome.failed == 0
            assert outcome.bytes == outcome.units * size


def test_a_pause_after_each_round_trip_bounds_their_number(origin_target):
    with load.Crowd(origin_target, 10) as crowd:
        outcome = crowd.echo(size=128, seconds=0.2, think_us=50_000)
        assert 10 <= outcome.units <= 10 * 4 and outcome.failed == 0
        assert crowd.echo(size=128, seconds=1, active=3).units > 3


def test_more_connections_than_are_made_at_a_time(origin_target):
    with load.Crowd(origin_target, 700) as crowd:
        assert crowd.download(1024).units == 700


def test_a_crowd_that_echoes_does_nothing_else(origin_target):
    with load.Crowd(origin_target, 2) as crowd:
        crowd.echo(size=1, seconds=0.01)
        with pytest.raises(RuntimeError, match="open another one"):
            crowd.download(MIB)


def test_nobody_there_is_no_crowd():
    with pytest.raises(RuntimeError, match="served 0 of 3 connections"):
        load.Crowd(load.Target("127.0.0.1", free_port()), 3)


@pytest.mark.parametrize(
    "task",
    [
        lambda crowd: crowd.echo(size=1024, seconds=60),
        lambda crowd: crowd.echo(size=1024, seconds=60, think_us=1000),
        lambda crowd: crowd.download(1 << 40),
        lambda crowd: crowd.upload(1 << 40),
    ],
    ids=["echo", "think", "download", "upload"],
)
def test_a_server_that_dies_ends_what_it_owes(origin_program, task):
    program, port = origin_program
    outcomes = []
    with load.Crowd(load.Target("127.0.0.1", port), 20) as crowd:
        thread = threading.Thread(target=lambda: outcomes.append(task(crowd)))
        thread.start()
        program.kill()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        # Those that were lost stay lost.
        assert outcomes[0].failed == 20
        assert crowd.echo(size=1, seconds=0.1).failed == 20


def test_a_proxy_that_dies_is_noticed_by_idle_connections_too(proxy):
    daemon = proxy()
    with load.Crowd(load.Target("127.0.0.1", daemon.port, client_context()), 30) as crowd:
        worker = daemon.workers[0]
        daemon.program.kill()
        wait_for(lambda: not alive(worker), "the end of the worker")
        assert crowd.echo(size=100, seconds=0.1, active=5).failed >= 5


def test_an_interrupted_crowd_is_closed(origin_target):
    with load.Crowd(origin_target, 2) as crowd:
        with interrupted():
            crowd.echo(size=10, seconds=60)
        with pytest.raises(ValueError, match="closed"):
            crowd.echo(size=10, seconds=60)


def test_wishes_that_make_no_sense_are_refused(origin_target):
    with pytest.raises(ValueError):
        load.Crowd(origin_target, 0)
    with load.Crowd(origin_target, 2) as crowd:
        for wrong in ({"size": 0, "seconds": 1}, {"size": 1, "seconds": 0}, {"size": 1, "seconds": 1, "active": 3}):
            with pytest.raises(ValueError):
                crowd.echo(**wrong)
        with pytest.raises(ValueError, match="1024"):
            crowd.upload(1)
    with pytest.raises(ValueError, match="closed"):
        crowd.download(MIB)
