"""Sessions saved by `openssl s_client` resume in every worker, also in one that was not there when they began."""

import os
import signal

import pytest
from support.procs import wait_for
from support.s_client import pinned, served

ATTEMPTS = 60  # each is taken by either of two workers


@pytest.fixture
def session(tmp_path):
    return tmp_path / "session.pem"


def resume_in_every_worker(site, folder, port, version, session, *options):
    before = site.resumed()
    for _ in range(ATTEMPTS):
        text = served(folder, port, *pinned(version), *options, "-sess_in", session)
        assert f"\nReused, {version}, " in text
        if site.each_resumed_since(before):
            return
    raise AssertionError(f"not in every worker: {before}, {site.resumed()}")


@pytest.mark.parametrize("name", [("-servername", "www.example.test"), ("-noservername",)], ids=["sni", "no-sni"])
def test_it_resumes_in_every_worker(site, tmp_path, version, key, session, name):
    port = site.ports[f"names {key}"]
    first = served(tmp_path, port, *pinned(version), *name, "-sess_out", session)
    assert f"\nNew, {version}, " in first
    resume_in_every_worker(site, tmp_path, port, version, session, *name)


@pytest.mark.parametrize("old", ["TLSv1.0", "TLSv1.1"])
def test_an_old_client_resumes_too(site, tmp_path, old, session):
    port = site.ports["tls_cipher_policy_1_0"]
    served(tmp_path, port, *pinned(old), "-sess_out", session)
    text = served(tmp_path, port, *pinned(old), "-sess_in", session)
    assert "\nReused, " in text
    assert f"\n    Protocol  : {old.removesuffix('.0')}\n" in text


def test_with_a_client_certificate(site, tmp_path, version, key, session):
    paper, port = site.client("alice"), site.ports[f"guarded {key}"]
    identity = ("-cert", paper.certificate, "-key", paper.key)
    served(tmp_path, port, *pinned(version), *identity, "-sess_out", session)
    resume_in_every_worker(site, tmp_path, port, version, session, *identity)


def test_it_outlives_the_workers(own_site, tmp_path, version, session):
    port = own_site.ports["names RSA"]
    served(tmp_path, port, *pinned(version), "-sess_out", session)
    for worker in own_site.workers:
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda dead=worker: dead not in own_site.workers and len(own_site.workers) == 2, "an heir")
        assert "\nReused, " in served(tmp_path, port, *pinned(version), "-sess_in", session)
    resume_in_every_worker(own_site, tmp_path, port, version, session)
