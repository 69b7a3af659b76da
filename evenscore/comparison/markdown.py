"""A comparison as markdown: words, the methods, and for each measure a table of parts by methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evenscore.comparison.grid import shown
from evenscore.comparison.result import Comparison, Row, Section
from evenscore.comparison.table import is_clear
from evenscore.comparison.words import whom
from evenscore.evaluation.words import number
from evenscore.report.quality import Measure, Part, Value
from evenscore.report.words import inert


def markdown(comparison: Comparison) -> str:
    """The whole document."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"# Methods on {inert(comparison.data)}, against {inert(comparison.baseline)}"
    for section in comparison.sections:
        yield from ("", f"## Equal {section.rule}", "")
        yield from (inert(word) for word in section.words)
        yield from ("", *methods(section))
        for measure in comparison.measures:
            yield from ("", f"### {measure.shown} ({measure.better} is better): {measure.meaning}", "")
            yield from table(section, measure, comparison.parts)
    yield from ("", "## Protocol", "")
    yield from (f"- {name}: {inert(words)}" for name, words in comparison.protocol.items())
    yield from (f"- {inert(note)}" for note in comparison.notes)
    if comparison.failures:
        yield from ("", "## Runs that failed", "")
        yield from (f"- {inert(failure)}" for failure in comparison.failures)


def methods(section: Section) -> Iterator[str]:
    """What each method got and chose."""
    yield "| method | steps | cost of a step | seconds | chosen | seeds | failed | differs in |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in section.rows:
        cost = "" if row.cost is None else f"{row.cost:.2f}"
        seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
        settings = ", ".join(f"{key} {value}" for key, value in row.settings.items())
        cells = (
            row.title,
            f"{row.steps or ''}",
            cost,
            seconds,
            shown({} if row.choice is None else row.choice.settings),
            f"{len(row.seeds)}",
            f"{len(row.failures)}",
            settings,
        )
        yield f"| {' | '.join(inert(cell) for cell in cells)} |"


def table(section: Section, measure: Measure, parts: Sequence[Part]) -> Iterator[str]:
    """One measure: a line for each part, a column for each method."""
    yield "| | " + " | ".join(inert(row.title) for row in section.rows) + " |"
    yield "|---|" + "---|" * len(section.rows)
    for i, part in enumerate(parts):
        count = "" if part.trained_on is None else f" ({part.group}, {part.trained_on})"
        cells = (cell(row, measure.key, i) for row in section.rows)
        yield f"| {inert(whom(part))}{count} | " + " | ".join(cells) + " |"


def cell(row: Row, key: str, i: int) -> str:
    """The mean, and the paired difference behind it."""
    if key not in row.figures or row.figures[key][i].value is None:
        return "-"
    mean = number(row.figures[key][i].value or 0.0)
    return f"{mean}; {difference(row.differences[key][i])}" if key in row.differences else mean


def difference(value: Value) -> str:
    """A paired difference with its interval, a star where it leaves out zero."""
    if value.value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:+.3g}"
    return f"{value.value:+.3g} [{value.low:+.3g}, {value.high:+.3g}]" + ("*" if is_clear(value) else "")
