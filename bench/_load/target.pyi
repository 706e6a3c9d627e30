from collections.abc import Sequence

from OpenSSL import SSL

class Target:
    address: str
    port: int
    context: SSL.Context | None
    names: tuple[str, ...]
    def __init__(
        self, address: str, port: int, context: SSL.Context | None = None, names: Sequence[str] = ()
    ) -> None: ...
