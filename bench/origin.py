"""The server behind every proxy: python -m bench.origin ADDRESS PORT.  It says its port when it listens."""

from __future__ import annotations

import signal
import sys

from bench._load.origin import Origin


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if len(arguments) != 2 or not arguments[1].isdecimal():
        sys.exit("usage: python -m bench.origin ADDRESS PORT")
    try:
        origin = Origin(arguments[0], int(arguments[1]))
    except (OSError, ValueError) as error:
        sys.exit(f"bench.origin: {error}")
    print(origin.port, flush=True)
    origin.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
