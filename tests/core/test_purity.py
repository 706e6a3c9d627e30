"""The central promise, read from the sources: no Python in the data path."""

import re
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "fastnlb" / "_core"
SOURCES = sorted([*CORE.glob("*.pyx"), *CORE.glob("*.pxd")])
# What Python calls, and what builds from Python objects; none of it runs inside the loop.
WITH_PYTHON = {
    "engine.pyx",
    "table.pyx",
    "table.pxd",
    "tlslistener.pyx",
    "tlslistener.pxd",
    "proxylistener.pyx",
    "proxylistener.pxd",
    "tlsapi.pyx",
    "tlsapi.pxd",
    "_testing.pyx",
    "_testing_log.pyx",
    "_testing_pending.pyx",
    "_testing_pick.pyx",
    "_testing_proxy.pyx",
    "buckets.pyx",
    "smooth.pyx",
}


def code(path):
    return "\n".join(line.split("#")[0] for line in path.read_text().splitlines())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_file_takes_the_gil_back_or_asserts_through_python(path):
    assert "with gil" not in code(path)
    assert not re.search(r"^\s*assert\b", code(path), re.M)


def test_the_gil_is_released_by_the_loop_and_beside_it_by_what_takes_long():
    places = [path.name for path in SOURCES for _ in re.findall(r"with nogil", code(path))]
    assert places == ["buckets.pyx", "engine.pyx", "smooth.pyx"]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name not in WITH_PYTHON], ids=lambda path: path.name)
def test_every_function_of_the_loop_is_noexcept_nogil(path):
    text = re.sub(r",\s*\n\s*", ", ", code(path))
    text = re.sub(r"cdef extern.*?(?=\n\S|\Z)", "", text, flags=re.S)
    functions = re.findall(r"^\s*(?:cdef|ctypedef) (?:inline )?[\w* ]+[ *(]+\w+\)?\(.*\).*$", text, re.M)
    careless = [line for line in functions if "noexcept nogil" not in line]
    assert not careless


def test_no_system_openssl_is_linked():
    """Two OpenSSLs in one process would be incompatible."""
    for library in CORE.glob("*.so"):
        assert b"libssl" not in library.read_bytes(), library.name
