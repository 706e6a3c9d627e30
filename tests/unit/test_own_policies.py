"""Security policies of one's own: which are accepted, what is said of others, and what the model gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.shelf import Shelf, pair

from fastnlb.config import schema_rules_tls
from fastnlb.config.document import examine
from fastnlb.config.errors import ConfigError
from fastnlb.config.load import build, own_policies
from fastnlb.model import SecurityPolicy
from fastnlb.tls.available import has_cipher, missing_ciphers, missing_groups
from fastnlb.tls.policies import CIPHERS, GROUPS, KEY_TYPES, SYSTEM, TLS_VERSIONS, ciphers_for, serving_versions

ALL = ciphers_for(TLS_VERSIONS)
LACKING = {"DES-CBC3-SHA"}


def policy(versions: str, ciphers: str, more: str = "") -> str:
    return (
        "version: 1\n"
        "security_policies:\n"
        "  - name: mine\n"
        f"    tls_versions: [{versions}]\n"
        f"    ciphers: [{ciphers}]\n"
        f"{more}"
    )


def refusals(text: str) -> list[str]:
    document = examine(text.encode())
    try:
        build(document.data, document.marks)
    except ConfigError as refused:
        return [problem.render("f") for problem in refused.problems if not problem.warning]
    return []


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            policy("TLSv1.2, TLSv1.4", "AES128-SHA"),
            [
                "f:4:29: security_policies[0].tls_versions[1]: tls_versions takes TLSv1.0, TLSv1.1, TLSv1.2 or "
                'TLSv1.3, not the text "TLSv1.4"; did you mean "TLSv1.3"?'
            ],
        ),
        (
            policy("TLSv1.2, TLSv1.3, TLSv1.2", "AES128-SHA, TLS_AES_128_GCM_SHA256"),
            ["f:4:38: security_policies[0].tls_versions[2]: TLSv1.2 is in the list already (line 4): name it once"],
        ),
        (
            policy("TLSv1.2", "AES128-SHA, AES256-SHA, AES128-SHA"),
            ["f:5:39: security_policies[0].ciphers[2]: AES128-SHA is in the list already (line 5): name it once"],
        ),
        (
            policy("TLSv1.2", "AES128-SHA", "    groups: [X25519, X25519]\n"),
            ["f:6:22: security_policies[0].groups[1]: X25519 is in the list already (line 6): name it once"],
        ),
        (
            policy("TLSv1.3", "TLS_AES_128_GCM_SHA256, AES128-SHA"),
            [
                "f:5:39: security_policies[0].ciphers[1]: no version of this policy (TLSv1.3) has the cipher "
                "AES128-SHA"
            ],
        ),
        (
            policy("TLSv1.2, TLSv1.3", "AES128-SHA"),
            ["f:5:14: security_policies[0].ciphers: no cipher for TLSv1.3: add one, or remove it from tls_versions"],
        ),
        (
            policy("TLSv1.1, TLSv1.2", "AES128-GCM-SHA256, DES-CBC3-SHA"),
            [
                "f:5:14: security_policies[0].ciphers: no cipher for TLSv1.1 that the bundled TLS library has (it "
                "lacks DES-CBC3-SHA): add one, or remove TLSv1.1 from tls_versions"
            ],
        ),
        (
            policy("TLSv1.2", "", ""),
            ["f:5:14: security_policies[0].ciphers: ciphers is empty: it takes one item or more"],
        ),
        (
            policy("", "AES128-SHA"),
            ["f:4:19: security_policies[0].tls_versions: tls_versions is empty: it takes one item or more"],
        ),
        (
            policy("TLSv1.2", "AES128-SHA", "    groups: [P-257]\n"),
            [
                "f:6:14: security_policies[0].groups[0]: groups takes X25519MLKEM768, SecP256r1MLKEM768, "
                'SecP384r1MLKEM1024, X25519, X448, P-256, P-384 or P-521, not the text "P-257"; did you mean "P-256"?'
            ],
        ),
        (
            policy("TLSv1.2", "AES128-SHA").replace("mine", "tls_cipher_policy_1_2"),
            [
                "f:3:11: security_policies[0].name: tls_cipher_policy_1_2 is a system security policy: choose "
                "another name"
            ],
        ),
    ],
)
def test_a_refused_policy(text: str, problems: list[str]) -> None:
    assert refusals(text) == problems


def test_a_group_that_the_library_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_rules_tls, "missing_groups", lambda names: tuple(set(names) & {"X448"}))
    assert refusals(policy("TLSv1.2", "AES128-SHA", "    groups: [X25519, X448]\n")) == [
        "f:6:22: security_policies[0].groups[1]: the bundled TLS library does not have the group X448"
    ]


def is_good(versions: list[str], ciphers: list[str]) -> bool:
    """The rules again, plainly."""
    once = len(set(versions)) == len(versions) and len(set(ciphers)) == len(ciphers)
    known = all(any(cipher in CIPHERS[version] for version in versions) for cipher in ciphers)
    served = all((set(ciphers) - LACKING) & set(CIPHERS[version]) for version in versions)
    return bool(versions and ciphers) and once and known and served


@given(
    st.lists(st.sampled_from(TLS_VERSIONS), max_size=4),
    st.lists(st.sampled_from(ALL), max_size=6) | st.sets(st.sampled_from(ALL)).map(sorted),
)
@example(["TLSv1.3", "TLSv1.0"], ["DES-CBC3-SHA", "TLS_AES_128_CCM_8_SHA256"])
@example(list(TLS_VERSIONS), list(ALL))
@example(["TLSv1.2"], list(CIPHERS["TLSv1.2"]))
def test_a_policy_is_accepted_if_and_only_if_it_is_good(versions: list[str], ciphers: list[str]) -> None:
    problems = refusals(policy(", ".join(versions), ", ".join(ciphers)))
    assert (problems == []) == is_good(versions, ciphers)
    assert all(problem.startswith("f:") and ": security_policies[0]." in problem for problem in problems)


def test_a_policy_in_use_is_in_the_snapshot_with_its_versions_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastnlb.config.load.MaterialCache", lambda: Shelf(www=pair("www", "RSA")))
    text = policy("TLSv1.3, TLSv1.2", "TLS_AES_128_GCM_SHA256, AES128-SHA", "    groups: [P-256, X25519]\n")
    text += """\
  - {name: unused, tls_versions: [TLSv1.3], ciphers: [TLS_AES_128_GCM_SHA256]}
