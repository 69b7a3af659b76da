"""What a learning curve says of every class of the data: in numbers, and in words.

Law: nothing is said beyond the largest size that was measured, or below the smallest. A class is told how many samples it
lacks to the number from which the curve is near its end; where the curve still rises there, that end is not called a plateau.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from evenscore.data import Dataset
from evenscore.learning_curve.curve import Curve, Point, curve_of
from evenscore.learning_curve.design import CurveSettings, Design, Learner, design, network, recalls, turns

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class ClassAdvice:
    """What the curve says of one class.

    Attributes:
        name: of the class.
        count: its training samples.
        agreement: the curve at that number; None below the smallest size.
        more: samples that it lacks, 0 for enough; ``more_low`` to ``more_high`` is the 95 % interval.
        words: the same as a sentence.
    """

    name: str
    count: int
    agreement: Point | None
    more: int
    more_low: int
    more_high: int
    words: str


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """A measured curve, with what it says of each class."""

    plan: Design
    settings: CurveSettings
    curve: Curve
    advice: tuple[ClassAdvice, ...]


def learning_curve(
    data: Dataset,
    settings: CurveSettings | None = None,
    *,
    learner: Learner = network,
    report: Report = lambda done, total: None,
) -> LearningCurve:
    """Measure label agreement against the number of samples of a class, on the large classes of the data.

    Args:
        data: with some large classes; their held-out samples are judged where there are some, else a quarter of them.
        settings: sizes, seeds, steps.
        learner: what is trained; the small classifier that measures label agreement.
        report: told (done, total) trainings after each.

    Raises:
        DataError: no class is large enough.
    """
    settings = settings or CurveSettings()
    plan, found = design(data, settings), []
    for turn in turns(plan, settings, learner):
        found.append(turn)
        report(turn.number, turn.total)
    judged = sum(len(rows) for rows in plan.judged.values())
    curve = curve_of(recalls(plan, found), plan.sizes, judged, settings.within)
    pairs = zip(data.class_names, data.distribution.counts, strict=True)
    return LearningCurve(plan, settings, curve, tuple(advise(curve, name, count) for name, count in pairs))


def advise(curve: Curve, name: str, count: int) -> ClassAdvice:
    """What a curve says of a class of ``count`` samples."""
    need, there = curve.need, curve.at(count)
    more, low, high = (max(0, n - count) for n in (need.n, need.low, need.high))
    now = f"at {_images(count)} {_span(there)}" if there else f"{_images(count)}, fewer than was measured"
    near = f"within {curve.within:g} of its value at {curve.end.n}"
    if count > curve.end.n:
        words = f"enough as far as was measured: beyond {curve.end.n} nothing was, there {_span(curve.end)}"
    elif more == 0:
        words = f"enough: {now}, {near}"
    else:
        words = f"about {more} more ({low} to {high}): {now}; from about {need.n} on it is {near}"
    return ClassAdvice(name, count, there, more, low, high, words)


def _images(n: int) -> str:
    return "1 sample" if n == 1 else f"{n} samples"


def _span(point: Point) -> str:
    return f"{point.value:.2f} ({point.low:.2f} to {point.high:.2f})"


def sentences(found: LearningCurve) -> Iterator[str]:
    """What was measured and found, in words."""
    plan, curve, settings = found.plan, found.curve, found.settings
    names = ", ".join(plan.data.class_names[k] for k in plan.classes[:5])
    more = f" and {len(plan.classes) - 5} more" if len(plan.classes) > 5 else ""
    total, judged = settings.seeds * len(plan.sizes), sum(len(rows) for rows in plan.judged.values())
    yield (
        f"label agreement of the large classes ({names}{more}) on {judged} samples of the {plan.kept_out}: {total} trainings "
        f"of {settings.steps} steps on long-tailed subsets in which these classes take every size in turn; 95 % intervals "
        f"over {curve.over}"
    )
    need, end, rise = curve.need, curve.end, curve.rise
    yield (
        f"from about {need.n} samples of a class on ({need.low} to {need.high}) agreement is within {curve.within:g} of its "
        f"value at {end.n}, {_span(end)}"
    )
    step = f"{rise.value:+.3f} ({rise.low:+.3f} to {rise.high:+.3f}) from {curve.points[-2].n} to {end.n}"
    yield (
        f"the curve still rises at its end, {step}: more may help, but beyond {end.n} nothing was measured"
        if curve.rises
        else f"at its end no rise is certain, {step}; beyond {end.n} nothing was measured"
    )
    yield (
        f"classes differ: at {end.n} from {end.lowest:.2f} to {end.highest:.2f}, and a rare class can be harder than those "
        "that were measured; a model that makes new samples may need more than one that recognises them"
    )


def to_dict(found: LearningCurve) -> dict[str, Any]:
    """Everything that was found, in terms of JSON."""
    plan, curve = found.plan, found.curve
    return {
        "points": [asdict(point) for point in curve.points],
        "within": curve.within,
        "need": asdict(curve.need),
        "rise": {**asdict(curve.rise), "certain": curve.rises},
        "intervals_over": curve.over,
        "measured_classes": [plan.data.class_names[k] for k in plan.classes],
        "judged": {plan.data.class_names[k]: len(rows) for k, rows in plan.judged.items()},
        "judged_from": plan.kept_out,
        "settings": asdict(found.settings),
        "classes": [asdict(each) for each in found.advice],
        "words": list(sentences(found)),
    }
