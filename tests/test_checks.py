"""The public checks of objectives: all of ours keep them, a foreign one too, and each check can fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import evenscore
from evenscore.checks import CHECKS, ObjectiveError, check_objective
from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives import OBJECTIVES, Layered, Mutual, Noised, Objective, OrientedCalibration, Seen, Terms
from evenscore.objectives.naming import read_objective

COMBINED = [
    "cbdm+coral",
    "oriented-calibration+capacity-manipulation",
    "class-noise+ccua+worst-class",
    "mutual+diffrop",
    "alignment+denoising",
]
VARIED: list[Objective] = [
    Mutual(coupling="similarity", gamma=0.5, rows=1.0),
    *(OrientedCalibration(gate) for gate in ("h2t", "full", "soft")),
]


@pytest.mark.parametrize("name", [*OBJECTIVES, *COMBINED])
def test_every_objective_keeps_every_law(name: str) -> None:
    assert check_objective(read_objective(name)) == tuple(CHECKS)


@pytest.mark.parametrize("objective", VARIED, ids=repr)
def test_and_so_do_variants(objective: Objective) -> None:
    assert check_objective(objective) == tuple(CHECKS)


@dataclass(frozen=True)
class Sound(Layered):
    """A pull of the prediction to zero noise.

    Attributes:
        strength: weight of the pull; 0 is plain denoising.
        weighting: weighting of the denoising term.
    """

    strength: float = 0.1
    weighting: str = "edm"
    source: ClassVar[str] = "this test"
    neutral: ClassVar[Mapping[str, Any]] = {"strength": 0.0}

    def added(self, seen: Seen) -> Terms:
        return {"zero": self.strength * seen.prediction.eps.square().flatten(1).mean(1)}

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        return {"zero": torch.ones_like(log_snr)}


def test_a_foreign_objective_is_examined_too() -> None:
    assert check_objective(Sound()) == tuple(CHECKS)
    assert evenscore.check_objective is check_objective


def zero(scale: Callable[[Seen], Any]) -> Callable[[Any, Seen], Terms]:
    """A term made of the prediction and something that breaks a law."""
    return lambda self, seen: {"zero": self.strength * seen.prediction.eps.square().flatten(1).mean(1) * scale(seen)}


def in_place(self: Any, seen: Seen) -> Terms:
    seen.batch.x0.mul_(1.1)
    return {}


def equips(self: Any, denoiser: Any) -> None:
    denoiser.parts["unused"] = nn.Linear(2, 2)


class Unstable:
    """A number that changes with every use."""

    value = 0.0

    @classmethod
    def next(cls, seen: Seen) -> float:
        cls.value += 1
        return cls.value


def halved(seen: Seen) -> float:
    return 1.0 if not torch.is_autocast_enabled("cpu") else 20.0


BROKEN: Mapping[str, tuple[str, dict[str, Any]]] = {
    "source": ("names no source", {"source": ""}),
    "field": ("field strength is not described", {"__doc__": "Nothing."}),
    "mean": (
        "term zero has shape (): give one value for each",
        {"added": lambda s, seen: {"zero": seen.batch.t.mean()}},
    ),
    "nan": ("term zero is not finite", {"added": zero(lambda seen: float("nan"))}),
    "dtype": ("terms for torch.float64 samples are", {"added": lambda s, seen: {"zero": 0 * seen.batch.t.float()}}),
    "null": (
        "'rows without a label are handled': term zero is not finite",
        {"added": zero(lambda seen: 1 / seen.batch.kept.sum())},
    ),
    "unstable": ("two calls with one seed differ", {"added": zero(Unstable.next)}),
    "global": (
        "it draws from the global generator",
        {"added": lambda s, seen: {"zero": 0 * torch.rand(12).to(seen.batch.t)}},
    ),
    "in place": ("it changes the batch in place", {"added": in_place}),
    "coupled": (
        "term zero of a row changes with the other rows: set couples_rows = True",
        {"added": zero(lambda seen: seen.prediction.eps.mean())},
    ),
    "no neutral": ("it names no neutral settings", {"neutral": {}}),
    "not neutral": ("at strength=1.0 its loss is not that of plain denoising", {"neutral": {"strength": 1.0}}),
    "unused": ("no gradient reaches parts.unused.weight", {"equip": equips, "release": lambda s, d: d.parts.clear()}),
    "behind": ("release leaves ['parts.unused.bias', 'parts.unused.weight'] behind", {"equip": equips}),
    "half": ("its loss under bfloat16 is", {"added": zero(halved)}),
    "levels": ("level_weights says nothing of term zero", {"level_weights": lambda s, levels: {}}),
    "negative": ("are not one finite number of at least 0", {"level_weights": lambda s, levels: {"zero": levels}}),
    "memory": ("what it learns has other names or shapes", {"learn": lambda s, *given: {"new": torch.zeros(1)}}),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_law_can_be_broken(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, changed = BROKEN[fault]
    if fault == "behind":
        changed = {**changed, "added": lambda self, seen: {"zero": uses(seen)}}
    kind = dataclass(frozen=True)(type("Broken", (Sound,), {"__doc__": Sound.__doc__, **changed}))
    monkeypatch.setitem(sys.modules[__name__].__dict__, "Broken", kind)
    kind.__module__ = __name__
    sys.modules.setdefault(__name__, sys.modules[__name__])
    with pytest.raises(ObjectiveError) as caught:
        check_objective(kind())
    assert "does not keep the law" in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def uses(seen: Seen) -> Tensor:
    """A term of the part that :func:`equips` adds, zero at the neutral setting since it is multiplied by zero."""
    part = seen.denoiser.part("unused")
    return 0 * part(seen.batch.x_t[:, :2].to(next(part.parameters()).dtype)).sum(1)


def test_a_class_that_is_no_frozen_record_is_refused() -> None:
    class Loose(Objective):
        """Not a record."""

        source: ClassVar[str] = "this test"

        def __call__(self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: Any) -> Terms:
            return {}

    with pytest.raises(ObjectiveError, match="Loose is no frozen dataclass: decorate it with"):
        check_objective(Loose())
