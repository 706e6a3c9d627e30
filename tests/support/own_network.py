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
    gone = 1 << CAP_NET_ADMIN | 1 << CAP_SYS_ADMIN | 1 << CAP_BPF
    for capability in (CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF):
        # From the bounding set, or a program that root starts would have them back.
        _libc.prctl(24, capability, 0, 0, 0)
    header, data = _capabilities()
    low, _, inheritable_low, high, _, inheritable_high = struct.unpack("=6I", data.raw)
    left = (low | high << 32) & ~gone
    low, high = left & 0xFFFFFFFF, left >> 32
    data = ctypes.create_string_buffer(
        struct.pack("=6I", low, low, inheritable_low, high, high, inheritable_high), 24
    )
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
