"""Plain data to YAML that `document` reads as the same data, and a person with ease.

Text of several lines, such as PEM, is a literal block.  Text that a plain scalar would turn into something else is
quoted, by the core schema of YAML 1.2 as well as by what libraries for 1.1 would make of it.
"""

from __future__ import annotations

from typing import Any

import yaml

from fastnlb.config.scalars import resolve

_WIDTH = 10_000  # of lines: text is not folded

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    """Without anchors: what stands in two places is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def yaml_text(data: object, *, ascii_only: bool = False) -> str:
    """One document.  `data`: None, bool, int, float, str, and lists and dicts of these with text keys."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=not ascii_only, width=_WIDTH)
    return text.removesuffix("...\n")


def _represent(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None if _stays_text(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _stays_text(text: str) -> bool:
    try:
        return isinstance(resolve(text), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _represent)
