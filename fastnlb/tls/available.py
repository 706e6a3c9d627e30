"""What the TLS library at hand really has of the ciphers and groups that a policy may name.

A distribution builds OpenSSL without its weakest ciphers, so a name on a list is no promise.  Each cipher is tried
once, alone, in a context at security level 0: the level the contexts of listeners run at, where nothing is hidden
for being weak.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from OpenSSL import SSL

from fastnlb.model import SecurityPolicy
from fastnlb.tls.policies import GROUPS

_TLS_1_3 = "TLS_"


@cache
def has_cipher(name: str) -> bool:
    """Whether the library can negotiate the cipher that OpenSSL calls `name`."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        if name.startswith(_TLS_1_3):
            context.set_tls13_ciphersuites(name.encode())
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
        else:
            context.set_cipher_list(f"{name}:@SECLEVEL=0".encode())
    except SSL.Error:
        return False
    # The library passes over some names that it does not know, so only what it lists counts.
    return name in SSL.Connection(context).get_cipher_list()


def missing_ciphers(policy: SecurityPolicy) -> tuple[str, ...]:
    """Those ciphers of the policy, in its order, that the library does not have."""
    return tuple(name for name in policy.ciphers if not has_cipher(name))


def missing_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Those of these groups that the library does not have.

    pyOpenSSL cannot set groups, so they cannot be tried one by one here: those that are known by name are in every
    library that pyproject.toml admits.
    """
    return tuple(name for name in names if name not in GROUPS)
