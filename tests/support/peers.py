"""nginx and HAProxy, which speak the PROXY protocol too, and `fastnlb run` between them and the tests.

Each is for the length of a block, on ports that were free; what they wrote is in the folder.  No health checks but
those that a test asks for: a server sees nobody but its clients.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon
from support.procs import command, free_port, listening_inodes, wait_for

NGINX_MODULES = Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules")
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid;
{modules}
events {{}}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  {http}
}}
stream {{ {stream} }}
"""
HAPROXY = """
defaults
  mode {mode}
  timeout connect 10s
  timeout client 30s
  timeout server 30s
{sections}
"""
Address = tuple[str, int]


def where_installed(program: str) -> str:
    """Its path; without it the test is skipped.  Debian keeps servers where only root looks."""
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: apt-get install haproxy nginx libnginx-mod-stream)")
    return found


def nginx_version() -> tuple[int, ...]:
    told = _nginx_told("-v")
    return tuple(int(part) for part in told.partition("nginx/")[2].split()[0].split("."))


def _nginx_told(option: str) -> str:
    words = [where_installed("nginx"), option]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stderr


def _stream_module() -> str:
    """What loads the stream module where it is not built in."""
    if "--with-stream=dynamic" not in _nginx_told("-V"):
        return ""
    found = next((path for each in NGINX_MODULES if (path := each / "ngx_stream_module.so").exists()), None)
    if found is None:
        pytest.skip("nginx has no stream module (Debian: apt-get install libnginx-mod-stream)")
    return f"load_module {found};"


@contextmanager
def nginx(folder: Path, ports: Sequence[int], http: str = "", stream: str = "") -> Iterator[Path]:
    """With these server blocks, which listen on `ports`; its error log."""
    program = where_installed("nginx")
    file, log = folder / "nginx.conf", folder / "nginx.log"
    file.write_text(NGINX.format(folder=folder, modules=_stream_module(), http=http, stream=stream))
    with command([program, "-p", str(folder), "-e", str(log), "-c", str(file)], folder / "nginx"):
        _wait_listening(ports)
        yield log


@contextmanager
def haproxy(folder: Path, ports: Sequence[int], sections: str, mode: str = "http") -> Iterator[None]:
    """With these sections, which listen on `ports`."""
    program = where_installed("haproxy")
    file = folder / "haproxy.cfg"
    file.write_text(HAPROXY.format(mode=mode, sections=sections))
    with command([program, "-db", "-f", str(file)], folder / "haproxy"):
        _wait_listening(ports)
        yield


def _wait_listening(ports: Sequence[int]) -> None:
    """Without a connection, which a peer would pass on or complain of."""
    for port in ports:
        wait_for(lambda port=port: listening_inodes(port), f"somebody to listen on {port}")  # type: ignore[misc]


@contextmanager
def fastnlb(folder: Path, server: Address, listeners: Sequence[dict[str, Any]], **parts: Any) -> Iterator[Daemon]:
    """These listeners on one group with this server; `parts` are of the file, or `health_check` of the group."""
    check = parts.pop("health_check", {"enabled": False})
    servers = [{"address": server[0], "port": server[1]}]
    whole = {
        "version": 1,
        "workers": 1,
        "core_dumps": True,  # or only root may look at its descriptors
        "shutdown_timeout": 5,
        "server_groups": [{"name": "g", "servers": servers, "health_check": check}],
        "listeners": [{"name": f"l{n}", "server_group": "g", **each} for n, each in enumerate(listeners)],
        **parts,
    }
    file = folder / "fastnlb.yaml"
    file.write_text(json.dumps(whole, indent=1))
    daemon = Daemon(["run", "-c", str(file)], listeners[0]["port"], folder / "fastnlb")
    try:
        yield daemon.wait_ready()
    finally:
        daemon.program.kill()
    assert "Traceback" not in daemon.program.output()


def free_address(host: str = "127.0.0.1") -> Address:
    return host, free_port(host)
