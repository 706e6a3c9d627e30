"""No connection is lost by what happens to listening sockets: the real program under a closed loop of new ones."""

from __future__ import annotations

from support.closed_loop import closed_loop
from support.procs import free_port
from support.site import Site


def test_reloads_lose_no_connection(site: Site) -> None:
    plain, tls = free_port(), free_port()
    site.write(plain, tls=tls)
    site.start()
    with closed_loop(plain) as load, closed_loop(tls, tls=True) as tls_load:
        for _ in range(3):
            load.wait_more(50)
            site.write(plain, free_port(), tls=tls)
            site.reload_done()
        tls_load.wait_more(20)
    assert load.failures == []
    assert tls_load.failures == []
