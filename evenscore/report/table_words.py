"""Words of the page of a table: what was made, whether it helped a classifier, and which classes to trust least.

Law: a class is doubted for the reasons in :func:`reasons` only; their limits are the constants here and in
:mod:`evenscore.report.words`, and the page states them.
"""

from __future__ import annotations

from collections.abc import Iterator

from evenscore.evaluation.table_distances import CLOSE
from evenscore.report.table import TableClass, TableReport
from evenscore.report.words import FEW_REAL, Doubt, join, many, number

MANY_CLOSE = 0.05
LIMITS = (
    f"fewer than {FEW_REAL} real rows to learn from, copies of real rows, more than {MANY_CLOSE:.0%} of the synthetic rows "
    f"nearer to a real one than {1 - CLOSE:.0%} of the real rows are to each other, a plan that was not met, or a recall that "
    "fell beyond its interval"
)


def summary(report: TableReport) -> tuple[str, ...]:
    """What there was, what was made, and what a classifier gained."""
    real, made = (sum(getattr(each, side) for each in report.classes) for side in ("real", "made"))
    large, small = (pick(report.classes, key=lambda each: each.real) for pick in (max, min))
    has = (
        f"The table holds {many(real, 'real row')} in {many(len(report.classes), 'class')}, "
        f"from {number(large.real)} ({large.name}) down to {number(small.real)} ({small.name})."
    )
    classes = sum(each.made > 0 for each in report.classes)
    got = f"{many(made, 'synthetic row')} went into {many(classes, 'class')}." if made else "No synthetic row was made."
    return (has, got, *_gained(report))


def _gained(report: TableReport) -> Iterator[str]:
    for gain in report.gains:
        recall, precision = gain.mean("recall"), gain.mean("precision")
        yield (
            f"On held-out real rows, {gain.name} has a balanced accuracy of {recall.real:.3f} from the real rows alone and "
            f"of {recall.balanced:.3f} with synthetic ones ({recall.difference:+.3f}); mean average precision "
            f"{precision.real:.3f} and {precision.balanced:.3f} ({precision.difference:+.3f})."
        )


def reasons(report: TableReport, place: int) -> tuple[str, ...]:
    """Why the synthetic rows of a class are to be trusted less; empty where none were made or asked for."""
    each = report.classes[place]
    if not each.made and each.real >= each.wanted:
        return ()
    found = [f"only {number(each.real)} real to learn from"] if each.real < FEW_REAL else []
    if each.real + each.made < each.wanted:
        found.append(f"plan not met, {number(each.wanted - each.real - each.made)} short of {number(each.wanted)}")
    found += _near(each)
    fell = [g.name for g in report.gains if (r := g.recall[place]) is not None and r.high is not None and r.high < 0]
    return (*found, *([f"recall of {join(fell)} fell"] if fell else []))


def _near(each: TableClass) -> Iterator[str]:
    if each.nearest is None:
        return
    if each.nearest.copies:
        yield f"{many(each.nearest.copies, 'synthetic row')} that equal a real one"
    if each.nearest.close > MANY_CLOSE:
        yield f"{each.nearest.close:.0%} of the synthetic rows very near a real one"


def doubts(report: TableReport) -> tuple[Doubt, ...]:
    """The classes to trust least: most reasons first, then fewest real rows."""
    found = [(each, reasons(report, i)) for i, each in enumerate(report.classes)]
    order = sorted(found, key=lambda pair: (-len(pair[1]), pair[0].real))
    return tuple(Doubt(each.name, words) for each, words in order if words)
