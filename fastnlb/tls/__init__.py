"""Security policies, certificates and keys, and the TLS contexts made from them."""
