"""Kinds of values that several commands take."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from fastnlb.config.schema_types import is_host_name, is_listen_address, is_unix_socket, literal_address
from fastnlb.model import place

MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A literal address and a port; for a server also a host name in lower case, or `unix:/path` and port 0."""

    address: str
    port: int

    def __str__(self) -> str:
        return place(self.address, self.port)

    @property
    def is_wildcard(self) -> bool:
        return self.address in ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

    @property
    def is_host_name(self) -> bool:
        return is_host_name(self.address)


if TYPE_CHECKING:
    _EndpointBase = click.ParamType[Endpoint]
    _WorkersBase = click.ParamType[int]
else:  # the oldest click we run with cannot be subscripted
    _EndpointBase = _WorkersBase = click.ParamType


class EndpointType(_EndpointBase):
    """`192.0.2.1:443`, `[2001:db8::1]:443`; for a listener `:443`, which is every IPv4 address; for a server
    `app.example.com:443` or `unix:/run/app.sock`.
    """

    name = "address:port"

    def __init__(self, any_address: bool = False, host_name: bool = False) -> None:
        self._any_address = any_address
        self._host_name = host_name

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        if isinstance(value, Endpoint):
            return value
        if not self._any_address and is_unix_socket(str(value)):
            return Endpoint(str(value), 0)
        address, colon, port = str(value).rpartition(":")
        if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            self.fail(f"{value!r} needs a port from 1 to 65535, as in 127.0.0.1:8443", param, ctx)
        if not address and self._any_address:
            address = "0.0.0.0"  # noqa: S104 - that is what the short form means
        return Endpoint(self._literal(address, value, param, ctx), int(port))

    def _literal(self, address: str, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        bracketed = address.startswith("[") and address.endswith("]")
        if ":" in address and not bracketed:
            self.fail(f"{value!r}: an IPv6 address stands in brackets, as in [::1]:8443", param, ctx)
        if self._host_name and is_host_name(address):
            return address.lower()
        literal = literal_address(address[1:-1] if bracketed else address)
        if literal is None:
            more = ", or a host name," if self._host_name else ""
            self.fail(f"{value!r}: an IPv4 address or an IPv6 address in brackets{more} is needed", param, ctx)
        if self._any_address and not is_listen_address(str(literal)):
            self.fail(f"{value!r}: an IPv6 socket is for IPv6 alone; listen on the IPv4 address", param, ctx)
        if bracketed and literal.version == 4:
            self.fail(f"{value!r}: only an IPv6 address stands in brackets", param, ctx)
        return str(literal)


class WorkersType(_WorkersBase):
    """A number of workers; `auto` is the processors this process may use."""

    name = "number|auto"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text == "auto":
            return min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_WORKERS):
            self.fail(f"{value!r} is neither auto nor a number from 1 to {MAX_WORKERS}", param, ctx)
        return int(text)
