"""What is desired now, where it comes from, and whether it can be changed here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from fastnlb.config.material import Material
from fastnlb.control.desired.kinds import CERTIFICATES, Item, Kind
from fastnlb.control.desired.of_snapshot import document_of
from fastnlb.control.desired.state import ReadMaterial, Views
from fastnlb.control.store.errors import StoreError
from fastnlb.control.store.loader import StoreLoader
from fastnlb.control.store.store import Store
from fastnlb.control.store.values import Document
from fastnlb.model import CaCertificate, Certificate, Offer, Snapshot
from fastnlb.stats.ledger import Totals

if TYPE_CHECKING:
    from fastnlb.control.run import Control

FILE, STORE, QUICK = "file", "store", "quick"
COUNTED_SECONDS = 0.2


class Desired:
    """The document in force, for the parts of the API that read it."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._counted: tuple[float, Totals] | None = None
        self._of_snapshot: tuple[Snapshot, Document] | None = None
        self._views: tuple[tuple[Document, Offer], Views] | None = None

    @property
    def loader(self) -> StoreLoader | None:
        """What reads the store; None without one."""
        start = self._control.start
        return start.loader if start is not None and isinstance(start.loader, StoreLoader) else None

    @property
    def mode(self) -> str:
        if self.loader is not None:
            return STORE
        return QUICK if self._control.start is None else FILE

    @property
    def document(self) -> Document:
        accepted = self._control.origin.accepted
        if accepted is not None:
            return accepted.document
        if self.loader is not None:
            return self.loader.store.document()
        snapshot = self._control.offer.snapshot
        if self._of_snapshot is None or self._of_snapshot[0] is not snapshot:
            self._of_snapshot = snapshot, document_of(snapshot)
        return self._of_snapshot[1]

    @property
    def revision(self) -> int | None:
        """The number of the revision that is served; None without a store, or one that is empty."""
        return None if self.loader is None else self.loader.revision or None

    @property
    def read_only_reason(self) -> str | None:
        """Why nothing can be changed here; None when it can."""
        if self.mode == FILE:
            start = self._control.start
            file = "a file" if start is None else start.accepted.file
            return f"the configuration is the file {file}: change it there and reload, or run with --state-dir"
        if self.mode == QUICK:
            return "started without a configuration: run with --state-dir to keep changes"
        return None

    @property
    def admin_certificate(self) -> str | None:
        """What the admin port is served with."""
        return self._control.settings.admin_certificate

    def views(self) -> Views:
        """All that is shown; made once for each state that is served."""
        key = (self.document, self._control.offer)
        if self._views is None or any(old is not new for old, new in zip(self._views[0], key, strict=True)):
            self._views = key, self.views_of(key[0])
        return self._views[1]

    def views_of(self, document: Document) -> Views:
        """The same of another document, such as one that may come to be."""
        read = self._in_memory() if self.loader is None else partial(_from_store, self.loader.store)
        control = self._control
        return Views(document, control.offer, control.shared.board, read, self._counters)

    def _counters(self) -> Totals:
        """A page of listeners asks for all of them, one by one."""
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] > COUNTED_SECONDS:
            self._counted = now, self._control.metrics.of_listeners()
        return self._counted[1]

    def _in_memory(self) -> ReadMaterial:
        """As it is served, or was read for what nobody uses yet: the file may be another one by now."""
        snapshot, accepted = self._control.offer.snapshot, self._control.origin.accepted
        read = Material() if accepted is None else accepted.material
        certificates = {**read.certificates, **{each.name: each for each in snapshot.certificates}}
        authorities = {**read.ca_certificates, **{each.name: each for each in snapshot.ca_certificates}}
        return partial(_from_memory, certificates, authorities)


def _from_memory(
    certificates: Mapping[str, Certificate],
    authorities: Mapping[str, CaCertificate],
    kind: Kind,
    key: str,
    item: Item,
) -> bytes | None:
    if kind is CERTIFICATES:
        certificate = certificates.get(item["name"])
        return None if certificate is None else certificate.chain_pem
    authority = authorities.get(item["name"])
    if authority is None:
        return None
    return authority.bundle_pem if key == "certificate" else authority.crl_pem or None


def _from_store(store: Store, _kind: Kind, key: str, item: Item) -> bytes | None:
    reference = item.get(key)
    try:
        return None if reference is None else store.read_material(reference)
    except StoreError:
        return None
