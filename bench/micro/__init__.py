"""Single pieces of the core, without any I/O, by pytest-benchmark: `make bench-micro`.

`ns_each` in a benchmark's extra info is what one thing costs.  Except for the choice of a server that is with a call
from Python for each, some 50 to 200 ns: differences are worth reading, absolute figures are not.
"""
