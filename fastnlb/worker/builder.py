"""Compiling beside the event loop: ten thousand certificates take seconds, in which connections must not wait.

One thread does all that takes long, in the order it was asked for, and it alone touches the inner contexts.  What
connections may be using at that moment (the fronts, the Engine) is left to the loop's thread.  The end of each build
is told by a descriptor, which the Engine watches.
"""

from __future__ import annotations

import gc
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from fastnlb.channel import decode_offer, read_payload
from fastnlb.preserving import check_privileges
from fastnlb.worker.compile import Compiled, compile_offer
from fastnlb.worker.contexts import Contexts
from fastnlb.worker.orders import Orders


class Builder:
    """The thread, which begins with the first request, and its requests.  It ends with the process."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self._orders = Orders()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="builder")
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._kept: frozenset[int] = frozenset()

    def fileno(self) -> int:
        """Readable when a build has ended, until `hush`."""
        return self._bell

    def hush(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)

    def build(self, generation: int, payload: int) -> Future[Compiled]:
        """The Offer in `payload`, a descriptor that is taken over, compiled and held for `generation`.

        Who does not want it any more lets go of it: the next build finds most of its contexts made.
        """
        ahead = self._thread.submit(self._build, generation, payload)
        ahead.add_done_callback(lambda _: os.eventfd_write(self._bell, 1))
        return ahead

    def _build(self, generation: int, payload: int) -> Compiled:
        try:
            offer = decode_offer(read_payload(payload))
        finally:
            os.close(payload)
        check_privileges(offer.snapshot)  # this process may have given away what the master has
        compiled = compile_offer(offer, self._contexts, self._orders)
        self._contexts.hold(generation, compiled.holds)
        del offer
        # Here and not when the loop's thread wants the interpreter; what is left lives as long as the configuration.
        gc.collect()
        gc.freeze()
        return compiled

    def keep_only(self, generations: set[int]) -> None:
        """Let go of every context that is for none of these; name those being built too."""
        if generations != self._kept:
            self._kept = frozenset(generations)
            self._thread.submit(self._contexts.keep_only, set(generations))
