"""How templates become pages: everything is escaped, a name that is missing is an error, texts stay on one line.

Law: whatever the records hold, it is text on the page; only what this package draws itself is markup.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from evenscore.reading import open_regular
from evenscore.report import words

MARK = '<meta name="generator" content="evenscore">'
"""Stands in the head of every page, by which one is known again."""


def render(template: str, **values: object) -> str:
    """The page that a template of this package makes of some values."""
    return _environment().get_template(template).render(mark=MARK, **values)


def is_page(path: Path) -> bool:
    """Whether it is a file that begins like a page of this package."""
    try:
        with open_regular(path) as file:
            return MARK.encode() in file.read(2000)
    except OSError:
        return False


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("evenscore.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_one_line,
    )
    environment.filters |= {"number": words.number, "agreement": words.agreement, "many": words.many}
    return environment


def _one_line(value: object) -> object:
    return words.plain(value) if type(value) is str else value
