"""The back-off of a crash loop."""

from __future__ import annotations

from fastnlb.master.respawn import RespawnPolicy


def test_a_worker_that_served_well_is_replaced_at_once() -> None:
    policy = RespawnPolicy()
    assert policy.delay(0, lived=3600.0, served=3599.0) == 0.0
    assert policy.delay(0, lived=1.5, served=1.4) == 0.0


def test_early_deaths_double_the_wait_up_to_a_bound() -> None:
    policy = RespawnPolicy()
    delays = [policy.delay(0, lived=0.1, served=0.05) for _ in range(8)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    for _ in range(5000):
        assert policy.delay(0, lived=0.1, served=None) == 1.0


def test_one_that_never_served_died_early_however_long_it_lived() -> None:
    policy = RespawnPolicy()
    assert policy.delay(0, lived=60.0, served=None) == 0.1
    assert policy.delay(0, lived=60.0, served=None) == 0.2


def test_a_short_service_does_not_clear_the_record() -> None:
    policy = RespawnPolicy()
    policy.delay(0, lived=0.1, served=None)
    policy.delay(0, lived=0.1, served=None)
    assert policy.delay(0, lived=6.0, served=5.0) == 0.0
    assert policy.delay(0, lived=0.1, served=None) == 0.4


def test_ten_seconds_of_service_do() -> None:
    policy = RespawnPolicy()
    policy.delay(0, lived=0.1, served=None)
    policy.delay(0, lived=0.1, served=None)
    assert policy.early_deaths(0) == 2
    assert policy.delay(0, lived=10.5, served=10.0) == 0.0
    assert policy.early_deaths(0) == 0
    assert policy.delay(0, lived=0.1, served=None) == 0.1


def test_seats_do_not_share_a_record() -> None:
    policy = RespawnPolicy()
    policy.delay(0, lived=0.1, served=None)
    assert policy.delay(1, lived=0.1, served=None) == 0.1
