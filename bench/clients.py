"""The clients of a scenario: which version of TLS and group they offer, which names they ask for, who resumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from OpenSSL import SSL

from fastnlb.tls import binding

VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


@dataclass(frozen=True)
class Client:
    """What goes into a client's context; nobody verifies the server, which would be the client's cost."""

    version: str = "TLSv1.3"
    group: str = "X25519"
    names: tuple[str, ...] = ()
    alpn: bool = False
    certificate: str = ""  # a folder below that of the run, with 0.pem and key.pem
    resume: bool = False

    def context(self, folder: Path) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[self.version])
        context.set_max_proto_version(VERSIONS[self.version])
        # Bulk costs more with 256 bits, and servers differ in what they prefer.
        context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256")
        context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
        # With TLS 1.2 the curve of an ECDSA certificate has to be among them.
        groups = self.group if self.version == "TLSv1.3" else f"{self.group}:P-256"
        if not binding.set_groups(context, groups):
            raise RuntimeError(f"the client's TLS library has no {self.group}")
        if self.alpn:
            context.set_alpn_protos([b"h2", b"http/1.1"])
        if self.certificate:
            context.use_certificate_file(str(folder / self.certificate / "0.pem"))
            context.use_privatekey_file(str(folder / self.certificate / "key.pem"))
        return context

    @property
    def offer(self) -> str:
        """For the reason that a proxy is skipped for."""
        return f"{self.version} with {self.group} alone" + (" and a session to resume" if self.resume else "")
