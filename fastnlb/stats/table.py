"""The one table of counters: name, kind, help.  Its order is the layout of a worker's row.

The core's `counters.pxd` and `docs/metrics.md` are generated from it (`python -m fastnlb.stats.generate`); a
test fails when they are out of date.  Counters only grow; gauges go both ways.  What is counted for each listener and
for each server is in `blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

COUNTER = "counter"
GAUGE = "gauge"


class Number(NamedTuple):
    """One 8-byte unsigned number of a worker's row; `over` makes one of those of all rows."""

    name: str
    kind: str
    help: str
    over: Callable[[Iterable[int]], int] = sum


NUMBERS: tuple[Number, ...] = (
    Number("accepted", COUNTER, "connections accepted"),
    Number("connections", GAUGE, "connections open now, in any state"),
    Number("dropped_cps", COUNTER, "clients reset right after accept because of cps; not among the accepted"),
    Number("dropped_max_connections", COUNTER, "likewise, because of max_connections"),
    Number("proxy_headers", COUNTER, "PROXY headers accepted from trusted peers"),
    Number("proxy_malformed", COUNTER, "trusted peers reset because their PROXY header was malformed or missing"),
    Number("proxy_timed_out", COUNTER, "trusted peers whose PROXY header was not complete in handshake_timeout"),
    Number("proxy_aborted", COUNTER, "trusted peers that left before the end of their PROXY header"),
    Number("proxy_untrusted", COUNTER, "clients from outside the trusted networks, served without a PROXY header"),
    Number("handshakes", COUNTER, "TLS handshakes completed"),
    Number("handshakes_resumed", COUNTER, "of those, resumed from a ticket"),
    Number("handshakes_tls12", COUNTER, "of those, with TLS 1.2 or older"),
    Number("handshakes_tls13", COUNTER, "of those, with TLS 1.3"),
    Number("handshakes_failed", COUNTER, "TLS handshakes refused by either side"),
    Number("handshakes_aborted", COUNTER, "clients that left before their handshake was complete"),
    Number("handshakes_timed_out", COUNTER, "clients whose handshake was not complete in handshake_timeout"),
    Number(
        "handshakes_evicted", COUNTER, "clients reset that kept us waiting before that, because others had no place"
    ),
    Number("handshakes_shed", COUNTER, "likewise, clients that we kept waiting: the worker is behind with its work"),
    Number("refused_name", COUNTER, "of the failed: the client asked for no name the listener has (strict_sni)"),
    Number("refused_alpn", COUNTER, "of the failed: the client offered no protocol the listener has (alpn_strict)"),
    Number(
        "client_certificates_verified", COUNTER, "clients that came in by a certificate, resumed ones not counted"
    ),
    Number("client_certificates_missing", COUNTER, "of the failed: the client has to show a certificate and did not"),
    Number("client_certificates_refused", COUNTER, "of the failed: the client's certificate did not verify"),
    Number("client_certificates_weak", COUNTER, "of those, for a short key or a broken signature digest"),
    Number("staples_sent", COUNTER, "OCSP responses stapled"),
    Number("staples_expired", COUNTER, "OCSP responses asked for and not sent because they are out of date"),
    Number("connects", COUNTER, "connections to servers established"),
    Number("connects_failed", COUNTER, "attempts to connect to a server that failed or timed out"),
    Number("preserve_failed", COUNTER, "of those, not begun because preserve_client_ip could not have the address"),
    Number(
        "preserve_other_port", COUNTER, "connections begun from another port of the client's address, its own taken"
    ),
    Number("picks_fail_open", COUNTER, "choices of an unhealthy server, because no healthy one was left to try"),
    Number("bytes_up", COUNTER, "plaintext bytes passed from clients to servers"),
    Number("bytes_down", COUNTER, "plaintext bytes passed from servers to clients"),
    Number("bytes_spliced", COUNTER, "of those of both, bytes that went through a pipe, without a copy"),
    Number("closed_handshake", COUNTER, "connections that ended before their TLS handshake was complete"),
    Number("closed_proxy", COUNTER, "connections that ended before their PROXY header was accepted"),
    Number("closed_refused", COUNTER, "clients reset because no server could be reached"),
    Number("closed_clean", COUNTER, "connections that ended with both streams passed on whole"),
    Number("closed_reset", COUNTER, "connections ended by a reset or a socket error of either side"),
    Number("closed_tls", COUNTER, "connections ended by a TLS error after the handshake"),
    Number("closed_idle", COUNTER, "connections closed by idle_timeout"),
    Number("closed_shutdown", COUNTER, "connections closed at the deadline of a drain"),
    Number("closed_drained", COUNTER, "connections closed by connection_drain_timeout"),
    Number("closed_memory", COUNTER, "connections closed because memory was out"),
    Number("closed_crash", COUNTER, "connections that ended with the death of their worker"),
    Number("log_lines", COUNTER, "lines of the access log written"),
    Number("log_dropped", COUNTER, "lines of the access log lost: the disk is full, or whatever takes them too slow"),
    Number("accept_pauses", COUNTER, "times accepting stopped because the descriptor limit was reached"),
    Number("accept_errors", COUNTER, "accept calls that failed for another reason"),
    Number(
        "pipes_refused", COUNTER, "times bulk found no pipe and was copied: their share of descriptors was used up"
    ),
    Number("python_returns", COUNTER, "times the event loop returned to Python"),
    Number("turns", COUNTER, "turns of the event loop"),
    Number(
        "starts", COUNTER, "workers that began here: the first one, heirs of those that died, those of a hot restart"
    ),
    Number("buffers_lent", GAUGE, "128 KiB buffers that hold bytes in flight"),
    Number("buffers_made", GAUGE, "128 KiB buffers allocated, spare ones included"),
    Number("large_buffers_lent", GAUGE, "512 KiB buffers that hold bulk in flight; at most 32 a worker"),
    Number("large_buffers_made", GAUGE, "512 KiB buffers allocated, spare ones included"),
    Number("pipes_lent", GAUGE, "pipes that hold bytes in flight"),
    Number("pipes_made", GAUGE, "pipes open, spare ones included; each is two descriptors besides `descriptors`"),
    Number("tls_objects", GAUGE, "TLS connection objects allocated"),
    Number("tls_resting", GAUGE, "of those, how many are at rest: what only use needs is given back"),
    Number("timers", GAUGE, "timers armed"),
    Number("handshakes_pending", GAUGE, "connections that are not through their handshake or PROXY header"),
    Number("handshakes_queued", GAUGE, "of those, how many wait for us and not for the client"),
    Number("descriptors", GAUGE, "descriptors held by connections"),
    Number(
        "descriptor_limit",
        GAUGE,
        "descriptors that connections may hold; accepting pauses when the next would pass it",
    ),
    Number("generation", GAUGE, "generation of the configuration being served", max),
    Number("certificates", GAUGE, "certificates being served", max),
    Number("certificates_first_expiry", GAUGE, "Unix time at which the first of them expires; 0 = none", max),
    Number("certificates_last_start", GAUGE, "Unix time from which all of them are valid; 0 = none", max),
)

INDEX: dict[str, int] = {number.name: index for index, number in enumerate(NUMBERS)}
ROW_BYTES = 8 * len(NUMBERS)
"""Bytes of one row as the core writes it; rows are padded to cache lines by the page."""
