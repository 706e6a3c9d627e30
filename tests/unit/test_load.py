"""Loading a file: the Snapshot and Settings that come out, and every problem at its line and column."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from textwrap import dedent

import pytest

from fastnlb.config.errors import ConfigError
from fastnlb.config.load import build, load
from fastnlb.model import (
    DEFAULT_SECURITY_POLICY,
    HealthCheck,
    Listener,
    NamedServer,
    Resolver,
    Server,
    ServerGroup,
    Settings,
)
from fastnlb.tls.material import self_signed
from fastnlb.tls.policies import SYSTEM

GOOD = """\
version: 1
certificates:
  - {name: www, certificate: www.pem, private_key: www.key}
server_groups:
  - name: web
    servers:
      - {address: 127.0.0.1, port: 8080}
      - {address: "0:0::1", port: 8081, weight: 10}
listeners:
  - name: https
    protocol: TCPSSL
    address: 0.0.0.0
    port: 443
    server_group: web
    certificate: www
"""


@pytest.fixture(scope="module")
def pairs() -> list[tuple[bytes, bytes]]:
    return [self_signed(["www.example.com"]), self_signed(["other.example.com"])]


@pytest.fixture
def folder(tmp_path: Path, pairs: list[tuple[bytes, bytes]]) -> Path:
    for name, (chain, key) in zip(("www", "other"), pairs, strict=True):
        (tmp_path / f"{name}.pem").write_bytes(chain)
        (tmp_path / f"{name}.key").touch(0o600)
        (tmp_path / f"{name}.key").write_bytes(key)
    return tmp_path


def put(folder: Path, text: str) -> Path:
    path = folder / "fastnlb.yaml"
    path.write_text(dedent(text))
    return path


def refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [problem.render(path.name) for problem in caught.value.problems]


def test_a_good_file_becomes_a_snapshot(folder: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    loaded = load(put(folder, GOOD))
    snapshot = loaded.snapshot
    assert snapshot.listeners == (
        Listener("https", "TCPSSL", "0.0.0.0", 443, "web", "www", security_policy=DEFAULT_SECURITY_POLICY),  # noqa: S104
    )
    assert snapshot.server_groups == (
        ServerGroup(
            "web", (Server("127.0.0.1", 8080, 100), Server("::1", 8081, 10)), "wrr", health_check=HealthCheck()
        ),
    )
    assert [(each.name, each.chain_pem) for each in snapshot.certificates] == [("www", pairs[0][0])]
    assert snapshot.certificates[0].key_pem == pairs[0][1]
    assert snapshot.certificates[0].names == ("www.example.com",)
    assert snapshot.certificates[0].key_type == "ECDSA"
    assert snapshot.certificates[0].not_after - snapshot.certificates[0].not_before == 30 * 86400
    assert snapshot.security_policies == (SYSTEM[DEFAULT_SECURITY_POLICY],)
    assert loaded.warnings == ()
    assert loaded.file == str(folder / "fastnlb.yaml")


def test_every_listener_setting_reaches_the_snapshot(folder: Path) -> None:
    settings = """\
        security_policy: tls_cipher_policy_1_2_strict
        strict_sni: true
        alpn_policy: HTTP2Preferred
        alpn_strict: true
        idle_timeout: 60
        handshake_timeout: 7
        connect_timeout: 3
        cps: 100
        max_connections: 2000
        mss: 1400
        enabled: false
        tags: {tier: front, env: prod}
    """
    path = put(folder, GOOD)
    path.write_text(GOOD + "".join("    " + line.strip() + "\n" for line in settings.splitlines() if line.strip()))
    (listener,) = load(path).snapshot.listeners
    assert listener == Listener(
        "https",
        "TCPSSL",
        "0.0.0.0",  # noqa: S104
        443,
        "web",
        "www",
        strict_sni=True,
        security_policy="tls_cipher_policy_1_2_strict",
        alpn_policy="HTTP2Preferred",
        alpn_strict=True,
        idle_timeout=60,
        handshake_timeout=7,
        connect_timeout=3,
        cps=100,
        max_connections=2000,
        mss=1400,
        enabled=False,
        tags=(("env", "prod"), ("tier", "front")),
    )


def test_host_names_wait_to_be_resolved(folder: Path) -> None:
    text = GOOD.replace("127.0.0.1, port: 8080", "App.Example.com, port: 8080, weight: 7")
    text += "resolver: {nameservers: [10.0.0.2, '127.0.0.1:8600', '::1', '[::1]:8600'], min_ttl: 2, max_ttl: 60}\n"
    snapshot = load(put(folder, text)).snapshot
    assert snapshot.server_groups[0].servers == (Server("::1", 8081, 10),)
    assert snapshot.server_groups[0].named_servers == (NamedServer("app.example.com", 8080, 7),)
    places = (("10.0.0.2", 53), ("127.0.0.1", 8600), ("::1", 53), ("::1", 8600))
    assert snapshot.resolver == Resolver(places, 2, 60)
    assert load(put(folder, GOOD)).snapshot.resolver == Resolver()


def test_settings_default_to_those_of_the_model(folder: Path) -> None:
    settings = load(put(folder, GOOD)).settings
    assert settings == Settings(workers=len(os.sched_getaffinity(0)))


def test_settings_are_read(folder: Path) -> None:
    head = "workers: 3\nrun_dir: run\nshutdown_timeout: 5\nlogging: {level: debug, format: json}\n"
    head += "watch: true\ncore_dumps: true\nuser: root\n"
    head += "admin: {socket: a.sock, listen: '[::1]:9901', tokens_file: tokens}\n"
    (folder / "tokens").write_text("ci read sha256:" + 64 * "0")
    settings = load(put(folder, GOOD + head)).settings
    assert settings == Settings(
        workers=3,
        run_dir=str(folder / "run"),
        admin_socket="a.sock",
        admin_listen=("::1", 9901),
        tokens_file=str(folder / "tokens"),
        user="root",
        shutdown_timeout=5,
        log_level="debug",
        log_format="json",
        watch=True,
        core_dumps=True,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what its user may not")
def test_tokens_that_the_user_may_not_read_are_refused_at_the_start(folder: Path) -> None:
    text = GOOD + "user: nobody\nadmin: {listen: '127.0.0.1:9901', tokens_file: tokens}\n"
    tokens = folder / "tokens"
    tokens.write_text("ci read sha256:" + 64 * "0")
    tokens.chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be read by nobody"):
        load(put(folder, text))
    os.chown(tokens, 0, pwd.getpwnam("nobody").pw_gid)
    tokens.chmod(0o640)
    load(put(folder, text))


def test_the_number_of_workers_can_be_overridden(folder: Path) -> None:
    path = put(folder, GOOD + "workers: 3\n")
    assert load(path, workers_override=7).settings.workers == 7
    with pytest.raises(ConfigError, match="0 is out of range: workers takes 1 to 1024"):
        load(path, workers_override=0)


def test_paths_are_relative_to_the_file_and_not_to_the_process(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(folder, GOOD)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load(path).snapshot.certificates
    monkeypatch.chdir(folder)
    assert load("fastnlb.yaml").snapshot.certificates


def test_the_key_may_be_in_the_certificate_file(folder: Path) -> None:
    both = folder / "both.pem"
    both.touch(0o600)
    both.write_bytes((folder / "www.key").read_bytes() + (folder / "www.pem").read_bytes())
    text = GOOD.replace("certificate: www.pem, private_key: www.key", "certificate: both.pem")
    assert load(put(folder, text)).snapshot == load(put(folder, GOOD)).snapshot


def test_plain_data_builds_the_same_snapshot(folder: Path) -> None:
    data = {
        "version": 1,
        "server_groups": [{"name": "web", "servers": [{"address": "127.0.0.1", "port": 8080}]}],
        "listeners": [{"name": "tcp", "protocol": "TCP", "port": 80, "server_group": "web"}],
    }
    built = build(data, base_dir=folder)
    assert built.snapshot.listeners == (Listener("tcp", "TCP", "0.0.0.0", 80, "web"),)  # noqa: S104
    assert built.file == ""


def test_problems_of_plain_data_have_a_path_and_no_line() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"version": 1, "workers": 0})
    assert [problem.render("input") for problem in caught.value.problems][-1] == (
        "input: workers: 0 is out of range: workers takes auto or 1 to 1024"
    )


def test_every_problem_is_found_at_once_and_at_its_place(folder: Path) -> None:
    text = """\
        version: 1
        workerz: 3
        certificates:
          - {name: www, certificate: www.pem, private_key: other.key}
          - {name: gone, certificate: gone.pem}
        server_groups:
          - name: web
            name: webb
            servers:
              - {address: 127.0.0.1, port: 0}
        listeners:
          - name: https
            protocol: TCPSSL
            port: 443
            server_group: wed
            idle_timeout: 1000
          - name: tcp
            protocol: TCP
            address: 127.0.0.1
            port: 443
        user: no such user
    """
    assert refusals(put(folder, text)) == [
        'fastnlb.yaml:2:1: workerz: unknown key "workerz"; did you mean "workers"?',
        f"fastnlb.yaml:4:52: certificates[0].private_key: the private key in {folder}/other.key does not belong to "
        f"the certificate in {folder}/www.pem: give the key that the certificate was requested with",
        f"fastnlb.yaml:5:31: certificates[1].certificate: {folder}/gone.pem: cannot read: No such file or directory",
        'fastnlb.yaml:8:5: server_groups[0].name: duplicate key "name"; it is given first at line 7, column 5',
        "fastnlb.yaml:10:36: server_groups[0].servers[0].port: 0 is out of range: port takes 1 to 65535 "
        "[IllegalParam.RSPortConflictWithServerGroup]",
        "fastnlb.yaml:12:5: listeners[0]: a TCPSSL listener takes a certificate: add the key certificate "
        "[MissingParam.Certificate]",
        'fastnlb.yaml:15:19: listeners[0].server_group: there is no server group "wed"; did you mean "web"? '
        "[ResourceNotFound.serverGroup]",
        "fastnlb.yaml:16:19: listeners[0].idle_timeout: 1000 is out of range: idle_timeout takes 1 to 900 seconds "
        "[IllegalParam.IdleTimeout]",
        'fastnlb.yaml:17:5: listeners[1]: missing key "server_group": the name of a server group '
        "[MissingParam.ServerGroupId]",
        'fastnlb.yaml:21:7: user: there is no user "no such user" on this machine',
    ]


def test_a_taken_socket_says_by_whom_and_on_which_line(folder: Path) -> None:
    text = GOOD + "  - {name: b, protocol: TCP, address: 10.0.0.1, port: 443, server_group: web}\n"
    assert refusals(put(folder, text)) == [
        'fastnlb.yaml:16:55: listeners[1].port: 10.0.0.1:443 is taken by the listener "https" (line 13), '
        "which listens on 0.0.0.0:443 [Conflict.Port]"
    ]


def test_broken_yaml_is_the_one_problem(folder: Path) -> None:
    (line,) = refusals(put(folder, "version: 1\nlisteners: [\n"))
    assert line.startswith("fastnlb.yaml:3:1: not valid YAML: ")


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.yaml", "No such file or directory"), (".", "Is a directory"), ("a\0b", "null")]
)
def test_a_file_that_cannot_be_read(folder: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder / name)
    (problem,) = caught.value.problems
    assert problem.render("file").startswith("file: cannot read: ")
    assert reason in problem.message


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ("weight: 10", "weight: 0", None),
        (", port: 8080}", ", port: 8080, weight: 0}", None),
        ("    servers:\n", "    servers: []\nx:\n", "there are no servers: connections to web will be closed"),
        ("    certificate: www\n", "    certificate: www\n    enabled: false\n", "no listener is enabled"),
        ("    servers:\n", "    health_check: {type: HTTP, proxy_protocol: true}\n    servers:\n", None),
        ("    certificate: www\n", "    certificate: www\n    proxy_protocol: {}\n", None),
    ],
)
def test_what_is_allowed_and_hardly_meant_is_a_warning(folder: Path, old: str, new: str, warning: str | None) -> None:
    text = GOOD.replace(old, new)
    if "x:\n" in text:
        text = "".join(line for line in text.splitlines(True) if "x:" not in line and "{address" not in line)
    warnings = load(put(folder, text)).warnings
    assert [warning in each.message for each in warnings if warning] == ([True] if warning else [])
    assert all(each.warning for each in warnings)


@pytest.mark.parametrize(
    ("check", "warned"),
    [
        ("{type: HTTP}", True),
        ("{type: HTTP, proxy_protocol: true}", False),
        ("{type: HTTP, connect_port: 81}", False),
        ("{type: HTTP, enabled: false}", False),
        ("{}", False),
    ],
)
def test_a_check_that_servers_with_a_header_do_not_understand(folder: Path, check: str, warned: bool) -> None:
    text = GOOD.replace("    servers:\n", f"    health_check: {check}\n    servers:\n")
    text = text.replace("    certificate: www\n", "    certificate: www\n    proxy_protocol: {}\n")
    warnings = [each.message for each in load(put(folder, text)).warnings]
    assert any("their health check sends none" in each for each in warnings) is warned, warnings


def test_warnings_come_along_with_errors(folder: Path) -> None:
    (folder / "www.key").chmod(0o644)
    with pytest.raises(ConfigError) as caught:
        load(put(folder, GOOD.replace("port: 443", "port: 0")))
    assert [problem.warning for problem in caught.value.problems] == [True, False]
    assert "chmod 600" in caught.value.problems[0].message


def test_no_key_is_in_any_repr_or_message(folder: Path) -> None:
    secret = (folder / "www.key").read_text().splitlines()[1]
    loaded = load(put(folder, GOOD))
    assert secret.encode() in loaded.snapshot.certificates[0].key_pem
    assert secret not in repr(loaded)
    with pytest.raises(ConfigError) as caught:
        load(put(folder, GOOD.replace("www.pem", "other.pem")))
    assert secret not in repr(caught.value) + str(caught.value) + repr(caught.value.problems)


def test_the_blocks_are_there_as_they_were_written(tmp_path: Path) -> None:
    data = {
        "version": 1,
        "workers": 2,
        "server_groups": [{"name": "web", "servers": [{"address": "127.0.0.1", "port": 8080}]}],
        "listeners": [{"name": "plain", "protocol": "TCP", "port": 80, "server_group": "web"}],
    }
    assert build(data, base_dir=tmp_path).document == {
        "certificates": [],
        "ca_certificates": [],
        "security_policies": [],
        "server_groups": data["server_groups"],
        "listeners": data["listeners"],
    }
