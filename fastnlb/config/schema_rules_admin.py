"""What the `admin` block asks of the rest: a certificate that exists, a port of its own, tokens that can be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fastnlb.config import error_names
from fastnlb.config.errors import Report, quote
from fastnlb.config.schema import AdminBlock, FileBlock, ListenerBlock
from fastnlb.config.schema_types import literal_address, split_host_port
from fastnlb.config.tokens import TokensError, read_tokens
from fastnlb.privileges import Identity, PrivilegeError, identity


def check_admin(file: FileBlock, base_dir: Path, report: Report) -> None:
    admin = file.admin
    if admin.certificate is not None and admin.certificate not in {each.name for each in file.certificates}:
        message = f"there is no certificate {quote(admin.certificate)}"
        report.error(("admin", "certificate"), message, code=error_names.NOT_FOUND["certificates"])
    if admin.listen is None:
        return
    for index, listener in enumerate(file.listeners):
        if listener.enabled and _shares(admin, listener):
            message = (
                f"{admin.listen} is a port of the listener {listener.name}{report.line_note(('listeners', index))}"
            )
            report.error(("admin", "listen"), message, code=error_names.CONFLICT_PORT)
    if admin.tokens_file is not None:
        _check_tokens(base_dir / admin.tokens_file, file.user, report)
        if admin.certificate is None and not _is_loopback(admin):
            message = "tokens and answers cross the network in the clear: name a certificate in admin.certificate"
            report.warning(("admin", "listen"), message)


def _check_tokens(path: Path, user: str | None, report: Report) -> None:
    """A start as root could read them, and the control process, which is another user then, could not."""
    try:
        read_tokens(path)
        if user is not None and os.geteuid() == 0 and not _may_read(identity(user), path):
            way_out = f"chgrp it to a group of {user}, and chmod g+r it"
            report.error(("admin", "tokens_file"), f"{path} cannot be read by {user}, who answers: {way_out}")
    except TokensError as error:
        report.error(("admin", "tokens_file"), str(error))
    except (OSError, PrivilegeError):
        pass  # gone this moment, or no such user, which is said elsewhere


def _may_read(who: Identity, path: Path) -> bool:
    """By the mode of the file itself."""
    about = path.stat()
    if who.uid in (0, about.st_uid):
        return who.uid == 0 or bool(about.st_mode & stat.S_IRUSR)
    if about.st_gid in (who.gid, *who.groups):
        return bool(about.st_mode & stat.S_IRGRP)
    return bool(about.st_mode & stat.S_IROTH)


def _shares(admin: AdminBlock, listener: ListenerBlock) -> bool:
    place = split_host_port(admin.listen or "")
    if place is None:
        return False
    address, port = place
    first, last = listener.port_range or (listener.port, listener.port)
    ours, theirs = literal_address(address), literal_address(listener.address)
    if ours is None or theirs is None or first is None or last is None or not first <= port <= last:
        return False
    return ours.version == theirs.version and (ours == theirs or ours.is_unspecified or theirs.is_unspecified)


def _is_loopback(admin: AdminBlock) -> bool:
    place = split_host_port(admin.listen or "")
    address = literal_address(place[0]) if place else None
    return address is not None and address.is_loopback
