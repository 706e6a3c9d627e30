# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, embedsignature=True
# The Python names of the enums in defs.pxd; nothing else lives here.
