# The numbers of the PROXY protocol, version 2, that its writer and its reader share.

cdef enum:
    PP2_SIGNATURE_BYTES = 12
    PP2_PREFIX_BYTES = 16      # signature, version and command, family, length of the rest
    PP2_V4_BYTES = 12          # two addresses, two ports
    PP2_V6_BYTES = 36
    PP2_UNIX_BYTES = 216
    PP2_LOCAL = 0x20
    PP2_PROXY = 0x21
    PP2_UNSPEC = 0x00
    PP2_TCP4 = 0x11
    PP2_TCP6 = 0x21
    PP2_UNIX = 0x31

cdef enum:
    PP2_TLV_BYTES = 3          # type and length
    PP2_ALPN = 0x01
    PP2_AUTHORITY = 0x02
    PP2_CRC32C = 0x03
    PP2_UNIQUE_ID = 0x05
    PP2_SSL = 0x20
    PP2_SSL_VERSION = 0x21
    PP2_SSL_CN = 0x22
    PP2_SSL_CIPHER = 0x23
    PP2_SSL_SIG_ALG = 0x24
    PP2_SSL_KEY_ALG = 0x25

cdef enum:
    PP2_CLIENT_SSL = 0x01
    PP2_CLIENT_CERT_CONN = 0x02
    PP2_CLIENT_CERT_SESS = 0x04
