"""What an established connection feels of a storm of new ones, proxy beside proxy: `latency.py --rounds 5 rsa`.

One TLS connection echoes 128 bytes again and again while RATE new clients a second come: p50, p99 and the longest of
the round trips, medians of the rounds, and the ratio of the p99 to that of nginx in the same run.  Proxies have one
processor, everything else the other; the prober and the origin come before the storm there when root may say so.
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
from dataclasses import dataclass
from pathlib import Path

from proxy_cost import LOAD_PROCESSOR, Running, proxies
from storm import client_context

from fastnlb.tls.material import self_signed

RATE = 500
SECONDS = 3.0
LEAD = 0.5  # of the storm before the first round trip counts
PAUSE = 0.0005
MESSAGE = b"ECHO / HTTP/1.1\r\nx: " + b"x" * 103 + b"\r\n\r\n"
REFERENCE = "nginx"


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
            return Outcome(echoes(sock, SECONDS), {})
        with storm_of(weather.storm, port) as storm:
            trips = echoes(sock, SECONDS)
            out, _ = storm.communicate(timeout=60)
    return Outcome(trips, json.loads(out))


def storm_of(kind: str, port: int) -> subprocess.Popen[bytes]:
    script = str(Path(__file__).with_name("storm.py"))
    arguments = [kind, str(port), str(RATE), str(SECONDS + 2 * LEAD)]
    # It inherits our processor, and gives way to the prober and the origin.
    return subprocess.Popen(["nice", "-n", "30", sys.executable, script, *arguments], stdout=subprocess.PIPE)


def median_of(outcomes: list[Outcome], share: float) -> float:
    return statistics.median(each.at(share) for each in outcomes)


def cells(outcomes: list[Outcome]) -> str:
    shares = [f"{median_of(outcomes, share):.0f}" for share in (0.5, 0.99, 1)]
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
    ratio = "-"
    if REFERENCE in found:
        ratio = f"{median_of(found['fastnlb'], 0.99) / median_of(found[REFERENCE], 0.99):.2f}"
    return " | ".join(["", weather.name, *(cells(each) for each in found.values()), ratio, ""]).strip()


def table(key: str, weathers: list[Weather], rounds: int, folder: Path) -> None:
    key_pair(key, folder / key)
    with proxies(folder / key, tls=True) as running:
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
    with contextlib.suppress(PermissionError):
        os.nice(-15)
    print(f"{datetime.date.today()}: echo in us, p50 / p99 / max (handshakes completed, median time), {RATE}/s")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for key in ("ecdsa", "rsa"):
            chosen = [each for each in WEATHERS if each.key == key]
            chosen = [each for each in chosen if not options.names or any(n in each.name for n in options.names)]
            if chosen:
                table(key, chosen, options.rounds, Path(name))


if __name__ == "__main__":
    main()
