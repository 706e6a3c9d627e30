"""The exposition: what is in it, in a form that others can read, and what is counted in the control process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.scrape import parse, value

from fastnlb.board import LISTENER_CELLS, SERVER_CELLS, Board, Health, Reason
from fastnlb.control.figures import Figures
from fastnlb.control.metrics import Metrics
from fastnlb.control.prometheus import labelled
from fastnlb.model import Cells, Certificate, Listener, Offer, Server, ServerGroup, Snapshot
from fastnlb.stats import generate
from fastnlb.stats.blocks import LISTENER_NUMBERS, SERVER_NUMBERS, stride
from fastnlb.stats.families import BY_NAME, FAMILIES, LABEL_VALUES, full_name
from fastnlb.stats.labels import BUCKETS
from fastnlb.stats.ledger import Ledger
from fastnlb.stats.page import Page
from fastnlb.stats.table import NUMBERS

WEB = Listener("web.example-1", "TCPSSL", "::", 443, "g", certificate="www", additional_certificates=("api",))
SNAPSHOT = Snapshot(
    (WEB, Listener("plain", "TCP", "::", 80, "g", enabled=False)),
    (ServerGroup("g", (Server("10.0.0.1", 80), Server("::1", 80, 0), Server("unix:/run/s", 0))),),
    (Certificate("www", b"", b"", not_before=5, not_after=2_000_000_000), Certificate("api", b"", b"", not_after=7)),
)
CELLS = Cells(
    {("g", "10.0.0.1", 80): 0, ("g", "::1", 80): 1, ("g", "unix:/run/s", 0): -1}, {"web.example-1": 0, "plain": 1}
)
OFFER = Offer(SNAPSHOT, cells=CELLS)


class Stage:
    """Shared memory without the processes that share it."""

    def __init__(self, offer: Offer) -> None:
        self.board = Board.create(1)
        self.ledger = Ledger.create(2, LISTENER_CELLS, SERVER_CELLS)
        self.page = Page.create(2, self.ledger)
        self.figures = Figures(clock=lambda: 1000.0)
        self.state: dict[str, Any] = {}
        self.offer = offer
        for name, cell in offer.cells.listeners.items():
            self.ledger.enter_listener(cell, name)
        for (group, address, port), cell in offer.cells.servers.items():
            if cell >= 0:
                self.ledger.enter_server(cell, group, address, port)
        self.metrics = Metrics(
            self.page,
            self.board,
            offer=lambda: self.offer,
            state=lambda: self.state,
            figures=self.figures,
        )

    def value(self, name: str, **labels: str) -> float:
        assert name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") in BY_NAME
        return value(parse(self.metrics.exposition()), name, **labels)

    def names(self) -> set[str]:
        return {family.name for family in text_string_to_metric_families(self.metrics.exposition().decode())}

    def close(self) -> None:
        self.page.close()
        self.board.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(OFFER)
    yield made
    made.close()


# What is there


def test_what_nothing_has_happened_to_is_there_with_zeros(stage: Stage) -> None:
    samples = parse(stage.metrics.exposition())
    zero = {
        "fastnlb_listener_connections_accepted_total",
        "fastnlb_listener_connections",
        "fastnlb_listener_bytes_total",
        "fastnlb_listener_connections_closed_total",
        "fastnlb_listener_handshake_failures_total",
        "fastnlb_server_connects_total",
        "fastnlb_server_connect_failures_total",
    }
    assert {name for (name, _), each in samples.items() if each == 0} >= zero
    listeners = {dict(has)["listener"] for (name, has) in samples if name.endswith("handshake_failures_total")}
    assert listeners == {"web.example-1"}, "a plain listener has no handshakes"


def test_numbers_of_a_listener_and_a_server(stage: Stage) -> None:
    stage.ledger.listeners.add(0, 0, {"accepted": 5, "dropped_cps": 1, "bytes_up": 10, "closed_idle": 2})
    stage.ledger.listeners.add(1, 0, {"accepted": 2, "handshakes_tlsv13_resumed": 4, "sent_unknown_ca": 3})
    stage.ledger.servers.add(1, 1, {"connects": 6, "failed_timed_out": 2})
    web = {"listener": "web.example-1"}
    assert stage.value("listener_connections_accepted_total", **web) == 7
    assert stage.value("listener_connections_dropped_total", reason="cps", **web) == 1
    assert stage.value("listener_connections_closed_total", reason="idle", **web) == 2
    assert stage.value("listener_bytes_total", direction="up", **web) == 10
    assert stage.value("listener_handshakes_total", version="TLSv1.3", resumed="yes", **web) == 4
    assert stage.value("listener_tls_alerts_total", direction="sent", alert="unknown_ca", **web) == 3
    server = {"server_group": "g", "server": "[::1]:80"}
    assert stage.value("server_connects_total", **server) == 6
    assert stage.value("server_connect_failures_total", reason="timed_out", **server) == 2
    assert stage.value("server_weight", **server) == 0


def test_a_histogram_is_cumulative(stage: Stage) -> None:
    stage.ledger.listeners.add(
        0,
        0,
        {"connect_bucket_0": 1, "connect_bucket_2": 3, f"connect_bucket_{len(BUCKETS)}": 2, "connect_sum": 5 * 10**8},
    )
    found = [
        stage.value("listener_connect_seconds_bucket", le=le) for le in ("0.0001", "0.00025", "0.0005", "25", "+Inf")
    ]
    assert found == [1, 1, 4, 4, 6]
    assert stage.value("listener_connect_seconds_count") == 6
    assert stage.value("listener_connect_seconds_sum") == 0.5


def test_health(stage: Stage) -> None:
    stage.board.set_health(0, Health.HEALTHY)
    stage.board.set_health(1, Health.UNHEALTHY, Reason.CONNECT_TIMEOUT)
    first, second = {"server": "10.0.0.1:80"}, {"server": "[::1]:80"}
    assert (stage.value("server_up", **first), stage.value("server_up", **second)) == (1, 0)
    assert stage.value("server_health_info", state="healthy", reason="", **first) == 1
    assert stage.value("server_health_info", state="unhealthy", reason="connect_timeout", **second) == 1


def test_certificates_with_who_serves_them(stage: Stage) -> None:
    assert stage.value("certificate_not_after_timestamp_seconds", certificate="www") == 2_000_000_000
    assert stage.value("certificate_not_before_timestamp_seconds", certificate="www") == 5
    for name in ("www", "api"):
        assert stage.value("certificate_use_info", certificate=name, listener="web.example-1") == 1


def test_workers_by_their_row(stage: Stage) -> None:
    stage.page.put(0, {"turns": 3, "connections": 2, "generation": 4})
    stage.page.put(1, {"turns": 5})
    assert [stage.value("worker_turns_total", worker=row) for row in "01"] == [3, 5]
    assert stage.value("worker_connections") == 2
    assert stage.value("worker_generation", worker="0") == 4


def test_what_the_control_process_counts(stage: Stage) -> None:
    stage.state = {"generation": 9, "workers": [], "draining": []}
    stage.figures.reloaded(True)
    stage.figures.reloaded(False)
    for verdict in (Reason.NONE, Reason.NONE, Reason.CONNECT_FAILED):
        stage.figures.probed(verdict)
    stage.figures.answered("/api/v1/listeners/{name}", "GET", 200)
    assert stage.value("config_generation") == 9
    assert stage.value("config_reloads_total", result="applied") == 1
    assert stage.value("config_reloads_total", result="refused") == 1
    assert stage.value("config_last_reload_success") == 0
    assert stage.value("config_last_reload_timestamp_seconds", result="refused") == 1000
    assert stage.value("health_check_probes_total", result="none") == 2
    assert stage.value("health_check_probes_total", result="connect_failed") == 1
    assert stage.value("api_requests_total", route="/api/v1/listeners/{name}", method="GET", status="200") == 1
    assert stage.value("control_start_time_seconds") == 1000


def test_a_change_of_the_configuration_shows_at_once(stage: Stage) -> None:
    assert stage.value("certificate_use_info", certificate="api") == 1
    stage.offer = Offer(Snapshot((Listener("new", "TCP", "::", 80, "g"),), SNAPSHOT.server_groups), cells=CELLS)
    samples = parse(stage.metrics.exposition())
    assert {dict(has)["listener"] for _, has in samples if "listener" in dict(has)} == {"new"}


def test_processes_that_are_gone_are_left_out(stage: Stage) -> None:
    stage.state = {"pid": 2**22 + 1, "workers": [{"pid": 2**22 + 2}]}
    roles = {
        dict(has)["role"] for name, has in parse(stage.metrics.exposition()) if name.startswith("fastnlb_process_")
    }
    assert roles == {"control"}


# The form


def test_nothing_is_exposed_that_is_not_in_the_table(stage: Stage) -> None:
    for cells, section in ((LISTENER_NUMBERS, stage.ledger.listeners), (SERVER_NUMBERS, stage.ledger.servers)):
        section.add(0, 0, {cell.name: 1 for cell in cells})
    stage.page.put(0, {number.name: 1 for number in NUMBERS})
    stage.figures.answered("/", "GET", 200)
    stage.figures.reloaded(True)
    families = {family.name.removesuffix("_total"): family for family in FAMILIES}
    for found in text_string_to_metric_families(stage.metrics.exposition().decode()):
        family = families.pop(found.name.removeprefix("fastnlb_"))
        assert (found.type, found.documentation) == (family.kind, family.help)
        for sample in found.samples:
            assert set(sample.labels) - {"le"} == set(family.labels), found.name
    assert not families, "in the table, and never exposed"


def test_promtool_finds_nothing_wrong(stage: Stage) -> None:
    for cells, section in ((LISTENER_NUMBERS, stage.ledger.listeners), (SERVER_NUMBERS, stage.ledger.servers)):
        section.add(0, 0, {cell.name: 1 for cell in cells})
    stage.page.put(0, {number.name: 1 for number in NUMBERS})
    stage.figures.answered("/", "GET", 200)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=stage.metrics.exposition(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "ümlaut", "a.b-c", "{}", "a,b=c"])
def test_values_of_labels_survive_whatever_is_in_them(name: str) -> None:
    text = f"# TYPE x gauge\nx{labelled(('listener', 'other'), (name, name))} 1\n"
    ((_, labels),) = parse(text.encode())
    assert dict(labels) == {"listener": name, "other": name}


def test_every_value_of_a_label_is_documented_where_its_list_is_fixed() -> None:
    text = generate.METRICS_MD.read_text()
    for label, metrics, values in LABEL_VALUES:
        assert values, (label, metrics)
        assert all(f"`{each}`" in text for each in values)


def test_the_cores_labels_are_up_to_date() -> None:
    assert generate.LABELS_PXD.read_text() == generate.labels_pxd()


def test_every_metric_is_documented() -> None:
    text = generate.METRICS_MD.read_text()
    assert [full_name(family) for family in FAMILIES if f"| `{full_name(family)}` |" not in text] == []


def test_names_are_unique_and_blocks_whole_cache_lines() -> None:
    assert len(BY_NAME) == len(FAMILIES)
    for cells in (LISTENER_NUMBERS, SERVER_NUMBERS):
        assert len({cell.name for cell in cells}) == len(cells)
        assert stride(cells) % 64 == 0
        assert stride(cells) >= 8 * len(cells)


def test_the_core_finds_the_end_of_a_connection_by_the_order_of_the_rows() -> None:
    of_rows = [number.name for number in NUMBERS if number.name.startswith("closed_")]
    of_blocks = [cell.name for cell in LISTENER_NUMBERS if cell.name.startswith("closed_")]
    assert of_rows == of_blocks
    for names, all_of_them in (
        (of_rows, [each.name for each in NUMBERS]),
        (of_blocks, [c.name for c in LISTENER_NUMBERS]),
    ):
        first = all_of_them.index(names[0])
        assert all_of_them[first : first + len(names)] == names


# Many of them


@pytest.mark.slow
def test_two_thousand_listeners_and_ten_thousand_servers_are_told_in_order() -> None:
    listeners = tuple(Listener(f"l{number}", "TCP", "::", number + 1, "g0") for number in range(2000))
    groups = tuple(
        ServerGroup(f"g{group}", tuple(Server(f"10.0.{group}.{number}", 80) for number in range(100)))
        for group in range(100)
    )
    keys = [(group.name, each.address, each.port) for group in groups for each in group.servers]
    cells = Cells(
        {key: cell for cell, key in enumerate(keys)}, {each.name: cell for cell, each in enumerate(listeners)}
    )
    stage = Stage(Offer(Snapshot(listeners, groups), cells=cells))
    for cell in range(2000):
        stage.ledger.listeners.add(cell % 2, cell, {"accepted": cell})
    for cell in range(10_000):
        stage.ledger.servers.add(cell % 2, cell, {"connects": cell})
    samples = parse(stage.metrics.exposition())
    assert samples["fastnlb_listener_connections_accepted_total", frozenset({("listener", "l1234")})] == 1234
    last = {("server_group", "g99"), ("server", "10.0.99.99:80")}
    assert samples["fastnlb_server_connects_total", frozenset(last)] == 9999
    stage.close()


def test_the_clock_of_the_figures_is_the_systems() -> None:
    before = time.time()
    assert before <= Figures().started <= time.time()
