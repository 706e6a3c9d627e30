"""Network namespaces for tests: machines of their own, with links between them, in one process.

A namespace lives as long as the descriptor that holds it or something in it, and has no name outside: nothing is left
behind, however a test ends.  A thread enters one with `inside`: the sockets it makes and the programs and threads it
starts there belong there and stay, wherever the thread goes.  Only that thread is moved.

    with estate() as (client, balancer, server):       client --- balancer --- server
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_HERE = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)

CLIENT, CLIENT6 = "10.77.1.2", "fd77:1::2"
FRONT, FRONT6 = "10.77.1.1", "fd77:1::1"  # of the balancer, towards clients
BACK, BACK6 = "10.77.2.1", "fd77:2::1"  # likewise, towards servers
SERVER, SERVER6 = "10.77.2.2", "fd77:2::2"
OTHER_SERVER = "10.77.2.3"  # nobody has it: what is sent there is not answered


def _call(function: str, *arguments: int) -> None:
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


class Namespace:
    """Another network, with nothing but a loopback in it."""

    def __init__(self) -> None:
        home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", _CLONE_NEWNET)
            self._descriptor = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _call("setns", home, _CLONE_NEWNET)
            os.close(home)
        self.ip("link set lo up")

    @property
    def path(self) -> str:
        """What other programs find it by."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in the namespace for the length of the block."""
        home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("setns", self._descriptor, _CLONE_NEWNET)
            yield
        finally:
            _call("setns", home, _CLONE_NEWNET)
            os.close(home)

    def ip(self, *commands: str, version: int = 4) -> None:
        """Commands of ip(8), such as `link set lo up`."""
        with self.inside():
            done = subprocess.run(
                ["ip", f"-{version}", "-batch", "-"],
                input="\n".join(commands),
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, f"{commands}: {done.stderr}"

    def sysctl(self, name: str, value: str) -> None:
        with self.inside():
            Path("/proc/sys/net", name).write_text(value, "ascii")

    def close(self) -> None:
        """It is gone with the last socket and program in it."""
        os.close(self._descriptor)


def link(one: Namespace, name: str, other: Namespace, other_name: str) -> None:
    """A cable between two namespaces, and what its ends are called there."""
    one.ip(f"link add {name} type veth peer name {other_name} netns {other.path}", f"link set {name} up")
    other.ip(f"link set {other_name} up")


@contextmanager
def estate() -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    """A client, a balancer and a server, each on IPv4 and IPv6; both others have the balancer for their way out."""
    made = client, balancer, server = Namespace(), Namespace(), Namespace()
    try:
        link(balancer, "front", client, "out")
        link(balancer, "back", server, "out")
        _address(client, "out", CLIENT, CLIENT6)
        _address(balancer, "front", FRONT, FRONT6)
        _address(balancer, "back", BACK, BACK6)
        _address(server, "out", SERVER, SERVER6)
        for where, way_out, way_out6 in ((client, FRONT, FRONT6), (server, BACK, BACK6)):
            where.ip(f"route add default via {way_out}")
            where.ip(f"route add default via {way_out6}", version=6)
        yield made
    finally:
        for each in made:
            each.close()


def _address(where: Namespace, device: str, address: str, address6: str) -> None:
    where.ip(f"addr add {address}/24 dev {device}")
    where.ip(f"addr add {address6}/64 dev {device} nodad", version=6)


def why_not() -> str:
    """What keeps this machine from having namespaces; "" if nothing does."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need ip (iproute2)"
    try:
        Namespace().close()
    except OSError as error:
        return f"network namespaces cannot be had: {error}"
    return ""


needs_namespaces = pytest.mark.skipif(bool(why_not()), reason=why_not() or "nothing")
