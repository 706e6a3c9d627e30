"""`fastnlb completion`: the scripts, and what a shell is offered through them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "fastnlb"]


def fastnlb(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, **environment},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("bash", ["complete -o nosort -F _fastnlb_completion fastnlb", "_FASTNLB_COMPLETE=bash_complete"]),
        ("zsh", ["#compdef fastnlb", "compdef _fastnlb_completion fastnlb", "_FASTNLB_COMPLETE=zsh_complete"]),
        ("fish", ["complete --no-files --command fastnlb", "_FASTNLB_COMPLETE=fish_complete"]),
    ],
)
def test_a_script_for_each_shell(shell: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    script = fastnlb("completion", shell, PATH="/nowhere")  # no shell is asked
    for word in words:
        assert word in script


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("fastnlb sta", {"status"}),
        ("fastnlb re", {"reload"}),
        ("fastnlb security-policy ", {"list", "show", "create", "update", "delete"}),
        ("fastnlb listener create --alpn-policy HTTP2O", {"HTTP2Only", "HTTP2Optional"}),
        ("fastnlb quick --alpn-policy HTTP2", {"HTTP2Only", "HTTP2Optional", "HTTP2Preferred"}),
        ("fastnlb completion ", {"bash", "zsh", "fish"}),
        ("fastnlb status --out", {"--output"}),
        ("fastnlb eload", set()),
    ],
)
def test_bash_is_offered_what_fits(tmp_path: Path, line: str, offered: set[str]) -> None:
    """The script runs in a bash, which calls its function as it does when somebody presses the key."""
    program = tmp_path / "fastnlb"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastnlb "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "completion.bash"
    script.write_text(fastnlb("completion", "bash"))
    words = line.split(" ")
    typed = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        [
            "bash",
            "--norc",
            "-c",
            f'. "{script}"; COMP_WORDS=({typed}) COMP_CWORD={len(words) - 1}; _fastnlb_completion fastnlb;'
            ' printf "%s\\n" "${COMPREPLY[@]}"',
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize(
    ("shell", "answer"),
    [
        ("zsh", "plain\nstatus\nShow a running daemon: workers, listeners, servers.\n"),
        ("fish", "plain,status\tShow a running daemon: workers, listeners, servers.\n"),
    ],
)
def test_the_other_shells_are_shown_what_a_command_does(shell: str, answer: str) -> None:
    words = {"COMP_WORDS": "fastnlb sta", "COMP_CWORD": "1" if shell == "zsh" else "sta"}
    assert fastnlb(_FASTNLB_COMPLETE=f"{shell}_complete", **words) == answer


def test_no_command_is_imported_to_complete_its_name() -> None:
    code = (
        "import sys; from fastnlb.cli.main import main; from click.shell_completion import BashComplete;"
        "found = BashComplete(main, {}, 'fastnlb', '_FASTNLB_COMPLETE').get_completions([], '');"
        "print(len(found), [name for name in sys.modules if name.startswith('fastnlb.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    count, modules = done.stdout.split(" ", 1)
    assert int(count) > 8
    assert modules == "['fastnlb.cli.main']\n"
