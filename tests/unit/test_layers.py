"""Facts flow one way: no package imports against the stream, and each secret has one keeper."""

import ast
from pathlib import Path

import pytest

import fastnlb

PACKAGE = Path(fastnlb.__file__).parent
MAY_IMPORT = {
    "model": set(),
    "stats": {"tls"},
    "board": set(),
    "channel": {"model"},
    "hardening": set(),
    "signature": set(),
    "procstat": set(),
    "privileges": {"hardening"},
    "preserving": {"model"},
    "console": set(),
    "tls": {"model", "signature"},
    "config": {"model", "tls", "privileges"},
    "master": {"model", "channel", "hardening", "privileges", "preserving", "procstat"},
    "control": {
        *("model", "signature", "board", "channel", "stats", "tls", "config", "hardening", "privileges", "console"),
    },
    "worker": {"model", "board", "channel", "stats", "tls", "preserving", "master", "_core"},
    "cli": {
        *("model", "board", "config", "tls", "stats", "master", "control", "worker"),
        *("hardening", "privileges", "procstat"),
    },
    "reference": {"config", "cli", "control"},
}
FOREIGN_KEEPERS = {
    "OpenSSL": {"tls", "worker"},
    "cryptography": {"tls"},
    "yaml": {"config"},
    "pydantic": {"config", "reference"},
    "dns": {"control"},
    "fastapi": {"control"},
    "uvicorn": {"control"},
    "sqlite3": {"control"},
    "psutil": {"control"},
    "rich": {"cli"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(part):
    single = PACKAGE / f"{part}.py"
    return [single] if single.exists() else sorted((PACKAGE / part).rglob("*.py"))


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_lies_before_it(part):
    for path in sources(part):
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("fastnlb.")}
        against = ours - MAY_IMPORT[part] - {part, "__version__"}
        assert not against, f"{path.name} imports {against}"


@pytest.mark.parametrize("library", FOREIGN_KEEPERS)
def test_a_library_is_known_to_its_keepers_only(library):
    for part in MAY_IMPORT:
        users = [path.name for path in sources(part) if library in {name.split(".")[0] for name in imported(path)}]
        assert not users or part in FOREIGN_KEEPERS[library], f"{part}: {users} import {library}"


def test_only_the_binding_touches_the_cffi_library():
    users = [path for path in PACKAGE.rglob("*.py") if "bindings._rust" in path.read_text()]
    assert users == [PACKAGE / "tls" / "binding.py"]


def test_the_master_has_never_heard_of_those_it_serves():
    for path in sources("master"):
        assert not {
            name for name in imported(path) if name.startswith(("fastnlb.control", "fastnlb.worker", "thread"))
        }


def test_the_worker_takes_only_the_vocabulary_of_the_master():
    for path in sources("worker"):
        names = {name for name in imported(path) if name.startswith("fastnlb.master")}
        assert names <= {"fastnlb.master.process"} | {
            f"fastnlb.master.process.{word}" for word in ("Seat", "WORKER_DONE", "WORKER_REFUSED")
        }


def test_the_store_knows_neither_loop_nor_network_nor_the_rest_of_control():
    for path in sources("control/store"):
        names = set(imported(path))
        assert not {name.split(".")[0] for name in names} & {"asyncio", "socket", "selectors", "http"}, path.name
        ours = {name for name in names if name.startswith("fastnlb.control.")}
        assert all(name.startswith("fastnlb.control.store") for name in ours), path.name
