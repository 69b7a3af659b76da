"""Generated rows of mixed type, with dependence: the table of the benchmarks that needs every kind of column.

Two classes, ordinary (0) and fraud (1). Two hidden normal values, wealth and age, drive most columns: real numbers (one
log-normal, one with mass at both of its bounds), whole numbers, a boolean and categories of 3, 6 and 12 levels.

Law: every row keeps :data:`BOUNDS`, :data:`INTEGERS` and :data:`CATEGORIES`; a row depends on its class, the seed and its
place alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

REGIONS = ("north", "south", "east", "west", "islands", "abroad")
PLANS = ("basic", "plus", "premium")
DEVICES = tuple(f"device-{i:02d}" for i in range(12))
CATEGORIES: Mapping[str, tuple[str, ...]] = {"region": REGIONS, "plan": PLANS, "device": DEVICES}
INTEGERS = ("age", "visits", "hour")
BOOLEANS = ("member",)
INFINITE = float("inf")
BOUNDS: Mapping[str, tuple[float, float]] = {
    "age": (18, 90),
    "income": (0, INFINITE),
    "visits": (0, INFINITE),
    "hour": (0, 23),
    "share": (0, 1),
    "distance": (0, INFINITE),
}


def mixed_rows(counts: Sequence[int], seed: int) -> tuple[Any, NDArray[np.int64]]:
    """A data frame of ``sum(counts)`` rows and their classes, class by class.

    Args:
        counts: rows of the ordinary class and of fraud.
        seed: of all draws.
    """
    import pandas

    y = np.repeat(np.arange(2), counts)
    columns = _columns(y, np.random.default_rng(seed))
    for name, levels in CATEGORIES.items():
        columns[name] = pandas.Categorical.from_codes(columns[name], list(levels))
    return pandas.DataFrame(columns), y


def _columns(y: NDArray[np.int64], random: np.random.Generator) -> dict[str, Any]:
    n = len(y)
    wealth, old, other = random.normal(size=(3, n))
    wealth = wealth + 1.0 * y
    age = np.clip(np.rint(46 - 12 * y + 14 * old), *BOUNDS["age"]).astype(np.int64)
    plan = np.digitize(wealth + 0.7 * random.normal(size=n), [-0.2, 1.1])
    region = _drawn(
        random, np.array([1.2, 1.0, 0.6, 0.3, -0.8, -1.2]) + np.outer(wealth + 1.5 * y, np.arange(6) * 0.15)
    )
    device = _drawn(random, -0.35 * np.arange(12) + np.outer(0.8 * y - 0.2 * old, np.arange(12) * 0.2))
    early = random.random(n) < 0.2 + 0.6 * y
    hour = np.mod(np.rint(np.where(early, 2, 15) + 3.0 * random.normal(size=n)), 24).astype(np.int64)
    return {
        "age": age,
        "income": np.exp(10 + 0.45 * wealth + 0.012 * (age - 44) + 0.25 * random.normal(size=n)),
        "visits": random.poisson(np.exp(1.1 + 0.25 * plan - 0.3 * old + 0.4 * y * (plan == 0))),
        "hour": hour,
        "share": np.clip(0.5 - 0.1 * y + 0.22 * (0.6 * wealth + 0.8 * other), *BOUNDS["share"]),
        "distance": np.exp(1 + 0.3 * region + 0.5 * random.normal(size=n) + 0.5 * y * early),
        "member": random.random(n) < 1 / (1 + np.exp(1 - plan - 0.8 * (age > 50))),
        "region": region,
        "plan": plan,
        "device": device,
    }


def _drawn(random: np.random.Generator, logits: NDArray[np.float64]) -> NDArray[np.int64]:
    """A category for each row of logits (n, k), by the Gumbel maximum."""
    found: NDArray[np.int64] = np.argmax(logits + random.gumbel(size=logits.shape), axis=1)
    return found
