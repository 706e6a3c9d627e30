from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastnlb._core.defs import Notice, StopReason

DEBUG_BUILD: bool

# What tlslistener.pyx and table.pyx document field by field.
Staples = list[tuple[int, bytes, int]]
Leaves = list[tuple[int, bytes, bytes]]
Identities = list[tuple[int, Staples, Leaves]]
TlsFields = tuple[int, bytes, int, int, int, bool, bytes, bool, Identities, list[tuple[bytes, int]]]
ProxyFields = tuple[tuple[int, bytes] | None, list[tuple[bytes, int]]]
ListenerFields = tuple[int, TlsFields | None, int, int, int, int, int, int, ProxyFields | None]
GroupFields = tuple[int, list[tuple[str, int, int, int]], list[int] | bytes, int, bool]

class Engine:
    descriptor_limit: int
    def __init__(
        self,
        tls: Mapping[str, int] | None,
        *,
        counters: int = 0,
        board: tuple[int, int, int] | None = None,
        descriptor_limit: int = 1024,
        handshake_limit: int = 16384,
    ) -> None: ...
    def run(self) -> StopReason: ...
    def watch(self, descriptor: int) -> None: ...
    def unwatch(self, descriptor: int) -> None: ...
    def notice(self) -> Notice: ...
    def drain(self, seconds: float) -> None: ...
    def prepare(
        self,
        generation: int,
        listeners: Sequence[tuple[Iterable[Any], ListenerFields]],
        groups: list[GroupFields],
        sockets: Mapping[Any, int],
    ) -> None: ...
    def rollback(self) -> None: ...
    def commit(self) -> None: ...
    def generations(self) -> set[int]: ...
    def debug_counts(self) -> dict[str, int]: ...
    def counters(self) -> list[int]: ...
    def close(self) -> None: ...
