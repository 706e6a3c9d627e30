"""Commands on resources beside a real daemon in store mode: what they do to what is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from support.api import Managed
from support.procs import free_port, taken_port, wait_for
from support.site import Site, certificate_in, certificate_of, connection, serves

from fastnlb.cli.main import main
from fastnlb.config.tokens import Token, digest_of, line_of, new_token


@pytest.fixture(autouse=True)
def own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other daemons of this user are none of this test's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for variable in ("FASTNLB_URL", "FASTNLB_TOKEN", "FASTNLB_TOKEN_FILE", "FASTNLB_CA_FILE"):
        monkeypatch.delenv(variable, raising=False)


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False, input=text)


def done(*arguments: str, text: str | None = None) -> list[str]:
    result = run(*arguments, text=text)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def with_group(managed: Managed) -> None:
    host, port = managed.server
    assert done("server-group", "create", "g", "--server", f"{host}:{port}") == ["+ server group g (1 server)"]


def test_from_nothing_to_tls_and_back(managed: Managed) -> None:
    port = free_port()
    files = ["--certificate", str(managed.folder / "www.pem"), "--private-key", str(managed.folder / "www.key")]
    assert done("certificate", "create", "www", *files) == ["+ certificate www"]
    with_group(managed)
    typed = ["--protocol", "TCPSSL", "--address", "127.0.0.1", "--port", str(port), "--server-group", "g"]
    plan = [f"+ listener https 127.0.0.1:{port}"]
    assert done("listener", "create", "https", *typed, "--certificate", "www", "--dry-run")[-1:] == plan
    assert not serves(port)
    assert done("listener", "create", "https", *typed, "--certificate", "www", "--tag", "env=prod")[-1:] == plan
    assert certificate_of(port) == certificate_in(managed.folder)

    managed.new_certificate("second.test")
    assert "~ certificate www: new chain" in done("certificate", "update", "www", *files)[0]
    assert certificate_of(port) == certificate_in(managed.folder)

    changed = done("listener", "update", "https", "--idle-timeout", "60", "--set", "cps=5", "--unset", "tags.env")
    assert "idle_timeout 900 -> 60" in changed[0]
    shown = json.loads(run("listener", "show", "https", "--output", "json").output)
    assert (shown["idle_timeout"], shown["cps"], shown["tags"]) == (60, 5, {})
    assert done("listener", "update", "https", "--unset", "idle_timeout")[0].endswith("idle_timeout 60 -> 900")

    assert done("listener", "stop", "https") == ["~ listener https: enabled true -> false"]
    assert not serves(port)
    assert done("listener", "start", "https") == ["~ listener https: enabled false -> true"]
    assert done("listener", "start", "https") == ["nothing has changed"]
    assert done("listener", "delete", "https")[-1:] == ["- listener https"]
    assert done("certificate", "delete", "www") == ["- certificate www"]


def test_problems_are_at_their_fields(managed: Managed) -> None:
    with_group(managed)
    typed = ["listener", "create", "https", "--protocol", "TCP", "--port", "70000", "--server-group", "none"]
    result = run(*typed, "--idle-timeout", "0")
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert "listener https: port: 70000 is out of range: port takes 1 to 65535 [IllegalParam.Port]" in lines
    assert any(line.startswith("listener https: server_group: ") for line in lines)
    assert any(line.startswith("listener https: idle_timeout: 0 is out of range") for line in lines)
    assert run("server-group", "create", "g").stderr.endswith("[Conflict.Name]\n")
    assert run("listener", "show", "none").exit_code == 1
    assert run("certificate", "create", "www", "--certificate", str(managed.folder / "www.pem")).exit_code == 1


def test_what_the_workers_refuse_changes_nothing(managed: Managed) -> None:
    with_group(managed)
    with taken_port() as port:
        typed = ["--protocol", "TCP", "--address", "127.0.0.1", "--port", str(port), "--server-group", "g"]
        result = run("listener", "create", "l", *typed)
    assert result.exit_code == 1
    assert result.stderr.startswith("listener l: nothing has changed: ")
    assert len(result.stderr.splitlines()) == 1
    assert done("listener", "list", "--output", "json") == ["[]"]


def test_what_is_in_use_stays(managed: Managed) -> None:
    managed.serving()
    result = run("server-group", "delete", "g")
    assert result.exit_code == 1
    assert result.stderr == "server group g is used by listener l [ResourceInUse.ServerGroup]\n"
    assert "[OperationDenied.SystemPolicy]" in run("security-policy", "delete", "tls_cipher_policy_1_0").stderr


def test_two_who_change_the_same(managed: Managed) -> None:
    managed.serving()
    etag = json.loads(run("listener", "show", "l", "--output", "json").output)["etag"]
    assert done("listener", "update", "l", "--cps", "7", "--if-match", etag)[0].endswith("cps 0 -> 7")
    late = run("listener", "update", "l", "--cps", "9", "--if-match", etag)
    assert late.exit_code == 1
    assert late.stderr.startswith("listener l: ")
    assert run("listener", "delete", "l", "--if-match", etag).exit_code == 1


def test_servers_of_a_group_one_by_one(managed: Managed) -> None:
    managed.serving()
    host, port = managed.server
    assert done("server-group", "add-server", "g", "[::1]:9", "--weight", "5")[0].endswith("server [::1]:9 added")
    changed = done("server-group", "update-server", "g", "[::1]:9", "--weight", "0")
    assert changed[0].endswith("server [::1]:9 weight 5 -> 0")
    assert done("server-group", "remove-server", "g", "[::1]:9")[0].endswith("server [::1]:9 removed")
    assert done("server-group", "add-server", "g", "unix:/nowhere/a b.sock")[0].endswith("added")
    assert done("server-group", "remove-server", "g", "unix:/nowhere/a b.sock")[0].endswith("removed")
    row = f"{host}:{port}"
    wait_for(lambda: "normal" in run("listener", "health", "l").output, "a probe")
    assert [row, "100", "normal", "-", "0"] in [line.split() for line in done("listener", "health", "l")]
    assert run("server-group", "remove-server", "g", "10.9.9.9:1").exit_code == 1


def test_lists_of_every_kind(managed: Managed) -> None:
    (managed.folder / "crl.pem").write_text("")
    port = managed.serving(tags={"env": "prod"})
    done("certificate", "create", "www", "--self-signed", "www.test,api.test")
    done("security-policy", "create", "modern", "--tls-versions", "TLSv1.3", "--ciphers", "TLS_AES_128_GCM_SHA256")
    with connection(port):
        (line,) = done("listener", "list", "--tag", "env=prod", "--name", "l*", "--protocol", "TCP")[1:]
    assert line.split()[:5] == ["l", "TCP", f"127.0.0.1:{port}", "running", "g"]
    assert line.split()[-2:] == ["1", "env=prod"]
    assert done("listener", "list", "--tag", "env=test")[1:] == []
    assert done("server-group", "list")[1].split()[-1] == "l"
    (line,) = done("certificate", "list")[1:]
    assert line.split()[:6] == ["www", "www.test", "api.test", "ECDSA", "secp256r1", "(self-signed)"]
    assert done("ca-certificate", "list")[0].split()[:2] == ["NAME", "SUBJECTS"]
    policies = done("security-policy", "list")
    assert len(policies) == 7
    assert next(each for each in policies if each.startswith("modern")).endswith("of the daemon")
    assert "PRIVATE KEY" not in run("certificate", "show", "www", "--output", "yaml").output
    assert done("security-policy", "show", "modern")[0] == "name          modern (of the daemon)"


def test_more_than_one_page(managed: Managed) -> None:
    groups = [{"name": f"g{number:04}", "servers": []} for number in range(1001)]
    done("apply", "-f", "-", text=json.dumps({"server_groups": groups}))
    assert len(done("server-group", "list")) == 1002


def test_a_resource_goes_out_and_comes_back(managed: Managed) -> None:
    managed.serving()
    text = run("listener", "show", "l", "--output", "yaml").output
    assert done("listener", "update", "l", "-f", "-", "--replace", text=text) == ["nothing has changed"]
    done("listener", "delete", "l")
    assert done("listener", "create", "-f", "-", text=text)[0].startswith("+ listener l ")


def test_quick_creation(managed: Managed) -> None:
    port, (host, server) = free_port(), managed.server
    typed = ["--listen", f"127.0.0.1:{port}", "--server", f"{host}:{server}", "--self-signed", "www.test"]
    lines = done("listener", "quick", "shop", *typed)
    assert {"+ certificate shop", "+ server group shop (1 server)", f"+ listener shop 127.0.0.1:{port}"} <= set(lines)
    assert certificate_of(port)


def test_a_configuration_file_is_applied_and_exported(managed: Managed) -> None:
    port, moved = free_port(), free_port()
    host, server = managed.server
    file = managed.folder / "all.yaml"
    text = f"""\
