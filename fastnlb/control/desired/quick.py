"""Quick creation: a listener with its certificate and its servers, from the few things that have to be said.

What is named exists already, what is sent is made, under the listener's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastnlb.config.errors import quote
from fastnlb.config.schema_types import is_unix_socket, split_host_port
from fastnlb.control.desired.edits import InvalidError, add
from fastnlb.control.desired.kinds import CERTIFICATES, LISTENERS, SERVER_GROUPS, Kind
from fastnlb.control.desired.sent import FIELDS, Shelf, as_block
from fastnlb.control.store.values import Document
from fastnlb.model import TCP, TCPSSL

_OF_LISTENER = ("protocol", "address", "port", "security_policy", "alpn_policy")
_OF_CERTIFICATE = (*FIELDS[CERTIFICATES.key], "self_signed")
_KEYS = (*_OF_LISTENER, "name", "certificate", *_OF_CERTIFICATE, "server_group", "servers")


@dataclass(frozen=True, slots=True)
class QuickWish:
    """The blocks that are wanted; of a certificate, what was sent."""

    name: str
    listener: Mapping[str, Any]
    group: Mapping[str, Any] | None
    certificate: Mapping[str, Any] | None

    @property
    def creates(self) -> tuple[Kind, ...]:
        wanted = ((LISTENERS, self.listener), (SERVER_GROUPS, self.group), (CERTIFICATES, self.certificate))
        return tuple(kind for kind, block in wanted if block is not None)


def wish_of(sent: Mapping[str, Any]) -> QuickWish:
    """Raises InvalidError.  Values are judged with the whole."""
    for key in sent:
        if key not in _KEYS:
            raise InvalidError(f"unknown key {quote(key)}; the keys here are {', '.join(_KEYS)}", key)
    protocol, port = sent.get("protocol", TCPSSL), sent.get("port")
    if port is None:
        raise InvalidError("missing: the port to listen on", "port", "MissingParam.ListenerPort")
    name = sent.get("name", f"{str(protocol).lower()}-{port}")
    if not isinstance(name, str):
        raise InvalidError("takes text", "name")
    listener = {"name": name, "protocol": protocol}
    listener |= {key: sent[key] for key in _OF_LISTENER if sent.get(key) is not None}
    group, certificate = _group(sent, name), _certificate(sent, name)
    listener["server_group"] = sent["server_group"] if group is None else name
    if protocol != TCP:
        listener["certificate"] = sent.get("certificate") if certificate is None else name
    elif certificate is not None or sent.get("certificate") is not None:
        raise InvalidError("a TCP listener has no certificate: leave it out, or use TCPSSL", "certificate")
    return QuickWish(name, {key: value for key, value in listener.items() if value is not None}, group, certificate)


def applied(document: Document, wish: QuickWish, shelf: Shelf) -> Document:
    """Raises EditError and StoreError."""
    if wish.certificate is not None:
        document = add(document, CERTIFICATES, as_block(CERTIFICATES, wish.certificate, None, shelf))
    if wish.group is not None:
        document = add(document, SERVER_GROUPS, dict(wish.group))
    return add(document, LISTENERS, dict(wish.listener))


def _group(sent: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    if (sent.get("server_group") is None) == (sent.get("servers") is None):
        raise InvalidError("takes the name of a server group, or servers in its place", "server_group")
    if sent.get("server_group") is not None:
        return None
    servers = sent["servers"]
    if not isinstance(servers, list) or not servers:
        raise InvalidError("takes a list of servers, such as [10.0.0.11:8080]", "servers")
    return {"name": name, "servers": [server_of(each, f"servers[{index}]") for index, each in enumerate(servers)]}


def server_of(text: Any, path: str) -> dict[str, Any]:
    """`10.0.0.1:80`, `[::1]:80`, `app.example.com:80` or `unix:/run/app.sock` as a block.  Raises InvalidError."""
    if not isinstance(text, str):
        raise InvalidError("takes an address with a port, such as 10.0.0.11:8080", path)
    if is_unix_socket(text):
        return {"address": text}
    place = split_host_port(text)
    if place is not None:
        return {"address": place[0], "port": place[1]}
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or len(port) > 5 or ":" in host:
        message = f"{quote(text)} is no address with a port, such as 10.0.0.11:8080 or [::1]:8080"
        raise InvalidError(message, path, "IllegalParam.IP")
    return {"address": host, "port": int(port)}


def _certificate(sent: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    found = {key: sent[key] for key in _OF_CERTIFICATE if sent.get(key) is not None}
    if found and sent.get("certificate") is not None:
        raise InvalidError("takes the name of a certificate, or the certificate itself in its place", "certificate")
    return {"name": name, **found} if found else None
