"""fastnlb: a network load balancer that terminates TLS and relays plaintext TCP."""

__version__ = "0.1.0"
