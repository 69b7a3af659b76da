"""The table: means over seeds, and differences from the baseline paired by seed.

Law: a mean or difference of two or more seeds has Student's 95 % interval; a mean of one seed has the interval of its
samples, and a difference of one seed has none. A seed counts in a difference only where both methods have a value.
Where every seed has the very same difference, which happens to shares of few samples, there is no interval either: its width
would be zero, and zero is not the error of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evenscore.metrics.interval import paired_student
from evenscore.report.quality import Value

Figures = Mapping[str, Sequence[Value]]
"""Key of a measure -> one value for each part."""
NEGLIGIBLE = 1e-12
"""What is smaller is rounding."""


def mean_over_seeds(values: Sequence[Value]) -> Value:
    """The mean of one value for each seed, of those that have one."""
    there = [value.value for value in values if value.value is not None]
    if not there:
        return Value(None, note=next((value.note for value in values if value.note), "not measured"))
    note = "" if len(there) == len(values) else f"of {len(there)} of {len(values)} seeds"
    if len(there) == 1:
        (only,) = (value for value in values if value.value is not None)
        return Value(only.value, only.low, only.high, note or "one seed: the interval is that of its samples")
    mean, (low, high) = paired_student(there, [0.0] * len(there))
    return Value(mean, low, high, note)


def paired_difference(ours: Mapping[int, Value], baseline: Mapping[int, Value]) -> Value:
    """Mean of (ours - baseline) over the seeds that both have.

    Args:
        ours, baseline: seed -> value.
    """
    pairs = [(ours[seed].value, baseline[seed].value) for seed in sorted(ours.keys() & baseline.keys())]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not both:
        return Value(None, note="no seed has both")
    first, second = [a for a, _ in both], [b for _, b in both]
    if len(both) == 1:
        return Value(_clean(first[0] - second[0]), note="one seed: no interval")
    mean, (low, high) = paired_student(first, second)
    if high - low < NEGLIGIBLE:
        return Value(_clean(mean), note="the same in every seed: no interval")
    return Value(_clean(mean), low, high, f"{len(both)} seeds")


def _clean(value: float) -> float:
    """Zero where only rounding is left."""
    return 0.0 if abs(value) < NEGLIGIBLE else value


def is_clear(difference: Value) -> bool:
    """Whether the interval of a difference leaves out zero."""
    return difference.low is not None and difference.high is not None and (difference.low > 0 or difference.high < 0)


def means(runs: Mapping[int, Figures]) -> dict[str, tuple[Value, ...]]:
    """Means over seeds of every measure and part; ``runs`` maps seeds to figures."""
    first = next(iter(runs.values()), {})
    return {
        key: tuple(mean_over_seeds([figures[key][i] for figures in runs.values()]) for i in range(len(values)))
        for key, values in first.items()
    }


def differences(runs: Mapping[int, Figures], baseline: Mapping[int, Figures]) -> dict[str, tuple[Value, ...]]:
    """Paired differences of every measure and part that both have."""
    first, theirs = next(iter(runs.values()), {}), next(iter(baseline.values()), {})
    return {
        key: tuple(
            paired_difference(
                {seed: figures[key][i] for seed, figures in runs.items()},
                {seed: figures[key][i] for seed, figures in baseline.items()},
            )
            for i in range(len(values))
        )
        for key, values in first.items()
        if key in theirs
    }
