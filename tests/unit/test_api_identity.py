"""The certificate of the admin port, where it cannot be shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fastnlb.control.api.identity import AdminTls
from fastnlb.model import Certificate
from fastnlb.tls.material import self_signed


def test_a_certificate_that_this_library_does_not_take_leaves_the_one_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The workers' may take it; what the port is served with then is said once, and nothing ends."""
    (chain, key), (other, _) = (self_signed([name]) for name in ("first.test", "second.test"))
    shown = SimpleNamespace(certificates=[Certificate("www", chain, key)])
    control: Any = SimpleNamespace(
        settings=SimpleNamespace(admin_certificate="www"), offer=SimpleNamespace(snapshot=shown)
    )
    tls = AdminTls(control)
    first = tls.context()
    shown.certificates = [Certificate("www", other, key)]
    assert tls.context() is first
    assert tls.context() is first
    (said,) = caplog.messages
    assert said.startswith("admin.certificate www cannot be shown") and "PRIVATE" not in said
    shown.certificates = [Certificate("www", *self_signed(["third.test"]))]
    assert tls.context() is not first
