"""What an established connection feels of a storm of new ones, proxy beside proxy: `latency.py --rounds 5 rsa`.

One TLS connection echoes 128 bytes again and again while RATE new clients a second come: p50 and p99 of the round
trips as medians of the rounds, the p99 of the quietest round (others use the machine too), and the ratio of both p99
to those of nginx in the same run.  Proxies have one processor, everything else the other; root has the proxies, the
origin and the prober come before whatever else wants a processor.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxy_cost import LOAD_PROCESSOR, Running, proxies
from storm import client_context

from fastnlb.tls.material import self_signed

RATE = 500
SECONDS = 2.0
LEAD = 0.5  # of the storm before the first round trip counts
PAUSE = 0.0005
MESSAGE = b"ECHO / HTTP/1.1\r\nx: " + b"x" * 103 + b"\r\n\r\n"
REFERENCE = "nginx"
COMPARED = ("fastnlb", REFERENCE, "haproxy")


@dataclass(frozen=True)
class Weather:
    """What comes while the echoes go; `storm` is a kind of storm.py, None for none."""

    name: str
    key: str
    storm: str | None


WEATHERS = (
    Weather("calm", "ecdsa", None),
    Weather("handshakes, ECDSA P-256", "ecdsa", "full"),
    Weather("half-open, ECDSA P-256", "ecdsa", "half"),
    Weather("silent", "ecdsa", "silent"),
    Weather("handshakes, RSA-4096", "rsa", "full"),
    Weather("half-open, RSA-4096", "rsa", "half"),
)


@dataclass(frozen=True)
class Outcome:
    """One round: the sorted round trips in us, and what storm.py says."""

    trips: list[float]
    storm: dict[str, float]

    def at(self, share: float) -> float:
        return self.trips[min(len(self.trips) - 1, int(share * len(self.trips)))]


def key_pair(kind: str, folder: Path) -> None:
    """both.pem in this folder: self-signed, on P-256 or with RSA of 4096 bits."""
    folder.mkdir(mode=0o755)
    both = folder / "both.pem"
    if kind == "ecdsa":
        both.write_bytes(b"".join(self_signed(["localhost", "127.0.0.1"])))
    else:
        files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:4096", "-nodes", "-subj", "/CN=localhost", *files]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        both.write_bytes((folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes())
    both.chmod(0o600)


def connected(port: int) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=30)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client_context().wrap_socket(raw)


def echo(sock: ssl.SSLSocket) -> None:
    sock.sendall(MESSAGE)
    left = len(MESSAGE)
    while left:
        data = sock.recv(left)
        if not data:
            raise SystemExit("the established connection was ended")
        left -= len(data)


def echoes(sock: ssl.SSLSocket, seconds: float) -> list[float]:
    """Round trips in us, sorted; one that began in time counts however long it took."""
    found = []
    first = time.perf_counter() + LEAD
    while (begun := time.perf_counter()) < first + seconds or not found:
        echo(sock)
        if begun > first:
            found.append(1e6 * (time.perf_counter() - begun))
        time.sleep(PAUSE)
    return sorted(found)


def one_round(weather: Weather, port: int) -> Outcome:
    with connected(port) as sock:
        echo(sock)  # the proxy has its server
        if weather.storm is None:
            with at_once():
                return Outcome(echoes(sock, SECONDS), {})
        with storm_of(weather.storm, port) as storm, at_once():
            trips = echoes(sock, SECONDS)
            out, _ = storm.communicate(timeout=60)
    return Outcome(trips, json.loads(out))


def storm_of(kind: str, port: int) -> subprocess.Popen[bytes]:
    script = str(Path(__file__).with_name("storm.py"))
    arguments = [kind, str(port), str(RATE), str(SECONDS + 2 * LEAD)]
    # It inherits our processor.
    return subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """What happens on this processor is not what is measured: the prober runs when it has something to do."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def median_of(outcomes: list[Outcome], share: float) -> float:
    return statistics.median(each.at(share) for each in outcomes)


def cells(outcomes: list[Outcome]) -> str:
    shares = [f"{median_of(outcomes, 0.5):.0f}", f"{median_of(outcomes, 0.99):.0f}"]
    shares.append(f"{min(each.at(0.99) for each in outcomes):.0f}")
    storms = [each.storm for each in outcomes if each.storm.get("completed")]
    text = " / ".join(shares)
    if storms:
        done = statistics.median(each["completed"] / each["came"] for each in storms)
        wait = statistics.median(each["median_ms"] for each in storms)
        text += f" ({100 * done:.0f} % in, {wait:.1f} ms)"
    return text


def row(weather: Weather, running: Running, rounds: int) -> str:
    found: dict[str, list[Outcome]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, (_, port) in running.items():
            found[name].append(one_round(weather, port))
            time.sleep(0.5)  # what the storm has left behind ends
    return " | ".join(["", weather.name, *(cells(each) for each in found.values()), ratio(found), ""]).strip()


def ratio(found: dict[str, list[Outcome]]) -> str:
    """To the reference: of the median p99, and of the lowest."""
    if REFERENCE not in found:
        return "-"
    ours, theirs = found["fastnlb"], found[REFERENCE]
    lowest = [min(each.at(0.99) for each in outcomes) for outcomes in (ours, theirs)]
    return f"{median_of(ours, 0.99) / median_of(theirs, 0.99):.2f}, {lowest[0] / lowest[1]:.2f}"


def table(key: str, weathers: list[Weather], rounds: int, folder: Path) -> None:
    key_pair(key, folder / key)
    # RSA keeps a processor busy without a rest, which the kernel allows nobody for ever.
    first = ["chrt", "--fifo", "1"] if key == "ecdsa" else ["nice", "-n", "-20"]
    ahead = first if os.geteuid() == 0 else []
    with proxies(folder / key, tls=True, ahead=ahead) as every:
        running = {name: every[name] for name in every if name in COMPARED}
        print("\n" + " | ".join(["", "storm", *running, f"p99, fastnlb / {REFERENCE}", ""]).strip())
        print("|---" * (len(running) + 2) + "|")
        for weather in weathers:
            print(row(weather, running, rounds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", help="storms whose name contains one of these; default: all")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_PROCESSOR})
    print(
        f"{datetime.date.today()}: echo in us, p50 / p99 / lowest p99 (handshakes completed, median time), {RATE}/s"
    )
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for key in ("ecdsa", "rsa"):
            chosen = [each for each in WEATHERS if each.key == key]
            chosen = [each for each in chosen if not options.names or any(n in each.name for n in options.names)]
            if chosen:
                table(key, chosen, options.rounds, Path(name))


if __name__ == "__main__":
    main()
