"""Processor time of fastnlb per TLS 1.3 handshake: one certificate, 10,000 of them, ALPN, client certificates.

Every set-up is a daemon of its own with one worker, all on one processor; the clients are on the other and ask for
another name each time.  They are driven in turn, and medians are compared with the first.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from proxies import processor_ns, start, wait_listening

PROXY_PROCESSOR, LOAD_PROCESSOR = 0, 1
HANDSHAKES = 400
MANY = 10_000


@dataclass
class Setup:
    """One daemon: how many certificates it has, and the other settings of its listener."""

    name: str
    certificates: int = 1
    listener: dict[str, object] = field(default_factory=dict)
    alpn: bool = False
    client_certificate: bool = False


SETUPS = (
    Setup("1 certificate"),
    Setup("10,000 certificates", MANY),
    Setup("1 certificate, ALPN", listener={"alpn_policy": "HTTP2Preferred"}, alpn=True),
    Setup("1 certificate, client certificates", listener={"ca_certificate": "ca"}, client_certificate=True),
)


class Issuer:
    """One key for everything: what is measured is finding a certificate, not making it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.key_pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.root = self.issue("root", is_ca=True)

    def issue(self, name: str, *, is_ca: bool = False) -> bytes:
        begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
        certificate = (
            x509.CertificateBuilder(issuer, subject, self.key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def host(number: int) -> str:
    return f"h{number}.example.com"


def write_configuration(folder: Path, setup: Setup, issuer: Issuer, port: int, origin: int) -> Path:
    key, ca = folder / "key.pem", folder / "ca.pem"
    key.touch(0o600)
    key.write_bytes(issuer.key_pem)
    ca.write_bytes(issuer.root)
    certificates = []
    for number in range(setup.certificates):
        path = folder / f"{number}.pem"
        if not path.exists():
            path.write_bytes(issuer.issue(host(number)))
        certificates.append({"name": f"c{number}", "certificate": path.name, "private_key": key.name})
    listener = {
        "name": "l",
        "protocol": "TCPSSL",
        "address": "127.0.0.1",
        "port": port,
        "server_group": "g",
        "certificate": "c0",
        "additional_certificates": [each["name"] for each in certificates[1:]],
        **setup.listener,
    }
    servers = [{"address": "127.0.0.1", "port": origin}]
    document = {
        "version": 1,
        "workers": 1,
        "certificates": certificates,
        "ca_certificates": [{"name": "ca", "certificate": ca.name}],
        "server_groups": [{"name": "g", "health_check": {"enabled": False}, "servers": servers}],
        "listeners": [listener],
    }
    file = folder / f"{port}.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@contextmanager
def daemon(folder: Path, setup: Setup, issuer: Issuer, origin: int) -> Iterator[tuple[int, int]]:
    """(process id, port) of a running set-up."""
    port = free_port()
    file = write_configuration(folder, setup, issuer, port, origin)
    process = start([sys.executable, "-m", "fastnlb", "run", "-c", str(file)], PROXY_PROCESSOR)
    try:
        if not wait_listening(port, 120):
            raise SystemExit(f"{setup.name}: did not start")
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def client_context(setup: Setup, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if setup.alpn:
        context.set_alpn_protocols(["h2", "http/1.1"])
    if setup.client_certificate:
        context.load_cert_chain(folder / "0.pem", folder / "key.pem")
    return context


def shake_hands(setup: Setup, port: int, context: ssl.SSLContext) -> None:
    for _ in range(HANDSHAKES):
        name = host(random.randrange(setup.certificates))  # noqa: S311
        sock = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(sock, server_hostname=name) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            client.recv(1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_PROCESSOR})
    issuer, origin = Issuer(), free_port()
    costs: dict[str, list[float]] = {setup.name: [] for setup in SETUPS}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = start([sys.executable, str(Path(__file__).with_name("origin.py")), "127.0.0.1", str(origin)], 1)
        stack.callback(stop, server)
        wait_listening(origin)
        running = {each.name: stack.enter_context(daemon(folder, each, issuer, origin)) for each in SETUPS}
        for setup in SETUPS:
            # The port is open before the worker is ready: its start is not to be counted.
            shake_hands(setup, running[setup.name][1], client_context(setup, folder))
        for _ in range(options.rounds):
            for setup in SETUPS:
                pid, port = running[setup.name]
                before = processor_ns(pid)
                shake_hands(setup, port, client_context(setup, folder))
                costs[setup.name].append((processor_ns(pid) - before) / HANDSHAKES / 1e3)
    report(costs)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


def report(costs: dict[str, list[float]]) -> None:
    first = statistics.median(next(iter(costs.values())))
    print(f"{datetime.date.today()}: processor time per connection, median (lowest-highest)\n")
    print("| set-up | us | against the first |\n|---|---|---|")
    for name, values in costs.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.0f} ({min(values):.0f}-{max(values):.0f}) | {median / first:.2f} |")


if __name__ == "__main__":
    main()
