"""How each proxy is started: one worker; TLS 1.2 and 1.3 with the same certificate, or plain; the same origin."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 8000; }}
stream {{
  server {{
    listen 127.0.0.1:{port} {tls} reuseport backlog=4096;
    ssl_certificate {folder}/both.pem; ssl_certificate_key {folder}/both.pem; ssl_protocols TLSv1.2 TLSv1.3;
    proxy_buffer_size 64k; proxy_pass 127.0.0.1:{origin}; tcp_nodelay on;
  }}
}}
"""
HAPROXY = """
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout client 900s
  timeout server 900s
  timeout connect 5s
  option splice-auto
listen one
  bind 127.0.0.1:{port} {tls}
  server origin 127.0.0.1:{origin}
"""
HITCH = """
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{origin}"
pem-file = "{folder}/both.pem"
workers = 1
tls-protos = TLSv1.2 TLSv1.3
"""


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy; `prepare(folder, port, origin, tls)` writes its configuration and returns its command."""

    name: str
    program: str
    prepare: Callable[[Path, int, int, bool], list[str]]
    plain: bool = True  # whether it can do without TLS

    @property
    def installed(self) -> bool:
        return shutil.which(self.program) is not None


def _from_file(
    template: str, command: Callable[[str], list[str]], ssl: str = ""
) -> Callable[[Path, int, int, bool], list[str]]:
    def prepare(folder: Path, port: int, origin: int, tls: bool) -> list[str]:
        path = folder / f"{port}.conf"
        words = ssl.format(folder=folder) if tls else ""
        path.write_text(template.format(folder=folder, port=port, origin=origin, tls=words))
        return command(str(path))

    return prepare


def _fastnlb(folder: Path, port: int, origin: int, tls: bool) -> list[str]:
    pair = ["--certificate", str(folder / "both.pem")] if tls else ["--protocol", "TCP"]
    to = ["--listen", f"127.0.0.1:{port}", "--server", f"127.0.0.1:{origin}"]
    return [sys.executable, "-m", "fastnlb", "quick", *to, *pair, "--workers", "1"]


PROXIES = (
    Proxy("fastnlb", sys.executable, _fastnlb),
    Proxy("nginx", "nginx", _from_file(NGINX, lambda path: ["nginx", "-c", path], "ssl")),
    Proxy(
        "haproxy", "haproxy", _from_file(HAPROXY, lambda path: ["haproxy", "-f", path], "ssl crt {folder}/both.pem")
    ),
    Proxy(
        "hitch", "hitch", _from_file(HITCH, lambda path: ["hitch", "--config", path, "--user", "nobody"]), plain=False
    ),
)


def start(command: list[str], processor: int) -> subprocess.Popen[bytes]:
    """Run pinned to one processor, silently."""
    pinned = ["taskset", "-c", str(processor), *command]
    return subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_listening(port: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def processor_ns(pid: int) -> int:
    """Processor time of a process and all its descendants so far, in ns."""
    total = 0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        total += int((task / "schedstat").read_text().split()[0])
        for child in (task / "children").read_text().split():
            total += processor_ns(int(child))
    return total
