"""`fastnlb check` as a person or a script meets it: its lines, its JSON and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fastnlb.cli.check import check
from fastnlb.tls.material import self_signed

GOOD = """\
version: 1
certificates:
  - {name: www, certificate: www.pem, private_key: www.key}
server_groups:
  - name: web
    servers: [{address: 127.0.0.1, port: 8080}]
listeners:
  - {name: https, protocol: TCPSSL, address: 127.0.0.1, port: 443, server_group: web, certificate: www}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    chain, key = self_signed(["www.example.com"])
    Path("www.pem").write_bytes(chain)
    Path("www.key").touch(0o600)
    Path("www.key").write_bytes(key)
    Path("fastnlb.yaml").write_text(GOOD)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(check, arguments, catch_exceptions=False)


def test_a_good_file_is_ok_and_says_what_is_in_it(folder: Path) -> None:
    result = run("-c", "fastnlb.yaml")
    assert result.output == "fastnlb.yaml: ok (1 listener, 1 server group, 1 certificate)\n"
    assert result.exit_code == 0


def test_a_warning_is_said_and_does_not_fail(folder: Path) -> None:
    (folder / "www.key").chmod(0o644)
    result = run("--config", "fastnlb.yaml")
    warning, summary = result.output.splitlines()
    assert warning.startswith("fastnlb.yaml:3:5: certificates[0]: warning: www.key holds a private key")
    assert summary == "fastnlb.yaml: ok (1 listener, 1 server group, 1 certificate), 1 warning"
    assert result.exit_code == 0


def test_a_bad_file_has_one_line_for_each_problem_and_a_last_one_that_counts(folder: Path) -> None:
    (folder / "www.key").chmod(0o644)
    (folder / "fastnlb.yaml").write_text(GOOD.replace("port: 443", "port: 0").replace("version", "versio"))
    result = run("-c", "fastnlb.yaml")
    assert result.output.splitlines() == [
        'fastnlb.yaml:1:1: versio: unknown key "versio"; did you mean "version"?',
        "fastnlb.yaml:3:5: certificates[0]: warning: www.key holds a private key and others than its owner can read "
        "it: chmod 600 it",
        "fastnlb.yaml:8:63: listeners[0].port: 0 is out of range: port takes 1 to 65535 [IllegalParam.Port]",
        "fastnlb.yaml: 2 errors, 1 warning",
    ]
    assert result.exit_code == 1


def test_json_for_a_good_file(folder: Path) -> None:
    result = run("-c", "fastnlb.yaml", "--format", "json")
    assert json.loads(result.output) == {"file": "fastnlb.yaml", "ok": True, "problems": [], "notes": []}
    assert result.exit_code == 0


def test_json_for_a_bad_file(folder: Path) -> None:
    (folder / "fastnlb.yaml").write_text(GOOD + "workers: 0\n")
    result = run("-c", "fastnlb.yaml", "--format", "json")
    assert json.loads(result.output) == {
        "file": "fastnlb.yaml",
        "ok": False,
        "problems": [
            {
                "line": 9,
                "column": 10,
                "path": "workers",
                "severity": "error",
                "message": "0 is out of range: workers takes auto or 1 to 1024",
                "code": "",
            }
        ],
        "notes": [],
    }
    assert result.exit_code == 1


def test_json_tells_warnings_from_errors(folder: Path) -> None:
    (folder / "www.key").chmod(0o644)
    answer = json.loads(run("-c", "fastnlb.yaml", "--format", "json").output)
    assert answer["ok"] is True
    assert [problem["severity"] for problem in answer["problems"]] == ["warning"]


OLD = GOOD.replace("certificate: www}", "certificate: www, security_policy: tls_cipher_policy_1_0}")
OLD_NOTE = (
    "security policy tls_cipher_policy_1_0: DES-CBC3-SHA is not in the bundled TLS library; "
    "the policy works without it"
)


def test_a_note_tells_what_the_library_lacks_of_a_policy_in_use(folder: Path) -> None:
    (folder / "fastnlb.yaml").write_text(OLD)
    result = run("-c", "fastnlb.yaml")
    assert result.output.splitlines() == [
        f"note: {OLD_NOTE}",
        "fastnlb.yaml: ok (1 listener, 1 server group, 1 certificate)",
    ]
    assert result.exit_code == 0
    answer = json.loads(run("-c", "fastnlb.yaml", "--format", "json").output)
    assert (answer["ok"], answer["problems"], answer["notes"]) == (True, [], [OLD_NOTE])


def test_a_policy_of_ones_own_is_noted_when_it_is_used(folder: Path) -> None:
    own = "security_policies:\n  - {name: mine, tls_versions: [TLSv1.2], ciphers: [DES-CBC3-SHA, AES128-SHA, "
    own += "ECDHE-ECDSA-AES128-SHA]}\n"
    (folder / "fastnlb.yaml").write_text(GOOD + own)
    assert "note" not in run("-c", "fastnlb.yaml").output
    (folder / "fastnlb.yaml").write_text(
        GOOD.replace("certificate: www}", "certificate: www, security_policy: mine}") + own
    )
    assert run("-c", "fastnlb.yaml").output.startswith("note: security policy mine: DES-CBC3-SHA is not in")


def test_a_refused_file_has_no_notes(folder: Path) -> None:
    (folder / "fastnlb.yaml").write_text(OLD + "workers: 0\n")
    assert json.loads(run("-c", "fastnlb.yaml", "--format", "json").output)["notes"] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [("gone.yaml", "gone.yaml: cannot read: No such file or directory"), (".", ".: cannot read: Is a directory")],
)
def test_a_file_that_cannot_be_read_is_one_line(folder: Path, path: str, line: str) -> None:
    result = run("-c", path)
    assert result.output == line + "\n"
    assert result.exit_code == 1
    assert json.loads(run("-c", path, "--format", "json").output)["ok"] is False


@pytest.mark.parametrize("arguments", [[], ["-c"], ["-c", "fastnlb.yaml", "--format", "xml"]])
def test_wrong_usage_is_exit_status_2(folder: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "contents", [b"", b"\xff\xfe", b"[" * 100_000, b"a: &a [*a]", b"{", b"- 1", b"listeners: [[]]"]
)
def test_no_file_ends_in_a_traceback(folder: Path, contents: bytes) -> None:
    (folder / "fastnlb.yaml").write_bytes(contents)
    result = run("-c", "fastnlb.yaml")
    assert result.exit_code == 1
    assert result.output.startswith("fastnlb.yaml:")
    assert result.output.splitlines()[-1] in ("fastnlb.yaml: 1 error", "fastnlb.yaml: 2 errors")


def test_letters_that_the_terminal_lacks_are_escaped(folder: Path) -> None:
    (folder / "fastnlb.yaml").write_text(GOOD + "b\u00fccher: 1\n", encoding="utf-8")
    program = "from fastnlb.cli.check import check; check()"
    answer = subprocess.run(
        [sys.executable, "-c", program, "-c", "fastnlb.yaml"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert answer.stderr == ""
    assert 'unknown key "b\\xfccher"' in answer.stdout
    assert answer.returncode == 1
