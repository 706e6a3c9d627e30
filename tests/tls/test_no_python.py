"""Names, ALPN, staples and client certificates cost no call into Python: the loop never comes back for them."""

import time

from support.certs import CLIENT, Issued
from support.tls_rig import certificate

from fastnlb.model import CaCertificate, Staple

HANDSHAKES = 100


def test_the_loop_does_not_come_back_for_a_handshake(tls_rig, version):
    root, staff = Issued.root(), Issued.root("staff")
    leaf = root.issue("localhost", "*.example.com")
    staple = Staple(root.ocsp(leaf), int(time.time()) + 3600)
    one = tls_rig(
        [certificate("c", leaf, staple), certificate("d", root.issue("d.test", key="RSA"))],
        authority=CaCertificate("staff", staff.pem),
        alpn_policy="HTTP2Preferred",
    )
    alice = staff.issue(common_name="alice", usages=[CLIENT])
    names = (b"localhost", b"www.example.com", b"d.test", b"nobody.test", None)
    for number in range(HANDSHAKES):
        client = one.tls_client(version, name=names[number % 5], identity=alice, alpn=[b"http/1.1"])
        client.tls.request_ocsp()
        client.handshake()
        client.close()
    one.wait_for(client_certificates_verified=HANDSHAKES)
    numbers = one.counters()
    assert numbers["handshakes"] == HANDSHAKES
    assert numbers["python_returns"] == 0
    assert one.stop_reasons == []
