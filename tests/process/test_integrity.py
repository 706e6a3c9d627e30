"""Every byte arrives, in order, in both directions: by the gigabyte, in crowds, in every version, for every client.

Both ends hash what they receive; the streams are such that loss, change and reordering all show (support.stream).
The daemon is the real one with two workers, and must hold nothing afterwards.
"""

import concurrent.futures
import contextlib
import hashlib
import random
import shutil
import socket
import ssl
import subprocess

import pytest
from support import servers, stream
from support.daemon import quick

GIGABYTE = 1 << 30
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
SIZES = (0, 1, 1000, 16_384, 16_385, 65_536, 65_537, 300_000, 1 << 20, 8 << 20)
CROWD = 200


def required(program):
    path = shutil.which(program)
    assert path, f"{program} is required for this test: install it (apt-get install {program})"
    return path


@contextlib.contextmanager
def serving(folder, material, kind, *options):
    """The daemon in front of a server of this kind; it must hold nothing when the test is over."""
    material.write(folder)
    (folder / "ca.pem").write_bytes(material.ca_pem)
    with servers.running(kind, folder) as server, quick(folder, [server], *options) as daemon:
        yield daemon
        daemon.assert_nothing_held()


def connect(daemon, context=None):
    sock = socket.create_connection(daemon.address, timeout=60)
    return context.wrap_socket(sock, server_hostname="localhost") if context else sock


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_a_gigabyte_each_way_at_once_through_one_connection(tmp_path, material, version):
    expected = stream.digest(GIGABYTE)
    with serving(tmp_path, material, "mirror") as daemon:
        with connect(daemon, material.client_context(VERSIONS[version])) as client:
            assert client.version() == version
            told, received = stream.exchange(client, GIGABYTE, GIGABYTE)
        assert told == expected, "the server received something else"
        assert received == expected, "the client received something else"
        numbers = daemon.wait_numbers(connections=0)
        assert numbers["bytes_up"] == GIGABYTE + stream.HEADER.size
        assert numbers["bytes_down"] == GIGABYTE + stream.DIGEST_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["TLS", "plain"])
def test_a_crowd_of_mixed_sizes(tmp_path, material, transport):
    """TLS 1.2 and 1.3 in turns; either worker must have served both."""
    chance = random.Random(7)  # noqa: S311 - to be repeatable is all that is asked of it
    jobs = [(chance.choice(SIZES), chance.choice(SIZES)) for _ in range(CROWD)]
    digests = {size: stream.digest(size) for size in SIZES}
    contexts = [material.client_context(version) for version in VERSIONS.values()]
    options = ("--protocol", "TCP") if transport == "plain" else ()
    with serving(tmp_path, material, "mirror", *options) as daemon:

        def run(number):
            up, down = jobs[number]
            with connect(daemon, contexts[number % 2] if transport == "TLS" else None) as client:
                told, received = stream.exchange(client, up, down)
            return told == digests[up], received == digests[down]

        with concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
            results = list(pool.map(run, range(CROWD)))
        wrong = [(jobs[number], result) for number, result in enumerate(results) if result != (True, True)]
        assert wrong == []
        numbers = daemon.wait_numbers(connections=0)
        assert numbers["accepted"] == numbers["closed_clean"] == CROWD
        if transport == "TLS":
            for row in daemon.rows():
                assert row["handshakes_tls12"] > 0, daemon.rows()
                assert row["handshakes_tls13"] > 0, daemon.rows()
                assert row["handshakes"] == row["handshakes_tls12"] + row["handshakes_tls13"]


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client(tmp_path, material, option):
    """It checks our certificate and has its lines echoed."""
    with serving(tmp_path, material, "echo") as daemon:
        client = subprocess.Popen(
            [
                required("openssl"),
                "s_client",
                "-connect",
                f"127.0.0.1:{daemon.port}",
                "-servername",
                "localhost",
                "-CAfile",
                str(tmp_path / "ca.pem"),
                "-verify_return_error",
                "-quiet",
                "-no_ign_eof",
                option,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            for number in range(100):
                line = b"line %d %s\n" % (number, b"x" * (10 * number))
                client.stdin.write(line)
                client.stdin.flush()
                assert client.stdout.readline() == line
            client.stdin.close()
            assert client.wait(20) == 0
        finally:
            client.kill()
            client.wait()
            client.stdout.close()
        numbers = daemon.wait_numbers(connections=0)
        assert numbers["handshakes"] == numbers["closed_clean"] == 1


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(tmp_path, material, version):
    """Downloads and an upload over one kept connection each, with our certificate checked."""
    size = 20_000_000
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.writelines(stream.pieces(size))

    def curl(daemon, *arguments):
        done = subprocess.run(
            [
                required("curl"),
                "--silent",
                "--show-error",
                "--fail",
                f"--tlsv{version}",
                "--tls-max",
                version,
                "--max-time",
                "60",
                "--cacert",
                str(tmp_path / "ca.pem"),
                "--resolve",
                f"localhost:{daemon.port}:127.0.0.1",
                *arguments,
            ],
            capture_output=True,
            check=False,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with serving(tmp_path, material, "http") as daemon:
        url = f"https://localhost:{daemon.port}/"
        downloads = curl(daemon, f"{url}{size}", f"{url}0", f"{url}1", f"{url}{size}")
        expected = hashlib.sha256(body.read_bytes() + b"".join(stream.pieces(1)) + body.read_bytes())
        assert hashlib.sha256(downloads).digest() == expected.digest()
        told = curl(daemon, "--upload-file", str(body), url)
        assert told.decode() == hashlib.sha256(body.read_bytes()).hexdigest()
        numbers = daemon.wait_numbers(connections=0)
        assert numbers["handshakes"] == numbers["closed_clean"] == 2
