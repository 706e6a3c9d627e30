"""The daemon's log: lines on standard error, for people (`console`) or for programs (`json`).

One record is one line in both forms: what came from outside cannot forge a second one.
Times are UTC.  The source is the part of fastnlb that speaks, such as `master`.
"""

from __future__ import annotations

import json
import logging
import sys
import time

_ROOT = "fastnlb"


def setup(level: str, form: str) -> None:
    """Sends the records of fastnlb at `level` and above to standard error.  Calling it again replaces the first."""
    logger = logging.getLogger(_ROOT)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # A full disk or a closed terminal under standard error must not become tracebacks on the same.
    logging.raiseExceptions = False


class ConsoleFormatter(logging.Formatter):
    """`2026-11-22T10:00:00Z INFO master: message`."""

    def format(self, record: logging.LogRecord) -> str:
        return _printable(f"{_when(record)} {record.levelname} {_source(record)}: {_text(self, record)}")


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, source, message."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "source": _source(record),
            "message": _text(self, record),
        }
        return json.dumps(fields, ensure_ascii=True)


def _when(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))


def _source(record: logging.LogRecord) -> str:
    return record.name.removeprefix(_ROOT + ".")


def _text(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    message = record.getMessage()
    return f"{message}: {formatter.formatException(record.exc_info)}" if record.exc_info else message


def _printable(text: str) -> str:
    """The text with line breaks and other control characters as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
