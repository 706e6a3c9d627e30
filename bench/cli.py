"""`python -m bench run | list | compare | draw | table`, from the root of the tree.

Exit status: 0 done, 1 something is worse (compare --strict) or fastnlb could not do a row, 2 usage, 3 cannot run
here, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import charts, compare, results, table

OK, WORSE, USAGE, CANNOT, INTERRUPTED = 0, 1, 2, 3, 130


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except results.ResultsError as error:
        return _say(str(error), CANNOT)
    except ValueError as error:
        return _say(str(error), USAGE)
    except KeyboardInterrupt:
        return _say("interrupted; every process that was started has been ended", INTERRUPTED)


def _say(message: str, status: int) -> int:
    print(f"bench: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="fastnlb beside its peers")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure, and write JSON, a table and plots")
    run.add_argument("--quick", action="store_true", help="fewer scenarios and less of each, under five minutes")
    run.add_argument("--rounds", type=int, help="default: 5, with --quick 3")
    run.add_argument("--seconds", type=float, help="of one sample; default: 2, with --quick 0.5")
    run.add_argument("--only", nargs="+", default=[], metavar="PART", help="families, or parts of scenarios' names")
    run.add_argument("--peers", default="", metavar="a,b", help="default: all that are installed")
    run.add_argument("--name", default="", help="of the folder, behind the date; default: the commit")
    run.add_argument("--out", type=Path, metavar="DIR", help="the folder itself; default: bench/results/DATE-NAME")
    run.set_defaults(command=_run)
    commands.add_parser("list", help="scenarios and proxies").set_defaults(command=_list)
    compared = commands.add_parser("compare", help="two runs, row by row")
    compared.add_argument("files", nargs=2, type=Path, metavar="FILE")
    compared.add_argument("--against", metavar="PEER", help="compare the ratios to this proxy, round by round")
    compared.add_argument("--strict", action="store_true", help="exit status 1 when a row is worse")
    compared.set_defaults(command=_compare)
    for name, command, what in (("table", _table, "as Markdown"), ("draw", _draw, "as SVG files beside it")):
        shown = commands.add_parser(name, help=f"a run {what}")
        shown.add_argument("file", type=Path, metavar="FILE")
        shown.set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace) -> int:
    try:
        from bench import session  # noqa: PLC0415  needs what only `make bench` builds
    except ImportError as error:
        return _say(f"{error} (make bench does it)", CANNOT)
    try:
        return session.run(options)
    except session.CannotRunError as error:
        return _say(str(error), CANNOT)


def _list(options: argparse.Namespace) -> int:
    try:
        from bench import session  # noqa: PLC0415
    except ImportError as error:
        return _say(f"{error} (make bench does it)", CANNOT)
    print("\n".join(session.listing()))
    return OK


def _compare(options: argparse.Namespace) -> int:
    first, second = (results.load(path) for path in options.files)
    changes = compare.compare(first, second, options.against)
    print("\n".join(compare.markdown(changes)))
    for one, other, path in ((first, second, options.files[0]), (second, first, options.files[1])):
        for row in compare.only_in(one, other):
            print(f"{row}: only in {path}")
    worse = any(each.verdict == compare.WORSE for each in changes)
    return WORSE if worse and options.strict else OK


def _table(options: argparse.Namespace) -> int:
    print(table.markdown(results.load(options.file)), end="")
    return OK


def _draw(options: argparse.Namespace) -> int:
    try:
        for path in charts.draw(results.load(options.file), options.file.parent):
            print(path)
    except charts.NoChartsError as error:
        return _say(str(error), CANNOT)
    return OK
