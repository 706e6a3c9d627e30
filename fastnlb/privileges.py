"""Least privilege: what a process may do besides what any user may, and how it gives the rest away.

The master of a daemon started as root keeps what binding, forking as another user and a hot restart need.  Its
children become that user for good: no capability but those named, none to be had by exec, no new privileges ever.

Capabilities are those of capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fastnlb.hardening import dumpable, prctl, set_dumpable

CAPABILITIES: Mapping[str, int] = {
    "DAC_OVERRIDE": 1,
    "DAC_READ_SEARCH": 2,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "NET_ADMIN": 12,
    "NET_RAW": 13,
    "SYS_RESOURCE": 24,
    "BPF": 39,
}
MASTER = (
    "NET_BIND_SERVICE",  # ports below 1024
    "NET_ADMIN",  # port ranges, and the check that the client's address can be kept
    "NET_RAW",  # workers are given it
    "BPF",  # port ranges
    "SETUID",
    "SETGID",
    "SETPCAP",  # to take them from its children for good
    "KILL",  # of children that are another user's
    "DAC_OVERRIDE",  # the pid file and the admin socket, which may be in a folder of the user's
    "DAC_READ_SEARCH",  # a hot restart reads the configuration as the start did
)

PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_VERSION_3 = 0x20080522


class PrivilegeError(Exception):
    """Privileges cannot be given away as they should be; the message says which."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to become, with the groups the system gives that user."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def identity(name: str) -> Identity:
    """The user `name`, which may be a number.  Raises PrivilegeError."""
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise PrivilegeError(f"there is no user {name}") from None
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)  # not by all groups: a directory may not list them
    return Identity(entry.pw_uid, entry.pw_gid, tuple(sorted(groups)))


def may(capability: str) -> bool:
    """Whether this process has the capability in effect."""
    return bool(_status("CapEff") >> CAPABILITIES[capability] & 1)


def limit(keep: Iterable[str]) -> None:
    """Gives away every capability but those of `keep` that it has.

    Exec brings all of them back to root, and to others what a service manager gave them (ambient ones of `keep`).
    Raises PrivilegeError.
    """
    try:
        _set(keep, inheritable=_status("CapInh"))
    except OSError as error:
        raise PrivilegeError(f"cannot give away capabilities: {error.strerror or error}") from error


def become(who: Identity | None, keep: Iterable[str] = ()) -> None:
    """For a child: this user (None: as it is), with `keep` of its capabilities and no way to more.

    Raises PrivilegeError; the process is then not to go on.
    """
    try:
        _close_the_way_back()
        if who is not None and (os.geteuid(), os.getegid()) != (who.uid, who.gid):
            prctl(PR_SET_KEEPCAPS, 1)  # permitted ones stay, and are none in effect until they are set
            os.setgroups(who.groups)
            os.setresgid(who.gid, who.gid, who.gid)
            os.setresuid(who.uid, who.uid, who.uid)
        _set(keep)
    except OSError as error:
        raise PrivilegeError(f"cannot give away privileges: {error.strerror or error}") from error


@contextmanager
def acting_as(who: Identity | None) -> Iterator[None]:
    """For root: files are opened and made as `who` would, for the length of a block; None changes nothing.

    Without other threads only: the C library changes them all.  Raises PrivilegeError.
    """
    if who is None or os.geteuid() == who.uid:
        yield
        return
    before = Identity(os.geteuid(), os.getegid(), tuple(os.getgroups()))
    was_dumpable = dumpable()
    try:
        _join(who)
        os.seteuid(who.uid)
    except OSError as error:
        raise PrivilegeError(f"cannot act as user {who.uid}: {error.strerror or error}") from error
    try:
        yield
    finally:
        os.seteuid(before.uid)
        _join(before)
        set_dumpable(was_dumpable)  # the kernel takes it away with every change of user


def _join(who: Identity) -> None:
    os.setgroups(who.groups)
    os.setegid(who.gid)


def _set(keep: Iterable[str], inheritable: int = 0) -> None:
    """Permitted and effective capabilities: of `keep` what is permitted, and of that `inheritable` too."""
    wanted = sum(1 << CAPABILITIES[name] for name in keep) & _status("CapPrm")
    low, high = wanted & 0xFFFFFFFF, wanted >> 32
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    inheritable &= wanted
    data = (ctypes.c_uint32 * 6)(low, low, inheritable & 0xFFFFFFFF, high, high, inheritable >> 32)
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _close_the_way_back() -> None:
    """Before the user changes: afterwards the capability to do so is gone."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    with suppress(OSError):  # a kernel without ambient capabilities has none to clear
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    if may("SETPCAP"):
        for number in range(_last_capability() + 1):
            prctl(PR_CAPBSET_DROP, number)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1], 16)
    return 0


def _last_capability() -> int:
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))
    except (OSError, ValueError):
        return max(CAPABILITIES.values())
