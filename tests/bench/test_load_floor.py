"""What the library costs by itself: handshakes in memory of every kind, and sessions that do nothing."""

import pytest
from support.load import client_context

load = pytest.importorskip("bench._load", reason="the load generator is not built (FASTNLB_BENCH=1)")


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
@pytest.mark.parametrize("resume", [False, True])
def test_handshakes_in_memory(material, version, kind, resume):
    assert load.handshake_cost(material.server_context(kind), client_context(version), 10, resume) > 0


def test_idle_sessions_are_given_back_once(material, version):
    idle = load.idle_sessions(material.server_context(), client_context(version), 50)
    idle.close()
    idle.close()


def test_contexts_that_do_not_fit_are_said(material):
    new, old = client_context("TLSv1.3"), material.server_context(policy="tls_cipher_policy_1_2_strict")
    for attempt in (lambda: load.handshake_cost(old, new, 1), lambda: load.idle_sessions(old, new, 1)):
        with pytest.raises(RuntimeError, match="do the two contexts fit"):
            attempt()
