"""Bearer tokens: the file, the command that writes it, and who is let in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fastnlb.cli.token import token as command
from fastnlb.config.tokens import READ, WRITE, Token, TokensError, digest_of, line_of, new_token, parse_tokens
from fastnlb.control.api.gate import ATTEMPT_SECONDS, MOST_ADDRESSES, MOST_ATTEMPTS, Attempts, TokensFile

DIGEST = "sha256:" + 64 * "a"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)))


def test_a_token_is_printed_once_and_kept_as_a_digest(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    made = run("create", "ci", "--role", "write", "--tokens-file", path).output.strip()
    assert made.startswith("fnlb_")
    assert made not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert TokensFile(path).current().bearer(made) == Token("ci", WRITE, digest_of(made))


def test_a_second_token_leaves_the_first_one_and_a_revoked_one_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    first, second = (run("create", name, "--tokens-file", path).output.strip() for name in "ab")
    known = TokensFile(path)
    assert [known.current().bearer(each) is not None for each in (first, second)] == [True, True]
    assert run("create", "a", "--tokens-file", path).exit_code == 1
    assert run("revoke", "a", "--tokens-file", path).exit_code == 0
    assert [known.current().bearer(each) is not None for each in (first, second)] == [False, True]
    assert run("revoke", "a", "--tokens-file", path).exit_code == 1
    assert run("list", "--tokens-file", path).output == "b  read\n"


def test_tokens_that_are_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    names = [f"n{number}" for number in range(6)]
    words = [sys.executable, "-m", "fastnlb", "token", "create", "--tokens-file", str(path)]
    makers = [subprocess.Popen([*words, name], stdout=subprocess.DEVNULL) for name in names]
    assert [maker.wait() for maker in makers] == [0] * len(names)
    assert {line.split()[0] for line in path.read_text().splitlines()} == set(names)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ci read", "f:1: a line is `name role sha256:digest`"),
        ("# one\n\nci admin " + DIGEST, 'f:3: the role is read or write, not "admin"'),
        (f"-x read {DIGEST}", "is no name"),
        (f"a read {DIGEST}\na write {DIGEST}", 'f:2: there is a token "a" already'),
        (f"a read {DIGEST[:-1]}", "f:1: a line is"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_at_its_line(text: str, message: str) -> None:
    with pytest.raises(TokensError, match=message.replace("(", r"\(")):
        parse_tokens(text, "f")


def test_a_token_that_stands_in_the_file_by_mistake_is_not_shown() -> None:
    secret = new_token()
    with pytest.raises(TokensError) as caught:
        parse_tokens(f"ci write {secret}", "f")
    assert secret not in str(caught.value)


def test_comments_and_blank_lines_mean_nothing() -> None:
    one = Token("ci", READ, DIGEST)
    assert parse_tokens(f"# mine\n\n{line_of(one)}  # for the robot\n", "f").all == (one,)


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("")
    path.chmod(0o666)
    assert "chmod o-w" in run("list", "--tokens-file", path).output


def test_a_half_written_file_leaves_who_was_known(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    made = run("create", "ci", "--tokens-file", path).output.strip()
    known = TokensFile(path)
    assert known.current().bearer(made) is not None
    path.write_text("ci read sha")
    assert known.current().bearer(made) is not None
    path.unlink()
    assert known.current().bearer(made) is None


def test_who_fails_too_often_waits() -> None:
    now = [100.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(MOST_ATTEMPTS):
        assert attempts.wait("10.0.0.1") == 0
        attempts.failed("10.0.0.1")
    assert attempts.wait("10.0.0.1") == ATTEMPT_SECONDS
    assert attempts.wait("10.0.0.2") == 0
    now[0] += ATTEMPT_SECONDS + 1
    assert attempts.wait("10.0.0.1") == 0


def test_attempts_from_everywhere_take_bounded_memory() -> None:
    attempts = Attempts(lambda: 0.0)
    for number in range(3 * MOST_ADDRESSES):
        attempts.failed(str(number))
    assert len(attempts._failed) == MOST_ADDRESSES


def test_a_file_stays_whose_it_is_and_keeps_its_comments(tmp_path: Path) -> None:
    """The daemon's user reads it by its group."""
    path = tmp_path / "tokens"
    path.write_text(f"# of the pipeline\nci read {DIGEST}  # until May\n")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1, 2)
    before = path.stat()
    assert run("create", "robot", "--tokens-file", path).exit_code == 0
    assert run("revoke", "ci", "--tokens-file", path).exit_code == 0
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    comment, robot = path.read_text().splitlines()
    assert (comment, robot.split()[0]) == ("# of the pipeline", "robot")


def test_a_file_that_makes_no_sense_is_said_once_and_one_that_cannot_be_read_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    made = run("create", "ci", "--tokens-file", path).output.strip()
    good = path.read_text()
    known = TokensFile(path)
    assert known.current().bearer(made) is not None
    path.write_text(good + "half")
    for _ in range(3):
        assert known.current().bearer(made) is not None
    assert len(caplog.messages) == 1 and made not in caplog.text
    path.unlink()
    path.mkdir()
    assert known.current().bearer(made) is None
    assert len(caplog.messages) == 2
    path.rmdir()
    path.write_text(good)
    assert known.current().bearer(made) is not None
