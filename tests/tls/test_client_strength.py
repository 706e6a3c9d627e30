"""How strong a client's certificate must be, judged against openssl verify at security level 2 on the same chains."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.certs import Issued
from support.tls_rig import certificate

from fastnlb.model import CaCertificate

CA = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
LEAF = "authorityKeyIdentifier=keyid\n"
PSS = ["-sigopt", "rsa_padding_mode:pss"]


@dataclass(frozen=True)
class Forge:
    """The openssl command as an authority that signs with whatever it is told to."""

    folder: Path

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def key(self, name, *arguments):
        self.run("genpkey", *arguments, "-out", f"{name}.key")

    def root(self, name):
        self.run("req", "-x509", "-key", f"{name}.key", "-subj", f"/CN={name}", "-sha256", "-days", "9", "-addext",
                 "basicConstraints=critical,CA:TRUE", "-out", f"{name}.pem")  # fmt: skip

    def sign(self, name, issuer, *how, key=None, subject=None, extensions=LEAF):
        (self.folder / "x.ext").write_text(extensions)
        subject = f"/CN={subject or name}"
        self.run("req", "-new", "-key", f"{key or name}.key", "-subj", subject, "-sha256", "-out", "x.csr")
        self.run("x509", "-req", "-in", "x.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial",
                 "-days", "5", "-extfile", "x.ext", *how, "-out", f"{name}.pem")  # fmt: skip


@pytest.fixture(scope="module")
def forge(tmp_path_factory):
    made = Forge(tmp_path_factory.mktemp("strength"))
    rsa = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    for name in ("root", "middle", "twin"):
        made.key(name, *rsa)
    made.key("ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    made.key("ed448", "-algorithm", "ED448")
    made.key("short", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    made.run("dsaparam", "-out", "dsa.param", "1024")
    made.run("gendsa", "-out", "dsa.key", "dsa.param")
    made.root("root")
    for digest in ("sha1", "sha224", "sha256", "sha512"):
        made.sign(digest, "root", f"-{digest}", key="ec")
        made.sign(f"pss-{digest}", "root", f"-{digest}", *PSS, key="ec")
    made.sign("ed448", "root", "-sha256")
    made.sign("short", "root", "-sha256")
    made.sign("dsa", "root", "-sha256")
    made.sign("middle", "root", "-sha1", extensions=CA)
    made.sign("under-sha1-middle", "middle", "-sha256", key="ec")
    # Self-issued but not self-signed: its signature is one that others rely on.
    made.sign("twin", "root", "-sha1", subject="root", extensions=CA)
    made.sign("under-twin", "twin", "-sha256", key="ec")
    made.sign("dsa-middle", "root", "-sha256", key="dsa", extensions=CA)
    (made.folder / "dsa-middle.key").write_bytes((made.folder / "dsa.key").read_bytes())
    made.sign("under-dsa", "dsa-middle", "-sha256", key="ec")
    return made


CASES = {
    # who: (key, what stands between it and the authority, the authority, whether it is strong)
    "sha224": ("ec", None, "root", True),
    "sha256": ("ec", None, "root", True),
    "sha512": ("ec", None, "root", True),
    "pss-sha224": ("ec", None, "root", True),
    "pss-sha256": ("ec", None, "root", True),
    "pss-sha512": ("ec", None, "root", True),
    "ed448": ("ed448", None, "root", True),
    "sha1": ("ec", None, "root", False),
    "pss-sha1": ("ec", None, "root", False),
    "short": ("short", None, "root", False),
    "under-sha1-middle": ("ec", "middle", "root", False),
    "under-twin": ("ec", "twin", "root", False),
    "under-dsa": ("ec", "dsa-middle", "root", False),
    # An intermediate that is itself the authority: nothing relies on who signed it, and how.
    "under-sha1-middle as anchor": ("ec", None, "middle", True),
}


def offered(forge, name, key, between):
    """What a client shows, as support.certs has it."""

    def load(each):
        return x509.load_pem_x509_certificate((forge.folder / f"{each}.pem").read_bytes())

    secret = load_pem_private_key((forge.folder / f"{key}.key").read_bytes(), None)
    return Issued(load(name), secret, (load(between),) if between else ())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("who", CASES)
def test_what_level_2_would_refuse_is_refused(tls_rig, forge, version, who):
    key, between, anchor, strong = CASES[who]
    name = who.partition(" ")[0]
    verify = ["openssl", "verify", "-auth_level", "2", "-partial_chain", "-CAfile", f"{anchor}.pem"]
    verify += ["-untrusted", f"{between}.pem"] if between else []
    judged = subprocess.run([*verify, f"{name}.pem"], cwd=forge.folder, capture_output=True, check=False)
    assert (judged.returncode == 0) is strong, judged
    authority = CaCertificate("staff", (forge.folder / f"{anchor}.pem").read_bytes())
    one = tls_rig([certificate("c", Issued.root().issue("localhost"))], authority=authority)
    client = one.tls_client(version, identity=offered(forge, name, key, between))
    if strong:
        client.handshake().send(b"hello")
        assert client.receive_exactly(5) == b"hello"
    else:
        client.refused()
        one.wait_for(client_certificates_weak=1)
        assert one.counters()["connects"] == 0


@pytest.mark.parametrize("old", ["-tls1", "-tls1_1"])
def test_a_dsa_key_lets_nobody_in_with_an_old_version_either(tls_rig, forge, old):
    authority = CaCertificate("staff", (forge.folder / "root.pem").read_bytes())
    one = tls_rig(
        [certificate("c", Issued.root().issue("localhost"))],
        authority=authority,
        security_policy="tls_cipher_policy_1_0",
    )
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{one.port}", old, "-cipher", "ALL:@SECLEVEL=0"]
    command += ["-cert", "dsa.pem", "-key", "dsa.key"]
    shown = subprocess.run(command, cwd=forge.folder, input=b"", capture_output=True, timeout=20, check=False)
    assert b"alert" in shown.stderr, shown
    one.wait_for(handshakes_failed=1)
    assert one.counters()["connects"] == 0
