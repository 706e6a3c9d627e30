"""nginx with its stream module, which Debian has as a file of its own and others have built in.

Buffers of 128 KiB as ours: with its default of 16 KiB bulk costs it more.
"""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

from bench.machine import output
from bench.peers.base import BACKLOG, IDLE, MOST, Peer, Setup, Wish, peers_cannot

MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
TEXT = """
{module}
worker_processes {workers}; worker_rlimit_nofile {files};
daemon off; pid {folder}/{port}.pid; error_log /dev/null;
events {{ worker_connections {files}; }}
stream {{
  server {{
    listen 127.0.0.1:{port} {ssl} reuseport backlog={backlog};
    {certificate}
    proxy_buffer_size 128k; proxy_timeout {idle}s; proxy_pass 127.0.0.1:{origin}; tcp_nodelay on;
  }}
}}
"""
CERTIFICATE = "ssl_certificate {both}; ssl_certificate_key {both}; ssl_protocols TLSv1.2 TLSv1.3;"


def _prepare(wish: Wish) -> list[str]:
    tls = wish.setup.tls
    text = TEXT.format(
        module=f"load_module {MODULE};" if MODULE.exists() else "",
        workers=wish.setup.workers,
        files=MOST,
        folder=wish.folder,
        port=wish.port,
        ssl="ssl" if tls else "",
        backlog=BACKLOG,
        certificate=CERTIFICATE.format(both=wish.both) if tls else "",
        idle=IDLE,
        origin=wish.origin,
    )
    return ["nginx", "-c", str(wish.write("nginx.conf", text))]


def _version(program: str) -> str:
    text = output([program, "-V"])
    library = re.search(r"OpenSSL [\d.]+\w*(?= [^)]*\)|$)", text)
    running = re.search(r"running with (OpenSSL \S+)", text) or library
    number = re.search(r"nginx/(\S+)", text)
    return f"{number[1] if number else 'unknown'} with {running[running.lastindex or 0] if running else 'no TLS'}"


def _cannot(setup: Setup) -> str:
    if not MODULE.exists() and "--with-stream " not in output(["nginx", "-V"]) + " ":
        return "its stream module is not installed"
    return peers_cannot(setup)


NGINX = Peer("nginx", lambda: shutil.which("nginx"), _version, _prepare, _cannot, reload_signal=signal.SIGHUP)
