"""A tripwire: what the core needs of cryptography and pyOpenSSL is there, and its absence is said plainly."""

import re
from pathlib import Path

import pytest
from OpenSSL import SSL

from fastnlb.tls import binding

TLSAPI = Path(__file__).resolve().parents[2] / "fastnlb" / "_core" / "tlsapi.pxd"


def test_every_function_has_an_address():
    found = binding.addresses()
    assert len(set(found.values())) == len(binding.FUNCTIONS)
    assert all(found.values())


def test_the_list_is_that_of_the_cores_table():
    fields = re.findall(r"^    \w+_fn (\w+)$", TLSAPI.read_text(), re.M)
    assert set(fields) == set(binding.FUNCTIONS)


def test_a_missing_function_is_named(monkeypatch):
    monkeypatch.setattr(binding, "FUNCTIONS", (*binding.FUNCTIONS, "SSL_read_minds"))
    with pytest.raises(binding.BindingError, match=r"does not export SSL_read_minds: install the version range"):
        binding.addresses()


def test_a_context_has_an_address():
    assert binding.context_address(SSL.Context(SSL.TLS_SERVER_METHOD)) > 0x1000


def test_the_library_is_cryptographys_own():
    assert re.match(r"OpenSSL \d+\.\d+", binding.library_version())
