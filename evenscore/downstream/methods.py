"""The rows of the protocol: ways to train a classifier on unequal data, without synthetic samples and with them.

* ``real``: the data as they are, cross-entropy, every sample once per epoch.
* ``re-weighted``: the loss of a sample times a weight of its class, of mean 1 in every batch.
* ``over-sampled``: batches in which every class has the same number of places.
* ``balanced-softmax``: cross-entropy of logits + log prior while training, plain logits when testing (Ren et al. 2020,
  "Balanced Meta-Softmax for Long-Tailed Visual Recognition", eq. 4; the loss of Menon et al. with tau = 1).
* ``logit-adjusted``: the classifier of ``real``, with tau * log prior taken from its logits when testing (Menon et al. 2021,
  "Long-Tail Learning via Logit Adjustment", section 4.1, the post-hoc form).
* ``synthetic xR``: the data and R times the synthetic samples that each class lacks, cross-entropy.

Law: rows with one recipe share one training; every recipe has the same updates, batch size and schedule, and for one seed the
same first weights and the same changes of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evenscore.errors import UsageError
from evenscore.records import check_name

REAL, OVER_SAMPLED, SYNTHETIC = "real", "over-sampled", "synthetic"
METHODS: Mapping[str, str] = {
    REAL: "the data as they are, cross-entropy (always measured)",
    "re-weighted": "the loss of a sample times the inverse frequency, or effective number, of its class (scheme=...)",
    OVER_SAMPLED: "class-balanced batches",
    "balanced-softmax": "log prior added to the logits while training (Ren et al. 2020); images only",
    "logit-adjusted": "tau times log prior taken from the logits of `real` when testing (Menon et al. 2021, post-hoc)",
    SYNTHETIC: "the data and a share R of the synthetic samples that each class lacks, a row for each R (always measured)",
}
"""Methods by name."""
NOT_FOR_VECTORS: Mapping[str, str] = {
    "balanced-softmax": "gradient boosting takes no offset for each class while training; logit-adjusted is its counterpart",
}
"""Methods that gradient boosting on vectors cannot follow, and why."""


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        policy: ``as-found``, or ``uniform`` for class-balanced batches.
        weights: ``none``, or ``class`` for weights by class.
        prior: ``none``, or ``train`` for logits + log prior while training.
        ratio: share R of what each class lacks that is filled with synthetic samples; None without them.
    """

    policy: str = "as-found"
    weights: str = "none"
    prior: str = "none"
    ratio: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: of the row.
        recipe: how its classifier is trained.
        tau: how many times log prior is taken from the logits when testing.
    """

    name: str
    recipe: Recipe
    tau: float = 0.0


RECIPES: Mapping[str, Recipe] = {
    REAL: Recipe(),
    "re-weighted": Recipe(weights="class"),
    OVER_SAMPLED: Recipe(policy="uniform"),
    "balanced-softmax": Recipe(prior="train"),
    "logit-adjusted": Recipe(),
}
"""The recipe of every method without synthetic data."""


def chosen_methods(asked: tuple[str, ...] | None, kind: str) -> tuple[str, ...]:
    """The methods that are measured on data of a kind, in the order of :data:`METHODS`.

    Args:
        asked: by name; None for all that the kind allows. ``real`` and ``synthetic`` are always among them.
        kind: ``image`` or ``vector``.

    Raises:
        UsageError: a method that the kind of data does not allow was asked for.
    """
    barred = NOT_FOR_VECTORS if kind == "vector" else {}
    for name in asked or ():
        if name in barred:
            raise UsageError(f"method {name!r} cannot be used on vectors: {barred[name]}; leave it out")
    wanted = set(METHODS) - set(barred) if asked is None else {*asked, REAL, SYNTHETIC}
    return tuple(name for name in METHODS if name in wanted)


def make_rows(methods: tuple[str, ...], ratios: tuple[float, ...], tau: float) -> tuple[Row, ...]:
    """The rows of methods, with a row for each ratio, ascending, in the place of ``synthetic``."""
    rows = [Row(name, RECIPES[name], tau if name == "logit-adjusted" else 0.0) for name in methods if name != SYNTHETIC]
    return (*rows, *(Row(f"{SYNTHETIC} x{ratio:g}", Recipe(ratio=ratio)) for ratio in sorted(ratios)))


def check_methods(names: tuple[str, ...]) -> None:
    """Refuse unknown methods, and one that is named twice.

    Raises:
        UsageError: names the nearest method.
    """
    for name in names:
        check_name("method", name, METHODS)
    if len(set(names)) < len(names) or not names:
        raise UsageError(f"methods {','.join(names) or '(none)'}: name at least one, and each once")