version: 1
workers: 3
certificates: [{{name: www, certificate: www.pem, private_key: www.key}}]
server_groups: [{{name: g, servers: [{{address: {host}, port: {server}}}]}}]
listeners:
  - {{name: tls, protocol: TCPSSL, address: 127.0.0.1, port: {port}, server_group: g, certificate: www}}
"""
    file.write_text(text)
    result = run("apply", "-f", str(file))
    assert result.exit_code == 0, result.output
    assert "not sent, its own file has them: workers" in result.stderr
    assert f"+ listener tls 127.0.0.1:{port}" in result.stdout.splitlines()
    assert certificate_of(port) == certificate_in(managed.folder)

    for form in ("yaml", "json"):
        exported = run("export", "--output", form).stdout
        assert "PRIVATE KEY" not in exported
        assert done("apply", "-f", "-", text=exported) == ["nothing has changed"]
    document = yaml.safe_load(run("export").stdout)
    document["listeners"][0]["port"] = moved
    assert done("apply", "-f", "-", text=json.dumps(document)) == [f"~ listener tls: port {port} -> {moved}"]

    file.write_text(text.replace(f"port: {port}", "port: 0"))
    refused = run("apply", "-f", str(file))
    assert refused.exit_code == 1
    column = text.splitlines()[5].index("port:") + 7
    assert f"{file}:6:{column}: listener tls: port: 0 is out of range" in refused.stderr


def test_history_and_going_back(managed: Managed) -> None:
    port = managed.serving()
    done("listener", "update", "l", "--cps", "9", "--tag", "a=b")
    rows = [line.split(maxsplit=3) for line in done("history")]
    assert rows[0] == ["REVISION", "AT", "AUTHOR", "SUMMARY"]
    newest = rows[1]
    assert newest[3].startswith("update listener l")
    number = int(newest[0])
    assert done("history", "show", str(number))[1:] == ["~ listener l: cps 0 -> 9, tags.a none -> b"]
    assert done("history", "diff", str(number), str(number - 1)) == ["~ listener l: cps 9 -> 0, tags.a b -> none"]
    assert done("history", "restore", str(number - 2), "--dry-run") == ["- listener l"]
    assert serves(port)
    assert done("history", "restore", str(number - 2)) == ["- listener l"]
    assert not serves(port)
    assert run("history", "restore", "999").exit_code == 1
    assert len(done("history", "list", "--limit", "2")) == 3


def test_status_names_mode_and_revision(managed: Managed) -> None:
    managed.serving()
    assert done("status")[0].endswith(", store mode, revision 2")


def test_a_daemon_with_a_file_shows_and_does_not_change(site: Site) -> None:
    port = free_port()
    site.write(port)
    site.start()
    assert done("listener", "list")[1].split()[0] == "l0"
    assert done("status")[0].endswith(", file mode")
    for words in (["listener", "delete", "l0"], ["listener", "stop", "l0"], ["apply", "-f", str(site.file)]):
        result = run(*words)
        assert result.exit_code == 1
        assert "[OperationDenied.ReadOnly]" in result.stderr
    assert serves(port)


def test_a_token_over_tcp(managed: Managed) -> None:
    """As another machine would: no admin socket, no environment of this user."""
    managed.running.kill()
    reader, writer = new_token(), new_token()
    tokens = [Token("r", "read", digest_of(reader)), Token("w", "write", digest_of(writer))]
    (managed.folder / "tokens").touch(mode=0o600)
    (managed.folder / "tokens").write_text("".join(f"{line_of(each)}\n" for each in tokens))
    managed.settings(f"admin: {{listen: '127.0.0.1:{managed.port}', tokens_file: tokens}}\n")
    managed.start()
    for name, token in (("r.token", reader), ("w.token", writer), ("x.token", "fnlb_wrong")):
        (managed.folder / name).write_text(f"{token}\n")

    def remote(token: str, *words: str) -> subprocess.CompletedProcess[str]:
        url = ["--url", f"http://127.0.0.1:{managed.port}", "--token-file", str(managed.folder / token)]
        start = [sys.executable, "-m", "fastnlb", *words, *url]
        return subprocess.run(start, capture_output=True, text=True, timeout=60, check=False)

    assert remote("w.token", "server-group", "create", "g").stdout == "+ server group g (0 servers)\n"
    listed = remote("r.token", "server-group", "list", "--output", "json")
    assert [each["name"] for each in json.loads(listed.stdout)] == ["g"]
    for token in ("r.token", "x.token"):
        refused = remote(token, "server-group", "delete", "g")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("server group g: ")
    assert remote("r.token", "top", "--once", "--interval", "0.1").returncode == 0
    stopped = remote("w.token", "stop")
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, "stopped")
    assert managed.running.wait_exit() == 0