certificates: [{name: www, certificate: www.pem}]
server_groups: [{name: web, servers: [{address: 127.0.0.1, port: 2}]}]
listeners:
  - {name: a, protocol: TCPSSL, port: 1, server_group: web, certificate: www, security_policy: mine}
"""
    assert build(examine(text.encode()).data).snapshot.security_policies == (
        SecurityPolicy("mine", ("TLSv1.2", "TLSv1.3"), ("TLS_AES_128_GCM_SHA256", "AES128-SHA"), ("P-256", "X25519")),
    )


def test_the_policies_of_a_file_are_read_without_the_files_it_names(tmp_path: Path) -> None:
    path = tmp_path / "f"
    text = policy("TLSv1.3, TLSv1.2", "TLS_AES_128_GCM_SHA256, AES128-SHA", "    groups: [P-256, X25519]\n")
    path.write_text(text + "certificates:\n  - {name: www, certificate: gone.pem}\n")
    assert own_policies(path) == (
        SecurityPolicy("mine", ("TLSv1.2", "TLSv1.3"), ("TLS_AES_128_GCM_SHA256", "AES128-SHA"), ("P-256", "X25519")),
    )
    path.write_text(text + "workers: 0\n")
    with pytest.raises(ConfigError, match="0 is out of range"):
        own_policies(path)


def test_one_cipher_of_all_is_not_in_the_library() -> None:
    assert {cipher for cipher in ALL if not has_cipher(cipher)} == LACKING
    assert not has_cipher("TLS_NO_SUCH")
    assert not has_cipher("NO-SUCH")
    # These are names of several ciphers, and of none.
    assert not has_cipher("ALL")
    assert not has_cipher("")


def test_what_a_policy_lacks_comes_in_its_order() -> None:
    assert {name: missing_ciphers(system) for name, system in SYSTEM.items() if missing_ciphers(system)} == {
        f"tls_cipher_policy_{version}": ("DES-CBC3-SHA",) for version in ("1_0", "1_1", "1_2")
    }


def test_groups_that_are_known_are_there() -> None:
    assert missing_groups(GROUPS) == ()
    assert missing_groups(("X25519", "P-111")) == ("P-111",)


@pytest.mark.parametrize(
    ("ciphers", "served"),
    [
        (("AES128-SHA",), {"RSA": ("TLSv1.0", "TLSv1.1", "TLSv1.2")}),
        (("ECDHE-RSA-AES128-GCM-SHA256",), {"RSA": ("TLSv1.2",)}),
        (("ECDHE-ECDSA-AES128-SHA",), {"ECDSA": ("TLSv1.0", "TLSv1.1", "TLSv1.2"), "Ed25519": ("TLSv1.2",)}),
        (("TLS_AES_128_GCM_SHA256",), dict.fromkeys(KEY_TYPES, ("TLSv1.3",))),
    ],
)
def test_the_versions_a_key_can_be_served_in(ciphers: tuple[str, ...], served: dict[str, tuple[str, ...]]) -> None:
    policy = SecurityPolicy("mine", TLS_VERSIONS, ciphers)
    assert {key: serving_versions(policy, key) for key in KEY_TYPES if serving_versions(policy, key)} == served


def test_every_system_policy_serves_every_key_in_its_newest_version() -> None:
    for system in SYSTEM.values():
        assert all(system.tls_versions[-1] in serving_versions(system, key) for key in KEY_TYPES)
