# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# See alert.pxd for the contract.

from libc.stdint cimport uint8_t

from .defs cimport Half

cdef extern from *:
    """
    static _Thread_local const void *alert_ssl;
    static _Thread_local unsigned char alert_sent;
    static _Thread_local unsigned char alert_received;
    """
    const void* alert_ssl
    uint8_t alert_sent
    uint8_t alert_received


cdef void alert_note(const void* ssl, bint sent, int alert) noexcept nogil:
    """The library has just sent or received it."""
    global alert_ssl, alert_sent, alert_received
    if alert == 0:
        return
    if alert_ssl != ssl:
        alert_ssl, alert_sent, alert_received = ssl, 0, 0
    if sent:
        alert_sent = <uint8_t> alert
    else:
        alert_received = <uint8_t> alert


cdef void alert_take(Half* half) noexcept nogil:
    """After a call of the library for it that was no success."""
    global alert_ssl
    if alert_ssl == NULL or alert_ssl != half.ssl:
        return
    alert_ssl = NULL
    if alert_sent:
        half.alert_sent = alert_sent
    if alert_received:
        half.alert_received = alert_received


cdef void alert_begin(const void* ssl) noexcept nogil:
    """A new TLS object; one that is gone may have stood at the same place."""
    global alert_ssl
    if alert_ssl == ssl:
        alert_ssl = NULL
