"""Keeps key material out of core dumps, and out of reach of other processes of the same user.

Never raises: a system that cannot do it is no reason not to serve.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15

log = logging.getLogger("fastnlb.hardening")


def protect_memory() -> None:
    """No core dump of this process or of those it forks from here on, and no debugger but root's.

    A change of user id takes the first half back, and so does exec: call it again after.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        log.debug("cannot set the limit of core dumps to 0: %s", error)
    # The limit alone does not hold where core_pattern is a pipe.
    set_dumpable(False)


def dumpable() -> bool:
    """Whether this process may leave a core dump and be debugged, as far as the kernel is asked."""
    try:
        return prctl(PR_GET_DUMPABLE, 0) == 1
    except OSError:
        return False


def set_dumpable(value: bool) -> None:
    """Gives that back, or takes it."""
    try:
        prctl(PR_SET_DUMPABLE, int(value))
    except OSError as error:
        log.debug("cannot change whether this process is dumpable: %s", error)


def prctl(option: int, argument: int | bytes) -> int:
    """The system call of that name, and what it returned.  Raises OSError."""
    try:
        call = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError) as error:
        raise OSError("this C library has no prctl") from error
    value = ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_ulong(argument)
    returned: int = call(ctypes.c_int(option), value, *(ctypes.c_ulong(0) for _ in range(3)))
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return returned
