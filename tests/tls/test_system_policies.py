"""The security policies on the wire: exactly the versions and ciphers of their tables, whatever a client offers."""

from dataclasses import replace

import pytest
from OpenSSL import SSL
from support.certs import Issued
from support.policy_table import ECDHE_SHA1, ECDHE_SHA2, RSA_SHA1, RSA_SHA2, TABLE, TLS_1_3
from support.tls_rig import certificate

from fastnlb.model import DEFAULT_SECURITY_POLICY, SecurityPolicy
from fastnlb.tls.policies import SYSTEM, TLS_VERSIONS

OUTSIDERS = [
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM",
    "DHE-RSA-AES128-GCM-SHA256",
    "AES128-CCM",
    "CAMELLIA128-SHA",
    "ECDHE-ECDSA-NULL-SHA",
    "NULL-SHA256",
    "AECDH-AES128-SHA",
    "ADH-AES128-SHA",
]
EVERY = {
    "TLSv1.0": [*ECDHE_SHA1, *RSA_SHA1, *OUTSIDERS],
    "TLSv1.1": [*ECDHE_SHA1, *RSA_SHA1, *OUTSIDERS],
    "TLSv1.2": [*ECDHE_SHA2, *RSA_SHA2, *ECDHE_SHA1, *RSA_SHA1, *OUTSIDERS],
    "TLSv1.3": TLS_1_3,
}


@pytest.fixture(scope="module")
def served():
    root = Issued.root()
    return [certificate(key, root.issue("localhost", key=key)) for key in ("P-256", "RSA")]


def agreed(one, version, cipher):
    """What a client that offers only this agrees on, or None."""
    client = one.tls_client(version, ciphers=cipher)
    try:
        return client.handshake().tls.get_cipher_name()
    except SSL.Error:
        return None
    finally:
        client.close()


@pytest.mark.parametrize("version", TLS_VERSIONS)
@pytest.mark.parametrize("policy", TABLE)
def test_each_version_has_exactly_the_ciphers_of_the_table(tls_rig, served, policy, version):
    assert set(TABLE) == set(SYSTEM)
    one = tls_rig(served, security_policy=policy)
    taken = [cipher for cipher in EVERY[version] if agreed(one, version, cipher) == cipher]
    assert sorted(taken) == sorted(TABLE[policy].get(version, []))


@pytest.mark.parametrize("policy", TABLE)
def test_the_servers_order_counts(tls_rig, served, policy):
    one = tls_rig(served, security_policy=policy)
    for version in TABLE[policy]:
        ours = [cipher for cipher in SYSTEM[policy].ciphers if cipher in TABLE[policy][version]]
        assert agreed(one, version, ":".join(reversed(ours))) == ours[0]


def test_a_version_that_a_policy_leaves_out_between_two_others_is_off(tls_rig, served):
    gap = SecurityPolicy("gap", ("TLSv1.1", "TLSv1.3"), ("ECDHE-RSA-AES128-SHA", "TLS_AES_128_GCM_SHA256"))
    one = tls_rig(served, policy=gap)
    served_versions = [version for version in TLS_VERSIONS if agreed(one, version, "") is not None]
    assert served_versions == ["TLSv1.1", "TLSv1.3"]


def test_a_policy_of_tls_1_3_alone(tls_rig, served):
    one = tls_rig(served, policy=SecurityPolicy("only", ("TLSv1.3",), ("TLS_AES_256_GCM_SHA384",)))
    assert agreed(one, "TLSv1.3", "") == "TLS_AES_256_GCM_SHA384"
    assert agreed(one, "TLSv1.2", "") is None


@pytest.mark.parametrize("version", ["TLSv1.0", "TLSv1.1", "TLSv1.2"])
def test_renegotiation_is_refused(tls_rig, served, version):
    one = tls_rig(served, security_policy="tls_cipher_policy_1_0")
    client = one.tls_client(version).handshake()
    assert client.tls.renegotiate()
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.handshake()


@pytest.mark.parametrize(
    ("ours", "offered", "agreed_on"),
    [
        ((), "X25519:X25519MLKEM768", "X25519MLKEM768"),
        ((), "X25519MLKEM768:X25519", "X25519MLKEM768"),
        ((), "X25519", "x25519"),
        ((), "P-256", "secp256r1"),
        ((), "P-384:P-521", "secp384r1"),
        (("X25519", "P-256"), "X25519MLKEM768:P-256", "secp256r1"),
        (("P-384",), "X25519:P-384", "secp384r1"),
    ],
)
def test_the_group_is_one_of_ours(tls_rig, served, ours, offered, agreed_on):
    policy = replace(SYSTEM[DEFAULT_SECURITY_POLICY], name="mine", groups=ours)
    client = tls_rig(served, policy=policy).tls_client(groups=offered).handshake()
    assert client.tls.get_group_name() == agreed_on


def test_a_group_that_is_not_ours_is_refused(tls_rig, served):
    policy = replace(SYSTEM[DEFAULT_SECURITY_POLICY], name="mine", groups=("P-384",))
    one = tls_rig(served, policy=policy)
    one.tls_client(groups="X25519:P-256").refused()


def test_a_client_that_reads_only_sha1_signatures_is_refused(tls_rig, served):
    one = tls_rig(served, security_policy=DEFAULT_SECURITY_POLICY)
    one.tls_client("TLSv1.2", ciphers="ECDHE-RSA-AES128-GCM-SHA256", signatures="RSA+SHA1").refused()
