"""A state directory that root makes for the user that a daemon becomes."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certs import Issued
from support.open_folder import open_folder
from support.own_network import in_child

from fastnlb.control.store.errors import StateDirError
from fastnlb.control.store.loader import StoreLoader
from fastnlb.hardening import dumpable
from fastnlb.privileges import acting_as, identity

SETTINGS = "version: 1\nworkers: 3\n"
WEB = "server_groups: [{name: web, servers: [{address: 127.0.0.1, port: 8080}]}]\n"
PLAIN = "listeners:\n  - {name: plain, protocol: TCP, port: 80, server_group: web}\n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "base.yaml"


NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = SETTINGS + "user: nobody\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def owners(path: Path) -> set[int]:
    return {each.lstat().st_uid for each in (path, *path.rglob("*"))}


@pytest.fixture
def reachable() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "state"


@needs_root
def test_a_directory_of_roots_becomes_that_of_the_user(base: Path, reachable: Path, tmp_path: Path) -> None:
    Issued.root().issue("www.test").write(tmp_path)  # which only root can read
    text = "certificates: [{name: www, certificate: server.pem, private_key: server.key}]\n"
    base.write_text(SETTINGS + text)
    StoreLoader(reachable, base).start()
    assert owners(reachable) == {0}
    for _ in range(2):
        base.write_text(AS_NOBODY + text)
        StoreLoader(reachable, base).start()
        assert owners(reachable) == {NOBODY.pw_uid}
    base.write_text(SETTINGS)
    with pytest.raises(StateDirError, match="belongs to nobody, not to root: change its owner, or `user`"):
        StoreLoader(reachable, base).start()


@needs_root
def test_what_root_imports_for_a_user_is_that_users(base: Path, reachable: Path, tmp_path: Path) -> None:
    Issued.root().issue("www.test").write(tmp_path)
    (tmp_path / "server.key").chmod(0o600)
    base.write_text(AS_NOBODY + "certificates: [{name: www, certificate: server.pem, private_key: server.key}]\n")
    StoreLoader(reachable, base).start()
    assert len(list(reachable.rglob("*.key"))) == 1
    assert owners(reachable) == {NOBODY.pw_uid}
    assert os.geteuid() == 0


@needs_root
def test_a_directory_that_the_user_cannot_reach_is_refused_at_once(base: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    base.write_text(AS_NOBODY)
    with pytest.raises(StateDirError, match="Permission denied"):
        StoreLoader(hidden / "state", base).start()
    assert os.geteuid() == 0


@needs_root
def test_links_in_a_directory_lead_nowhere(base: Path, reachable: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("x")
    base.write_text(SETTINGS)
    StoreLoader(reachable, base).start()
    (reachable / "material").mkdir(exist_ok=True)
    (reachable / "material" / ("0" * 64 + ".pem")).symlink_to(theirs)
    base.write_text(AS_NOBODY)
    StoreLoader(reachable, base).start()
    assert theirs.stat().st_uid == 0
    (reachable / "fastnlb.db").unlink()
    (reachable / "fastnlb.db").symlink_to(theirs)
    with pytest.raises(StateDirError, match=r"fastnlb\.db is a symbolic link: it has to be a file"):
        StoreLoader(reachable, base).start()
    assert theirs.read_text() == "x"


@needs_root
def test_root_is_root_again_afterwards() -> None:
    def act() -> None:
        before = (os.geteuid(), os.getegid(), os.getgroups(), dumpable())
        assert before[3]
        with acting_as(identity("nobody")):
            assert (os.geteuid(), os.getegid()) == (NOBODY.pw_uid, NOBODY.pw_gid)
            assert os.getgroups() == [NOBODY.pw_gid]
        assert (os.geteuid(), os.getegid(), os.getgroups(), dumpable()) == before

    in_child(act)
