"""The metrics of a running daemon, as Prometheus scrapes them."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from fastnlb.control.metrics import CONTENT_TYPE
from support.api import Api
from support.lineage import Lineage
from support.procs import wait_for

OF_A_PROCESS = tuple(
    f"fastnlb_{each}" for each in ("process_", "config_reloads", "api_requests", "health_check_probes")
)
Series = tuple[str, frozenset[tuple[str, str]]]


def parse(text: bytes) -> dict[Series, float]:
    """Every sample of an exposition, by an implementation that is not ours."""
    families = text_string_to_metric_families(text.decode())
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a series is there twice"
    return found


def value(samples: Mapping[Series, float], name: str, **labels: str) -> float:
    """The sum of the series that have these labels."""
    wanted = set(labels.items())
    return sum(each for (called, has), each in samples.items() if called == f"fastnlb_{name}" and wanted <= has)


def counters(samples: Mapping[Series, float]) -> dict[Series, float]:
    """Those that never go down; what is counted by, or of, one process ends with it."""
    ends = ("_total", "_bucket", "_sum", "_count")
    return {
        series: each
        for series, each in samples.items()
        if series[0].endswith(ends) and not series[0].startswith(OF_A_PROCESS)
    }


class Scraper:
    """Of a daemon and its successors, which answer at one socket."""

    def __init__(self, line: Lineage) -> None:
        self._api = Api(line.folder / "run" / "admin.sock")

    def scrape(self) -> bytes:
        """Who answers may end meanwhile: then its heir or successor is asked."""
        return wait_for(self._try, "an answer")

    def samples(self) -> dict[Series, float]:
        return parse(self.scrape())

    def _try(self) -> bytes | None:
        try:
            answer = self._api.get("/metrics")
        except (OSError, http.client.HTTPException):
            return None
        assert (answer.status, answer.headers["content-type"]) == (200, CONTENT_TYPE), answer
        return answer.body
