"""Exit codes of the daemon, which service managers and scripts go by."""

from __future__ import annotations

EXIT_DONE = 0  # ended as asked
EXIT_REFUSED = 1  # the workers refused the start
EXIT_CANNOT_START = 3  # a port that is taken, no permission, nothing to fork with
