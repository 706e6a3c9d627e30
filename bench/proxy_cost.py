"""Processor time of each proxy per unit of work, side by side: `make bench`, `proxy_cost.py --rounds 5 download`."""

from __future__ import annotations

import argparse
import datetime
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from load import SCENARIOS, Scenario
from proxies import PROXIES, processor_ns, start, wait_listening

from fastnlb.tls.material import self_signed

PROXY_PROCESSOR, LOAD_PROCESSOR = 0, 1
Running = dict[str, tuple[subprocess.Popen[bytes], int]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def proxies(folder: Path, tls: bool, ahead: Sequence[str] = ()) -> Iterator[Running]:
    """All installed proxies in front of one origin, for the length of a block; `ahead` stands before commands."""
    origin = free_port()
    script = str(Path(__file__).with_name("origin.py"))
    started = [start([*ahead, sys.executable, script, "127.0.0.1", str(origin)], LOAD_PROCESSOR)]
    running: Running = {}
    try:
        wait_listening(origin)
        for proxy in PROXIES:
            if not tls and not proxy.plain:
                continue
            if not proxy.installed:
                print(f"{proxy.name} is not installed: skipped")
                continue
            port = free_port()
            process = start([*ahead, *proxy.prepare(folder, port, origin, tls)], PROXY_PROCESSOR)
            started.append(process)
            if wait_listening(port):
                running[proxy.name] = (process, port)
            else:
                print(f"{proxy.name} did not start: skipped")
        yield running
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(10)


def measure(scenario: Scenario, running: Running, rounds: int, folder: Path) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, (process, port) in running.items():
            before = processor_ns(process.pid)
            units = scenario.run(port, folder)
            costs[name].append((processor_ns(process.pid) - before) / units / scenario.scale)
    return costs


def row(scenario: Scenario, costs: dict[str, list[float]]) -> str:
    medians = {name: statistics.median(values) for name, values in costs.items()}
    cells = [f"{medians[name]:.1f} ({min(values):.1f}-{max(values):.1f})" for name, values in costs.items()]
    peers = [value for name, value in medians.items() if name != "fastnlb"]
    ratio = f"{medians['fastnlb'] / min(peers):.2f}" if peers else "-"
    return " | ".join(["", f"{scenario.name} ({scenario.unit})", *cells, ratio, ""]).strip()


def chosen(scenario: Scenario, parts: list[str]) -> bool:
    return not parts or any(part in scenario.name for part in parts)


def table(scenarios: list[Scenario], rounds: int, folder: Path, tls: bool) -> None:
    """Rows of one table: those with TLS have other columns than those without."""
    with proxies(folder, tls) as running:
        print("\n" + " | ".join(["", "work", *running, "fastnlb / best peer", ""]).strip())
        print("|---" * (len(running) + 2) + "|")
        for scenario in scenarios:
            if scenario.possible:
                print(row(scenario, measure(scenario, running, rounds, folder)), flush=True)
            else:
                print(f"{scenario.name}: {scenario.needs} is not installed: skipped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", help="scenarios whose name contains one of these; default: all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "both.pem").write_bytes(b"".join(self_signed(["localhost", "127.0.0.1"])))
        (folder / "both.pem").chmod(0o600)
        print(f"{datetime.date.today()}: processor time per unit, median (lowest-highest) of {options.rounds}")
        for tls in (True, False):
            wanted = [each for each in SCENARIOS if each.tls == tls and chosen(each, options.names)]
            if wanted:
                table(wanted, options.rounds, folder, tls)


if __name__ == "__main__":
    main()
