"""fastnlb: a network load balancer that terminates TLS and relays plaintext TCP."""

import os
from pathlib import Path

__version__ = "0.1.0"

# The TLS library reads it once, when it is loaded: it has to be named before any import that does that.  Whoever has
# set OPENSSL_CONF wants another.
os.environ.setdefault("OPENSSL_CONF", str(Path(__file__).with_name("tls") / "openssl.cnf"))
