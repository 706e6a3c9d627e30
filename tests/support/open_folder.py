"""A folder for tests of another user: those of pytest are the user's alone, and so are the folders above them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder() -> Iterator[Path]:
    """One that everybody can reach and look into; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fastnlb-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
