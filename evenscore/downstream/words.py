"""The verdict in words: whether synthetic data helped, overall, by group and by class, and which ratio.

A difference helped where its interval lies above 0, and did not help where it lies below the margin (a loss where it lies below
0); otherwise it cannot be told. Law: every number in a sentence is one of the figures, and nothing is called a help or a loss
that its interval does not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evenscore.downstream.found import MEAN, Against, Difference, Found
from evenscore.downstream.methods import OVER_SAMPLED, REAL
from evenscore.labels import GROUPS
from evenscore.report.words import join, many

LISTED = 20
"""Data of more classes have no sentence for each, but for this many that differ most."""
HELPED, LOSS, NO_HELP, UNCLEAR = "helped", "loss", "no help", "unclear"


def verdict(difference: Difference, margin: float) -> str:
    """``helped``, ``loss``, ``no help`` or ``unclear``."""
    if difference.low is None or difference.high is None:
        return UNCLEAR
    if difference.low > 0:
        return HELPED
    if difference.high < 0:
        return LOSS
    return NO_HELP if difference.high < margin else UNCLEAR


def sentences(found: Found) -> Iterator[str]:
    """Everything in words, one sentence or two each."""
    yield protocol(found)
    yield from ratios(found)
    yield from overall(found)
    yield from by_group(found)
    yield from by_class(found)


def protocol(found: Found) -> str:
    """How it was measured."""
    facts = found.facts
    seeds = many(len(facts.seeds), "seed")
    interval = (
        f"intervals are Student's 95 % over {seeds}, paired: they do not count the choice of the held-out samples, and are "
        "not corrected for their number"
        if len(facts.seeds) > 1
        else "one seed gives no interval: ask for more with --seeds"
    )
    return (
        f"{facts.classifier}; tested on {many(sum(facts.test_counts), 'held-out sample')} of {facts.data}; figures are means "
        f"of the recalls of the classes; {interval}."
    )


def ratios(found: Found) -> Iterator[str]:
    """The best row without synthetic data, and the best and worst ratio."""
    best, rows = found.rows[found.best_without], found.rows
    beside = "" if best.name == REAL else f" ({REAL}: {rows[REAL].mean:.3f})"
    yield (
        f"Without synthetic data the best row is {best.name} with {best.mean:.3f}{beside}; it was chosen by this figure, "
        "on the held-out part itself."
    )
    high, low = rows[found.best_with], rows[found.worst_with]
    if high.name == low.name:
        yield f"With synthetic data: {high.name} has {high.mean:.3f}."
        return
    yield (
        f"Of the ratios x{high.ratio:g} is best with {high.mean:.3f} and x{low.ratio:g} worst with {low.mean:.3f}; the best "
        "was chosen on the held-out part too, which flatters it a little."
    )


def overall(found: Found) -> Iterator[str]:
    """The best ratio against the data as they are, the best row without synthetic data, and over-sampling alone."""
    against = found.against[found.best_with]
    yield told(found, "overall", REAL, against[REAL].figures[MEAN])
    if found.best_without != REAL:
        yield told(found, "overall", found.best_without, against[found.best_without].figures[MEAN])
    if OVER_SAMPLED in against:
        yield from over_sampled(found, against[OVER_SAMPLED])


def over_sampled(found: Found, against: Against) -> Iterator[str]:
    """Whether over-sampling alone does as well; nothing where it does not."""
    difference, margin = against.figures[MEAN], found.facts.settings["margin"]
    kind, mean = verdict(difference, margin), found.rows[OVER_SAMPLED].mean
    if kind == LOSS:
        yield f"Over-sampling alone does better: {mean:.3f}, synthetic data {span(difference)} beside it."
    elif kind == NO_HELP:
        yield f"Over-sampling alone does as well: {mean:.3f}, synthetic data {span(difference)} beside it."
    elif kind == UNCLEAR:
        yield (
            f"Over-sampling alone ({mean:.3f}) may do as well: synthetic data {span(difference)} beside it, "
            f"too close to tell {at_seeds(found)}."
        )


def by_group(found: Found) -> Iterator[str]:
    """The best ratio against the best row without synthetic data, in each group."""
    figures = found.against[found.best_with][found.best_without].figures
    for group in GROUPS:
        if group in figures:
            yield told(found, f"the {group} classes", found.best_without, figures[group])


def by_class(found: Found) -> Iterator[str]:
    """The same in each class, or in those that differ most where there are many."""
    against, facts = found.against[found.best_with][found.best_without], found.facts
    told_of = [(k, d) for k, d in enumerate(against.classes) if d is not None]
    if len(told_of) > LISTED:
        yield counted(found, [d for _, d in told_of])
        told_of = sorted(sorted(told_of, key=lambda each: -abs(each[1].mean))[:LISTED], key=lambda each: each[0])
    unclear = [(k, d) for k, d in told_of if verdict(d, facts.settings["margin"]) == UNCLEAR]
    for k, difference in told_of:
        if (k, difference) not in unclear:
            yield told(found, f"class {facts.class_names[k]!r}", found.best_without, difference)
    if unclear:
        names = join([f"{facts.class_names[k]!r} ({d.mean:+.3f})" for k, d in unclear])
        kind = "class" if len(unclear) == 1 else "classes"
        yield (
            f"Whether synthetic data x{found.rows[found.best_with].ratio:g} helped, against {found.best_without}, cannot be "
            f"told {at_seeds(found)} for {kind} {names}."
        )


def counted(found: Found, differences: Sequence[Difference]) -> str:
    """How many classes were helped, and how many not."""
    kinds = [verdict(d, found.facts.settings["margin"]) for d in differences]
    words = [f"{kinds.count(kind)} {kind}" for kind in (HELPED, LOSS, NO_HELP, UNCLEAR)]
    return (
        f"Of {len(kinds)} classes, against {found.best_without}: {join(words)}; the {LISTED} that differ most follow."
    )


def told(found: Found, what: str, base: str, difference: Difference) -> str:
    """One difference of the best ratio as a sentence."""
    margin = found.facts.settings["margin"]
    row = found.rows[found.best_with]
    who, beside = f"ynthetic data x{row.ratio:g}", f"against {base}"
    kind = verdict(difference, margin)
    if kind == HELPED:
        return f"S{who} helped {what} by {span(difference)}, {beside}."
    if kind == LOSS:
        return f"S{who} did not help {what}, {beside}: {span(difference)}, a loss."
    if kind == NO_HELP:
        return f"S{who} did not help {what}, {beside}: {span(difference)}, no gain of {margin:g}."
    return f"Whether s{who} helped {what}, {beside}, cannot be told {at_seeds(found)}: {span(difference)}."


def at_seeds(found: Found) -> str:
    """``at 3 seeds``, ``with one seed``."""
    seeds = len(found.facts.seeds)
    return "with one seed" if seeds == 1 else f"at {many(seeds, 'seed')}"


def span(difference: Difference) -> str:
    """``+0.05 (0.01 to 0.09)``, without the brackets where there is no interval."""
    if difference.low is None or difference.high is None:
        return f"{difference.mean:+.3f}"
    return f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
