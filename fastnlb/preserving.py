"""What a Snapshot needs the kernel's leave for besides its listening sockets, asked before anything is changed.

Workers ask as well: what they are forked with is not all that the master has (cli/serve.py).  Asked with a socket of
the kind that will want it, because the kernel looks at the network namespace's owner too, and a bit in
/proc/self/status says nothing of that.
"""

from __future__ import annotations

import socket

from fastnlb.model import Snapshot

IP_TRANSPARENT = 19  # <linux/in.h>; Python has no name for it


class NotAllowed(OSError):  # noqa: N818 - reads as what it says
    """This process lacks a privilege that the Snapshot needs."""


def check_privileges(snapshot: Snapshot) -> None:
    """Raises NotAllowed, with what to do about it."""
    used = {listener.server_group for listener in snapshot.active_listeners()}
    keeping = [group.name for group in snapshot.server_groups if group.preserve_client_ip and group.name in used]
    if keeping and not _may_bind_as_others():
        needs = "preserve_client_ip needs CAP_NET_ADMIN or CAP_NET_RAW"
        cures = (
            "start it anew as root, or with one of them (systemd: AmbientCapabilities=CAP_NET_RAW), or leave it out"
        )
        raise NotAllowed(f"server group {keeping[0]}: {needs}: {cures}")


def _may_bind_as_others() -> bool:
    """IPv6 asks for the same."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        except PermissionError:
            return False
    return True
