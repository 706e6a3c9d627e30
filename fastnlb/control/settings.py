"""What a reload cannot change: the settings that the daemon was started with."""

from __future__ import annotations

from dataclasses import fields

from fastnlb.model import Settings, place

AT_ONCE = frozenset({"watch", "workers"})  # control's own business, and what the master does in place

_SPELLING = {
    "log_level": "logging.level",
    "log_format": "logging.format",
    "admin_socket": "admin.socket",
    "admin_listen": "admin.listen",
    "admin_certificate": "admin.certificate",
    "tokens_file": "admin.tokens_file",
}


def fixed_differences(running: Settings, wanted: Settings) -> list[str]:
    """A line for each setting that differs and has to wait for the next start, as the file spells it."""
    return [
        f"{_SPELLING.get(name, name)}: {_show(old)} -> {_show(new)} takes effect at the next start"
        for name in (field.name for field in fields(Settings))
        if name not in AT_ONCE and (old := getattr(running, name)) != (new := getattr(wanted, name))
    ]


def _show(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return place(*value)
    return str(value).lower() if isinstance(value, bool) else str(value)
