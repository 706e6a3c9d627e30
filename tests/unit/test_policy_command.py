"""`fastnlb security-policy`: what a person sees of the policies, and what a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fastnlb.cli.main import main
from fastnlb.tls.policies import SYSTEM

OWN = """\
version: 1
security_policies:
  - {name: modern, tls_versions: [TLSv1.3], ciphers: [TLS_AES_128_GCM_SHA256], groups: [X25519, P-256]}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["security-policy", *arguments], catch_exceptions=False)


@pytest.fixture(autouse=True)
def no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this user's daemons none is meant here."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("FASTNLB_URL", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "fastnlb.yaml"
    path.write_text(OWN)
    return str(path)


def test_the_list_has_the_system_policies(file: str) -> None:
    result = run("list")
    heading, *rows = result.output.splitlines()
    assert heading.split() == ["NAME", "TLS", "VERSIONS", "CIPHERS", "GROUPS", "ORIGIN"]
    assert [row.split()[0] for row in rows] == list(SYSTEM)
    assert "TLSv1.0 TLSv1.1 TLSv1.2  19, 1 not available  default  system" in rows[0]
    assert rows[-1].endswith("  system, the default")
    assert result.exit_code == 0


def test_the_list_has_the_policies_of_a_file(file: str) -> None:
    row = run("list", "-c", file).output.splitlines()[-1]
    assert row.split() == ["modern", "TLSv1.3", "1", "X25519", "P-256", "of", "the", "file"]


def test_the_list_for_a_script(file: str) -> None:
    listed = json.loads(run("list", "-c", file, "--output", "json").output)
    assert [each["name"] for each in listed] == [*SYSTEM, "modern"]
    assert listed[0]["ciphers"] == list(SYSTEM["tls_cipher_policy_1_0"].ciphers)
    assert [each["default"] for each in listed] == [False, False, False, False, True, False]


def test_one_policy_in_the_order_of_the_server() -> None:
    lines = run("show", "tls_cipher_policy_1_0").output.splitlines()
    assert lines[:4] == [
        "name          tls_cipher_policy_1_0 (system)",
        "TLS versions  TLSv1.0 TLSv1.1 TLSv1.2",
        "groups        X25519MLKEM768 X25519 P-256 X448 P-384 P-521",
        "ciphers       ECDHE-ECDSA-AES128-GCM-SHA256",
    ]
    assert lines[-2:] == ["              AES256-SHA", "              DES-CBC3-SHA (not available)"]


def test_one_policy_for_a_script(file: str) -> None:
    assert json.loads(run("show", "modern", "--config", file, "--output", "json").output) == {
        "name": "modern",
        "tls_versions": ["TLSv1.3"],
        "ciphers": ["TLS_AES_128_GCM_SHA256"],
        "groups": ["X25519", "P-256"],
        "system": False,
        "default": False,
        "ciphers_not_available": [],
    }
    shown = json.loads(run("show", "tls_cipher_policy_1_2", "--output", "json").output)
    assert shown["ciphers_not_available"] == ["DES-CBC3-SHA"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tls_cipher_policy_1_3", '"tls_cipher_policy_1_3"; did you mean "tls_cipher_policy_1_'),
        ("zzz", '"zzz"; there are tls_cipher_policy_1_0, '),
        ("modern", '"modern"; there are '),
        ("\x1b[2J", '"\\u001b[2J"; there are '),
    ],
)
def test_an_unknown_name_is_refused_with_one_that_was_meant(name: str, says: str) -> None:
    result = run("show", name)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"fastnlb: there is no security policy {says}")
    assert result.stderr.count("\n") == 1


def test_a_wrong_file_is_refused_with_its_places(file: str) -> None:
    Path(file).write_text(OWN.replace("TLSv1.3", "TLSv1.4"))
    for arguments in (["list"], ["show", "modern"]):
        result = run(*arguments, "-c", file)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith(f"{file}:3:35: security_policies[0].tls_versions[0]: tls_versions takes")
    assert run("list", "-c", file + "x").stderr == f"{file}x: cannot read: No such file or directory\n"


@pytest.mark.parametrize("arguments", [["show"], ["list", "--output", "xml"], ["forget"]])
def test_wrong_usage_is_exit_status_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_command_is_in_the_help() -> None:
    assert (
        "security-policy  Security policies: the system's, and your own."
        in CliRunner().invoke(main, ["--help"]).output
    )
