"""The plan between two Snapshots: what it adds, changes and removes, and the words for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnlb.config.plan import plan
from fastnlb.model import (
    CaCertificate,
    Certificate,
    HealthCheck,
    Listener,
    SecurityPolicy,
    Server,
    ServerGroup,
    Snapshot,
    Staple,
)
from fastnlb.tls.policies import SYSTEM

WWW = Certificate("www", b"chain one", b"SECRET-ONE")
WEB = ServerGroup("web", (Server("127.0.0.1", 8080), Server("::1", 8081)))
HTTPS = Listener("https", "TCPSSL", "0.0.0.0", 443, "web", "www")  # noqa: S104
BASE = Snapshot((HTTPS,), (WEB,), (WWW,))
EMPTY = Snapshot()


def described(old: Snapshot, new: Snapshot) -> list[str]:
    return plan(old, new).describe()


def test_start_is_the_same_path_with_an_empty_old_one() -> None:
    start = plan(EMPTY, BASE)
    assert start.describe() == [
        "+ certificate www",
        "+ server group web (2 servers)",
        "+ listener https 0.0.0.0:443",
    ]
    assert start.listeners_to_open == {("https", "0.0.0.0", 443, 0)}  # noqa: S104
    assert start.listeners_to_close == set()


def test_the_end_is_its_mirror_image() -> None:
    end = plan(BASE, EMPTY)
    assert end.describe() == ["- certificate www", "- server group web", "- listener https"]
    assert end.listeners_to_close == plan(EMPTY, BASE).listeners_to_open
    assert end.listeners_to_open == set()


@pytest.mark.parametrize(
    ("change", "line", "sockets"),
    [
        ({"idle_timeout": 60}, "~ listener https: idle_timeout 900 -> 60", "kept"),
        ({"certificate": None, "protocol": "TCP"}, "protocol TCPSSL -> TCP, certificate www -> none", "kept"),
        ({"tags": (("env", "prod"),)}, "tags none -> [env=prod]", "kept"),
        ({"server_group": "other"}, "server_group web -> other", "kept"),
        ({"port": 8443}, "port 443 -> 8443", "moved"),
        ({"address": "::"}, "address 0.0.0.0 -> ::", "moved"),
        ({"additional_certificates": ("b", "c")}, "additional_certificates none -> [b, c]", "kept"),
        ({"strict_sni": True}, "strict_sni false -> true", "kept"),
        ({"ca_certificate": "staff"}, "ca_certificate none -> staff", "kept"),
        ({"client_certificate": "optional"}, "client_certificate required -> optional", "kept"),
        ({"alpn_policy": "HTTP2Only", "alpn_strict": True}, "alpn_policy none -> HTTP2Only, alpn_strict", "kept"),
        ({"enabled": False}, "enabled true -> false", "closed"),
    ],
)
def test_a_changed_listener(change: dict[str, object], line: str, sockets: str) -> None:
    changed = plan(BASE, replace(BASE, listeners=(replace(HTTPS, **change),)))  # type: ignore[arg-type]
    assert len(changed.describe()) == 1
    assert line in changed.describe()[0]
    assert set(changed.listeners.changed[0].fields) == set(change)
    outcome = {(0, 0): "kept", (1, 1): "moved", (0, 1): "closed"}
    assert outcome[len(changed.listeners_to_open), len(changed.listeners_to_close)] == sockets


def test_enabling_a_listener_opens_its_socket() -> None:
    stopped = replace(BASE, listeners=(replace(HTTPS, enabled=False),))
    assert plan(stopped, BASE).listeners_to_open == {("https", "0.0.0.0", 443, 0)}  # noqa: S104
    assert plan(EMPTY, stopped).listeners_to_open == set()
    assert "+ listener https 0.0.0.0:443 (disabled)" in described(EMPTY, stopped)


def test_an_ipv6_endpoint_is_in_brackets() -> None:
    assert "+ listener six [::1]:443" in described(EMPTY, Snapshot((replace(HTTPS, name="six", address="::1"),)))


@pytest.mark.parametrize(
    ("servers", "line"),
    [
        ((*WEB.servers, Server("10.0.0.1", 80)), "~ server group web: server 10.0.0.1:80 added"),
        (WEB.servers[:1], "~ server group web: server [::1]:8081 removed"),
        ((Server("127.0.0.1", 8080, 0), WEB.servers[1]), "~ server group web: server 127.0.0.1:8080 weight 100 -> 0"),
        (WEB.servers[::-1], "~ server group web: servers in another order"),
    ],
)
def test_changed_servers(servers: tuple[Server, ...], line: str) -> None:
    assert described(BASE, replace(BASE, server_groups=(replace(WEB, servers=servers),))) == [line]


def test_a_changed_scheduler() -> None:
    changed = replace(BASE, server_groups=(replace(WEB, scheduler="rr"),))
    assert described(BASE, changed) == ["~ server group web: scheduler wrr -> rr"]


def test_a_health_check_is_described_by_what_differs_in_it() -> None:
    def with_check(check: HealthCheck | None) -> Snapshot:
        return replace(BASE, server_groups=(replace(WEB, health_check=check),))

    checked, other = HealthCheck(), HealthCheck("HTTP", interval=9, http_codes=("http_2xx", "http_3xx"))
    assert described(BASE, with_check(checked)) == ["~ server group web: health check on"]
    assert described(with_check(checked), BASE) == ["~ server group web: health check off"]
    assert described(with_check(checked), with_check(other)) == [
        "~ server group web: health check type TCP -> HTTP, health check interval 5 -> 9, "
        "health check http_codes [http_2xx] -> [http_2xx, http_3xx]"
    ]


def test_a_changed_drain_timeout() -> None:
    changed = replace(BASE, server_groups=(replace(WEB, connection_drain_timeout=0),))
    assert described(BASE, changed) == ["~ server group web: connection_drain_timeout none -> 0"]
    assert described(changed, BASE) == ["~ server group web: connection_drain_timeout 0 -> none"]


def test_a_changed_certificate_says_what_is_new_and_nothing_of_what_it_is() -> None:
    renewed = Certificate("www", b"chain two", b"SECRET-TWO")
    change = plan(BASE, replace(BASE, certificates=(renewed,)))
    assert change.describe() == ["~ certificate www: new chain, new private key"]
    assert change.certificates.changed[0].fields == ("chain_pem", "key_pem")
    assert "SECRET" not in repr(change)
    assert change.listeners_to_open == change.listeners_to_close == set()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"chain_pem": b"two", "names": ("b.test",), "not_after": 9, "key_type": "RSA"}, "new chain"),
        ({"key_pem": b"SECRET-TWO"}, "new private key"),
        ({"staple": Staple(b"SECRET-NEW", 9)}, "new OCSP response"),
        ({"staple": Staple(b"SECRET-OLD", 9)}, "new OCSP response"),
        ({"staple": None}, "OCSP response removed"),
        ({"chain_pem": b"two", "staple": None}, "new chain, OCSP response removed"),
        ({"names": ("b.test",)}, "names none -> [b.test]"),
    ],
)
def test_what_is_new_in_a_certificate(change: dict[str, object], line: str) -> None:
    stapled = replace(WWW, staple=Staple(b"SECRET-OLD", 8))
    changed = plan(Snapshot(certificates=(stapled,)), Snapshot(certificates=(replace(stapled, **change),)))  # type: ignore[arg-type]
    assert changed.describe() == [f"~ certificate www: {line}"]
    assert set(changed.certificates.changed[0].fields) == set(change)
    assert "SECRET" not in repr(changed)


STAFF = CaCertificate("staff", b"authorities", b"revoked", 4)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"bundle_pem": b"others"}, "new authorities"),
        ({"crl_pem": b"more"}, "new CRL"),
        ({"crl_pem": b""}, "CRL removed"),
        ({"verify_depth": 1}, "verify_depth 4 -> 1"),
        ({"bundle_pem": b"others", "crl_pem": b""}, "new authorities, CRL removed"),
    ],
)
def test_what_is_new_in_authorities(change: dict[str, object], line: str) -> None:
    changed = plan(Snapshot(ca_certificates=(STAFF,)), Snapshot(ca_certificates=(replace(STAFF, **change),)))  # type: ignore[arg-type]
    assert changed.describe() == [f"~ CA certificate staff: {line}"]


def test_authorities_come_and_go_before_the_listeners_that_name_them() -> None:
    asking = Snapshot((replace(HTTPS, ca_certificate="staff"),), ca_certificates=(STAFF,))
    assert described(EMPTY, asking) == ["+ CA certificate staff", "+ listener https 0.0.0.0:443"]
    assert described(asking, EMPTY) == ["- CA certificate staff", "- listener https"]


def test_system_policies_come_and_go_without_a_word() -> None:
    mine = SecurityPolicy("mine", ("TLSv1.3",), ("TLS_AES_128_GCM_SHA256",))
    both = Snapshot(security_policies=(SYSTEM["tls_cipher_policy_1_2_strict"], mine))
    assert described(EMPTY, both) == ["+ security policy mine"]
    assert described(both, EMPTY) == ["- security policy mine"]


def test_a_changed_policy() -> None:
    policy = SYSTEM["tls_cipher_policy_1_2_strict"]
    old, new = (
        Snapshot(security_policies=(policy,)),
        Snapshot(security_policies=(replace(policy, groups=("X25519",)),)),
    )
    assert described(old, new) == ["~ security policy tls_cipher_policy_1_2_strict: groups none -> [X25519]"]


def test_the_order_of_things_means_nothing() -> None:
    other = replace(HTTPS, name="other", port=444)
    assert plan(Snapshot((HTTPS, other)), Snapshot((other, HTTPS))).empty


SERVERS = st.builds(Server, st.sampled_from(["127.0.0.1", "::1"]), st.integers(1, 3), st.integers(0, 2))
NAMES = st.sampled_from(["a", "b", "c", "d"])
GROUPS = st.builds(
    ServerGroup,
    NAMES,
    st.lists(SERVERS, max_size=3, unique_by=lambda server: (server.address, server.port)).map(tuple),
    st.sampled_from(["wrr", "rr"]),
    st.sampled_from([None, HealthCheck(), HealthCheck(interval=9)]),
)
LISTENERS = st.builds(
    Listener,
    name=NAMES,
    protocol=st.sampled_from(["TCP", "TCPSSL"]),
    address=st.sampled_from(["127.0.0.1", "::1"]),
    port=st.integers(1, 3),
    server_group=NAMES,
    idle_timeout=st.sampled_from([60, 900]),
    enabled=st.booleans(),
)
CERTIFICATES = st.builds(
    Certificate,
    NAMES,
    st.sampled_from([b"1", b"2"]),
    st.sampled_from([b"SECRET-1", b"SECRET-2"]),
    staple=st.none() | st.builds(Staple, st.sampled_from([b"SECRET-3", b"SECRET-4"]), st.just(9)),
)
AUTHORITIES = st.builds(CaCertificate, NAMES, st.sampled_from([b"1", b"2"]), st.sampled_from([b"", b"3"]))


def several(things: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(things, max_size=4, unique_by=lambda thing: thing.name).map(tuple)  # type: ignore[attr-defined]


SNAPSHOTS = st.builds(
    Snapshot,
    listeners=several(LISTENERS),
    server_groups=several(GROUPS),
    certificates=several(CERTIFICATES),
    ca_certificates=several(AUTHORITIES),
    security_policies=several(st.sampled_from(list(SYSTEM.values()))),
)
KINDS = ("certificates", "ca_certificates", "security_policies", "server_groups", "listeners")


def sockets(snapshot: Snapshot) -> set[tuple[str, str, int, int]]:
    return {(each.name, each.address, each.port, each.last_port) for each in snapshot.listeners if each.enabled}


@given(SNAPSHOTS)
def test_nothing_leads_from_a_snapshot_to_itself(snapshot: Snapshot) -> None:
    same = plan(snapshot, snapshot)
    assert same.empty
    assert same.describe() == []
    assert same.listeners_to_open == same.listeners_to_close == set()


@given(SNAPSHOTS, SNAPSHOTS)
def test_a_plan_applied_to_the_old_gives_the_new(old: Snapshot, new: Snapshot) -> None:
    there = plan(old, new)
    for kind in KINDS:
        before = {each.name: each for each in getattr(old, kind)}
        after = {each.name: each for each in getattr(new, kind)}
        step = getattr(there, kind)
        assert (before.keys() - set(step.removed)) | set(step.added) == after.keys()
        touched = {change.name for change in step.changed}
        assert touched == {name for name in before.keys() & after.keys() if before[name] != after[name]}
        for change in step.changed:
            whole = {field: getattr(after[change.name], field) for field in change.fields}
            assert replace(before[change.name], **whole) == after[change.name]
    assert (sockets(old) - there.listeners_to_close) | there.listeners_to_open == sockets(new)


@given(SNAPSHOTS, SNAPSHOTS)
def test_every_plan_can_be_told_and_tells_no_secret(old: Snapshot, new: Snapshot) -> None:
    there = plan(old, new)
    policies = there.security_policies
    own = {*policies.added, *policies.removed} - SYSTEM.keys() or policies.changed
    others = [kind for kind in there.kinds if kind is not policies and not kind.empty]
    assert bool(own or others or there.resolver) == bool(there.describe())
    assert "SECRET" not in "".join(there.describe())
    assert "SECRET" not in repr(there)
