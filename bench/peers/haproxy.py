"""HAProxy in TCP mode, with threads for workers; in its master-worker mode where it has to reload.

Buffers of 128 KiB as ours: with its default of 16 KiB bulk costs it more, and nothing else costs it less.
"""

from __future__ import annotations

import re
import shutil
import signal

from bench.machine import output
from bench.peers.base import BACKLOG, IDLE, MOST, Peer, Setup, Wish, peers_cannot

TEXT = """
global
  nbthread {workers}
  maxconn {most}
  tune.bufsize 131072
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout client {idle}s
  timeout server {idle}s
  timeout connect 5s
  option splice-auto
  backlog {backlog}
  maxconn {most}
listen one
  bind 127.0.0.1:{port} {tls}
  server origin 127.0.0.1:{origin}
"""


def _prepare(wish: Wish) -> list[str]:
    text = TEXT.format(
        workers=wish.setup.workers,
        most=MOST // 2,
        idle=IDLE,
        backlog=BACKLOG,
        port=wish.port,
        tls=f"ssl crt {wish.both}" if wish.setup.tls else "",
        origin=wish.origin,
    )
    mode = ["-Ws"] if wish.setup.reloads else ["-db"]
    return ["haproxy", *mode, "-f", str(wish.write("haproxy.cfg", text))]


def _version(program: str) -> str:
    text = output([program, "-vv"])
    number = re.search(r"HAProxy version (\S+)", text)
    library = re.search(r"Running on OpenSSL version : (OpenSSL \S+)", text)
    return f"{number[1] if number else 'unknown'} with {library[1] if library else 'no OpenSSL'}"


def _cannot(setup: Setup) -> str:
    return peers_cannot(setup)


HAPROXY = Peer("haproxy", lambda: shutil.which("haproxy"), _version, _prepare, _cannot, reload_signal=signal.SIGUSR2)
