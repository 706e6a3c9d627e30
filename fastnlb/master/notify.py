"""sd_notify: tells the service manager that started us how far we are.

A datagram to the socket named in NOTIFY_SOCKET; without that variable nothing happens.  Never raises and
never blocks: a broken service manager is no reason to stop serving.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress


def say(line: str) -> None:
    """A line for whoever started us, on standard error whatever the log is set to."""
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def ready() -> None:
    """Every worker accepts; and this is the main process, whoever forked it."""
    notify("READY=1", f"MAINPID={os.getpid()}")


def reloading() -> None:
    """A reload begins, and `ready` will say that it is over."""
    # The time tells a service manager which of its requests this answers (Type=notify-reload).
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_seconds() -> float | None:
    """How often it is to be told that we live: twice in the time after which the service manager loses patience."""
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 2e6
    except (KeyError, ValueError):
        return None


class Watchdog:
    """Says in time that the loop turns.  `due`: when next, on the monotonic clock; None when nobody wants to know."""

    def __init__(self) -> None:
        self._interval = watchdog_seconds()
        self.due = None if self._interval is None else time.monotonic()

    def turn(self) -> None:
        now = time.monotonic()
        if self._interval is not None and self.due is not None and self.due <= now:
            self.due = now + self._interval
            notify("WATCHDOG=1")


def stopping() -> None:
    """The drain has begun."""
    notify("STOPPING=1")


def status(text: str) -> None:
    """One line for `systemctl status`."""
    notify("STATUS=" + " ".join(text.split()))


def notify(*assignments: str) -> None:
    """Sends variable assignments."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        sock.send("\n".join(assignments).encode("utf-8", "replace"))
