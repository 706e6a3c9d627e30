"""The system security policies are those of the documentation, name by name."""

from __future__ import annotations

import pytest

from fastnlb.model import DEFAULT_SECURITY_POLICY
from fastnlb.tls.policies import CIPHERS, SYSTEM, TLS_VERSIONS, ciphers_for


@pytest.mark.parametrize(
    ("name", "versions", "number"),
    [
        ("tls_cipher_policy_1_0", ("TLSv1.0", "TLSv1.1", "TLSv1.2"), 19),
        ("tls_cipher_policy_1_1", ("TLSv1.1", "TLSv1.2"), 19),
        ("tls_cipher_policy_1_2", ("TLSv1.2",), 19),
        ("tls_cipher_policy_1_2_strict", ("TLSv1.2",), 12),
        ("tls_cipher_policy_1_2_strict_with_1_3", ("TLSv1.2", "TLSv1.3"), 17),
    ],
)
def test_versions_and_number_of_ciphers(name: str, versions: tuple[str, ...], number: int) -> None:
    policy = SYSTEM[name]
    assert policy.name == name
    assert policy.tls_versions == versions
    assert len(policy.ciphers) == len(set(policy.ciphers)) == number
    assert policy.groups == ()


def test_there_are_five_and_the_default_is_one_of_them() -> None:
    assert len(SYSTEM) == 5
    assert DEFAULT_SECURITY_POLICY in SYSTEM


def test_the_default_in_full_and_in_order() -> None:
    assert SYSTEM[DEFAULT_SECURITY_POLICY].ciphers == (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES256-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-AES256-SHA384",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    )


def test_the_broad_list_in_full_and_in_order() -> None:
    assert SYSTEM["tls_cipher_policy_1_0"].ciphers == (
        *SYSTEM[DEFAULT_SECURITY_POLICY].ciphers[:8],
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA256",
        "AES256-SHA256",
        *SYSTEM[DEFAULT_SECURITY_POLICY].ciphers[8:12],
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    )


@pytest.mark.parametrize("strict", ["tls_cipher_policy_1_2_strict", "tls_cipher_policy_1_2_strict_with_1_3"])
def test_a_strict_policy_has_forward_secrecy_only(strict: str) -> None:
    assert all(cipher.startswith(("ECDHE-", "TLS_")) for cipher in SYSTEM[strict].ciphers)


@pytest.mark.parametrize(("version", "number"), [("TLSv1.0", 7), ("TLSv1.1", 7), ("TLSv1.2", 19), ("TLSv1.3", 5)])
def test_ciphers_of_a_version(version: str, number: int) -> None:
    assert len(CIPHERS[version]) == number


def test_every_policy_uses_ciphers_of_its_versions_and_each_version_has_some() -> None:
    for policy in SYSTEM.values():
        assert set(policy.ciphers) <= set(ciphers_for(policy.tls_versions))
        assert all(set(policy.ciphers) & set(CIPHERS[version]) for version in policy.tls_versions)


def test_ciphers_for_several_versions_come_once() -> None:
    every = ciphers_for(TLS_VERSIONS)
    assert len(every) == len(set(every)) == 24


def test_the_policies_cannot_be_changed_in_place() -> None:
    with pytest.raises(TypeError):
        SYSTEM["mine"] = SYSTEM[DEFAULT_SECURITY_POLICY]  # type: ignore[index]
