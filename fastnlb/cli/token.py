"""`fastnlb token`: bearer tokens for the API over TCP.  A token is shown once; what is kept of it is a digest.

Exit status: 0 done, 1 refused, 2 usage.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from fastnlb.config.tokens import READ, WRITE, Token, Tokens, TokensError, digest_of, line_of, new_token, read_tokens
from fastnlb.master.exits import EXIT_REFUSED

_FILE = click.option(
    "--tokens-file",
    "path",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that `admin.tokens_file` names.",
)


@click.group()
def token() -> None:
    """Bearer tokens for the API over TCP."""


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([READ, WRITE]),
    default=READ,
    show_default=True,
    help="What it is good for: to read, or to write as well.",
)
@_FILE
def create(name: str, role: str, path: Path) -> None:
    """Make a token called NAME, and print it: this once."""
    made = new_token()
    with _turn(path):
        if any(each.name == name for each in _known(path).all):
            _refuse(f"{path}: there is a token {name} already: revoke it first")
        _write(path, [*_lines(path), line_of(Token(name, role, digest_of(made)))])
    click.echo(made)


@token.command()
@click.argument("name")
@_FILE
def revoke(name: str, path: Path) -> None:
    """Take the token called NAME away: who bears it is refused from the next request on."""
    with _turn(path):
        if all(each.name != name for each in _known(path).all):
            _refuse(f"{path}: there is no token {name}")
        _write(path, [line for line in _lines(path) if line.split()[:1] != [name]])


@token.command("list")
@_FILE
def list_(path: Path) -> None:
    """Show names and roles."""
    for each in _known(path).all:
        click.echo(f"{each.name}  {each.role}")


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """One at a time reads the file and writes it.  They wait at its folder: the file is another one each time."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        _refuse(f"cannot write {path}: {error.strerror or error}")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _known(path: Path) -> Tokens:
    try:
        return read_tokens(path) if path.exists() else Tokens(())
    except TokensError as error:
        _refuse(str(error))


def _lines(path: Path) -> list[str]:
    """With comments; of a file that was read before."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _write(path: Path, lines: list[str]) -> None:
    """All at once; whoever reads it meanwhile sees the old one.  It stays whose it is; a new one is for this user."""
    path = path.resolve()
    made = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        made.touch(mode=0o600, exist_ok=False)
        if path.exists():
            before = path.stat()
            os.chown(made, before.st_uid, before.st_gid)
            made.chmod(stat.S_IMODE(before.st_mode))
        with made.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except OSError as error:
        made.unlink(missing_ok=True)
        _refuse(f"cannot write {path}: {error.strerror or error}")


def _refuse(message: str) -> NoReturn:
    click.echo(f"fastnlb: {message}", err=True)
    click.get_current_context().exit(EXIT_REFUSED)
