"""A network of its own for a test, or for a block of it in a forked child; and programs without privileges.

    python -m support.own_network ARGUMENTS...

is `python ARGUMENTS...` that may not load programs into the kernel.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 8, 24
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF = 12, 21, 39
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPGET = {"x86_64": 125, "aarch64": 90}
_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def may_steer() -> str:
    """Why this process may not have a network namespace of its own and programs in it; empty when it may."""
    wanted = [1 << CAP_NET_ADMIN, 1 << CAP_SYS_ADMIN]
    lacking = [bit for bit in wanted if not _effective() & bit]
    return "needs CAP_NET_ADMIN and CAP_SYS_ADMIN" if lacking else ""


def leave_network() -> None:
    """This process goes to a network namespace of its own, with nothing but a loopback interface."""
    if _libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def drop_privileges() -> None:
    """This process, and what it starts, may not load programs into the kernel any more; all else stays."""
    gone = (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF)
    for capability in gone:
        # From the bounding set, or a program that root starts would have them back.
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    _keep(_effective() & ~sum(1 << capability for capability in gone))


def become_nobody_with(*capabilities: int) -> None:
    """This process is nobody's, with no more than these privileges."""
    _libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    _keep(sum(1 << capability for capability in capabilities))


def _keep(capabilities: int) -> None:
    header, _ = _capabilities()
    low, high = capabilities & 0xFFFFFFFF, capabilities >> 32
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0), 24)
    if _libc.syscall(_CAPSET[os.uname().machine], header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


@contextmanager
def own_network() -> Iterator[None]:
    """The thread of the test, and all that it starts, in a network namespace of its own."""
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        leave_network()
        yield
    finally:
        failed = _libc.setns(before, CLONE_NEWNET)
        os.close(before)
        assert not failed


def in_child(block: Callable[[], object], *before: Callable[[], None]) -> None:
    """Runs `before` and then the block in a child of this process; what goes wrong there fails the test here."""
    theirs, ours = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            for prepare in before:
                prepare()
            block()
        except BaseException:
            said = traceback.format_exc()
        os.write(ours, said.encode()[-60_000:])
        sys.stdout.flush()
        os._exit(0)
    os.close(ours)
    with os.fdopen(theirs) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    assert not said, said


def _capabilities() -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_char]]:
    """Effective, permitted and inheritable, the lower 32 of each and then the upper, as capget has them."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    if _libc.syscall(_CAPGET[os.uname().machine], header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    return header, data


def _effective() -> int:
    _, data = _capabilities()
    low, _, _, high, _, _ = struct.unpack("=6I", data.raw)
    return int(low | high << 32)


if __name__ == "__main__":
    drop_privileges()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606
