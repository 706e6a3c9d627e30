"""One look-up of a host name: /etc/hosts first, then the DNS, for A and AAAA at the same time.

Never `getaddrinfo`, which says nothing of TTLs and can only block.  Nothing is kept between look-ups: caches are the
business of name servers.  With name servers of our own a name is asked as it is; by /etc/resolv.conf, which is read
each time, the search list is gone through as the system does it.  The only file that knows dnspython.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver

from fastnlb.control.answer import Answer, failed, found, usable
from fastnlb.control.hosts_file import HOSTS, HostsFile
from fastnlb.model import Resolver

RESOLV_CONF = Path("/etc/resolv.conf")
TRY_SECONDS = 1.5  # for one name server to answer
LOOKUP_SECONDS = 4.0  # for all tries
MOST_LOOKUPS = 100  # at one time: each has two sockets
UNUSABLE = "its addresses are none that a server can have"
NO_ADDRESS = "it has neither an A nor an AAAA record"

_Kind = tuple[tuple[str, ...] | None, int, str]
"""Addresses of one kind, None when nobody answered; their TTL; why there are none, if so."""


class Lookup:
    """For one event loop.  `hosts` and `resolv_conf` are the files of the system."""

    def __init__(self, hosts: Path = HOSTS, resolv_conf: Path = RESOLV_CONF) -> None:
        self._hosts = HostsFile(hosts)
        self._resolv_conf = resolv_conf
        self._room = asyncio.Semaphore(MOST_LOOKUPS)

    async def __call__(self, name: str, settings: Resolver) -> Answer:
        """Never raises, and never takes longer than LOOKUP_SECONDS and a bit once it has begun."""
        try:
            local = usable(self._hosts.addresses(name))
            if local:
                return found(local, settings.min_ttl)
            async with self._room:
                return await asyncio.wait_for(self._ask(name, settings), LOOKUP_SECONDS + 1)
        except TimeoutError:
            return failed(f"no answer within {LOOKUP_SECONDS:g} s")
        except dns.resolver.NoResolverConfiguration as error:
            return failed(f"{self._resolv_conf} names no name server: {error}")
        except Exception as error:
            return failed(f"{type(error).__name__}: {error}")

    async def _ask(self, name: str, settings: Resolver) -> Answer:
        resolver = self._resolver(settings)
        search = not settings.nameservers
        ipv4, ipv6 = await asyncio.gather(
            _ask_for(resolver, name, dns.rdatatype.A, search), _ask_for(resolver, name, dns.rdatatype.AAAA, search)
        )
        return _merge(ipv4, ipv6)

    def _resolver(self, settings: Resolver) -> dns.asyncresolver.Resolver:
        made = dns.asyncresolver.Resolver(str(self._resolv_conf), configure=not settings.nameservers)
        if settings.nameservers:
            made.nameservers = [dns.nameserver.Do53Nameserver(*place) for place in settings.nameservers]
        made.timeout, made.lifetime = TRY_SECONDS, LOOKUP_SECONDS
        return made


def look_up_all(names: Iterable[str], settings: Resolver, seconds: float) -> dict[str, Answer]:
    """All of them at the same time, and whatever there is of it after `seconds`.  Runs an event loop."""

    async def run() -> dict[str, Answer]:
        look_up = Lookup()
        tasks = {name: asyncio.ensure_future(look_up(name, settings)) for name in names}
        await asyncio.wait(tasks.values(), timeout=seconds)
        late = failed(f"no answer within {seconds:g} s")
        return {name: task.result() if task.done() else late for name, task in tasks.items()}

    return asyncio.run(run())


async def _ask_for(
    resolver: dns.asyncresolver.Resolver, name: str, kind: dns.rdatatype.RdataType, search: bool
) -> _Kind:
    try:
        answer = await resolver.resolve(name, kind, raise_on_no_answer=False, search=search)
    except dns.resolver.NXDOMAIN:
        return (), 0, "no such name (NXDOMAIN)"
    except dns.exception.Timeout:
        return None, 0, f"no answer within {LOOKUP_SECONDS:g} s"
    except dns.resolver.NoNameservers as error:
        return None, 0, _last_error(error)
    except dns.exception.DNSException as error:
        return None, 0, str(error) or type(error).__name__
    records = [] if answer.rrset is None else [record.to_text() for record in answer.rrset]
    return usable(records), answer.chaining_result.minimum_ttl, UNUSABLE if records else NO_ADDRESS


def _merge(ipv4: _Kind, ipv6: _Kind) -> Answer:
    """The TTL is that of addresses: how long there are none of a kind says nothing."""
    kinds = ipv4, ipv6
    ttls = [ttl for addresses, ttl, _ in kinds if addresses]
    if ttls:
        reasons = [
            f"{record}: {kind[2]}" for record, kind in zip(("A", "AAAA"), kinds, strict=True) if kind[0] is None
        ]
    else:
        # Who did not answer says more than who did, and that there are no records of a kind says least.
        reasons = [min(kinds, key=lambda kind: (kind[0] is not None, kind[2] == NO_ADDRESS))[2]]
    return Answer(ipv4[0], ipv6[0], min(ttls, default=0), "".join(reasons))


def _last_error(error: dns.resolver.NoNameservers) -> str:
    """What the last name server said, or what kept it from saying anything."""
    errors = error.kwargs.get("errors") or []
    if not errors:
        return "no name server answered"
    _, _, _, why, response = errors[-1]
    where = errors[-1][0]
    return f"{where} answered {dns.rcode.to_text(response.rcode())}" if response is not None else f"{where}: {why}"
