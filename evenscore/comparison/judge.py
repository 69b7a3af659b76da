"""Who judges: a run's samples against held-out real data; and what a place on the grid is chosen by.

Law: the real samples that judge are seen by nothing else. Where there is something to choose, or every class has samples enough
for two, the held-out data are halved by class: one half chooses, the other judges. Features that are fitted see the training
data where they choose, and the training data with the half that chooses where they judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from evenscore.comparison.settings import ComparisonConfig
from evenscore.data import Dataset
from evenscore.errors import DataError
from evenscore.evaluation import Evaluation, evaluate, of_run, to_dict
from evenscore.evaluation.look import look
from evenscore.evaluation.page import figures_of, measures_of, parts_of
from evenscore.features import Cache, reference_part, reference_seen, views
from evenscore.features.domain import halves
from evenscore.metrics.base import LEAST
from evenscore.metrics.energy import energy_distance
from evenscore.report.quality import Measure, Part, Value
from evenscore.run import Run

HALVING_SEED = 0
"""Of the halves: the same for every comparison of a data set."""
FEWEST_TO_CHOOSE = 4
"""Least number of held-out samples of a class where there is something to choose: an energy distance takes two."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found of one run.

    Attributes:
        measures: the headline measure first.
        parts: what each value of a measure is about.
        figures: key of a measure -> one value for each part.
        record: everything else that was found, in terms of JSON.
    """

    measures: tuple[Measure, ...]
    parts: tuple[Part, ...]
    figures: Mapping[str, tuple[Value, ...]]
    record: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "measures": [asdict(measure) for measure in self.measures],
            "parts": [asdict(part) for part in self.parts],
            "figures": {key: [asdict(value) for value in values] for key, values in self.figures.items()},
            "record": dict(self.record),
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Judgement:
        """The judgement that :meth:`to_json` wrote."""
        figures = {key: tuple(Value(**value) for value in values) for key, values in given["figures"].items()}
        measures = tuple(Measure(**row) for row in given["measures"])
        return cls(measures, tuple(Part(**row) for row in given["parts"]), figures, given["record"])


class Judge(Protocol):
    """Judges runs; plain values and data only, so that it travels between processes."""

    def job(self) -> Mapping[str, Any]:
        """What its figures depend on, in terms of JSON: a folder holds figures of one such record."""
        ...

    def prepare(self, cache: Cache) -> Mapping[str, str]:
        """Fit what is fitted once, and refuse what cannot be judged; the protocol, name -> words."""
        ...

    def distance(self, run: Run, seed: int, guidance: float, cache: Cache) -> float:
        """How far a run's samples are from the data that choose; the least is chosen."""
        ...

    def judge(self, run: Run, name: str, seed: int, guidance: float, cache: Cache) -> Judgement:
        """Judge a run's samples under a name."""
        ...


@dataclass(frozen=True, eq=False)
class HeldOutJudge:
    """The judge of held-out data, see the module.

    Attributes:
        data: training data.
        chooses: real data whose held-out part chooses.
        judges: real data whose held-out part judges.
        halved: whether these parts are halves.
        config: features, measures, sampler and numbers of samples.
    """

    data: Dataset
    chooses: Dataset
    judges: Dataset
    halved: bool
    config: ComparisonConfig

    @classmethod
    def of(cls, data: Dataset, config: ComparisonConfig) -> HeldOutJudge:
        """The judge of a data set.

        Raises:
            DataError: no held-out data, a class without any, or too few to choose by.
        """
        if data.test is None:
            raise DataError(
                f"{data.name} has no held-out data, and methods cannot be compared by what they learned from: give data with "
                "a test part (test_images in an .npz, or a folder test beside train)"
            )
        fewest = min(np.bincount(reference_part(data, "test").labels).tolist())
        if config.chooses and fewest < FEWEST_TO_CHOOSE:
            raise DataError(
                f"{data.name} has a class of {fewest} held-out samples, and half of them would have to choose: give at least "
                f"{FEWEST_TO_CHOOSE} of each class, or no grid"
            )
        if not config.chooses and fewest < 2 * LEAST:
            return cls(data, data, data, False, config)
        first, second = halves(data.test.labels, HALVING_SEED)
        choosing, judging = data.test.select(first), data.test.select(second)
        return cls(data, replace(data, test=choosing), replace(_joined(data, choosing), test=judging), True, config)

    def job(self) -> Mapping[str, Any]:
        """Data, features, measures, samples and sampler."""
        settings, sampler = self.config.evaluation, self.config.sampler
        assert self.judges.test is not None
        return {
            "judging data": self.judges.test.fingerprint,
            **{key: value for key, value in asdict(settings).items() if key not in ("part", "metrics", "seed")},
            "metrics": None if settings.metrics is None else list(settings.metrics),
            "evaluation seed": settings.seed,
            "per-class": self.config.per_class,
            "solver": sampler.solver,
            "time grid": sampler.grid,
            "nfe": sampler.nfe,
            "guidance": list(self.config.guidances),
            "guidance interval": None if sampler.interval is None else list(sampler.interval),
            "solver settings": dict(sampler.settings),
        }

    def prepare(self, cache: Cache) -> Mapping[str, str]:
        """Fit the features, see the held-out data, and say how the judge judges these themselves."""
        settings = self.config.evaluation
        assert self.judges.test is not None
        for real in (self.chooses, self.judges) if self.config.chooses else (self.judges,):
            (view,) = views(settings.features, real, "test", settings.seed, cache, settings.fit_steps)
            assert real.test is not None
            seen = reference_seen(view, real.test, cache)
        settings.chosen(view.features.own_classes)
        sight = ""
        if view.features.own_classes and seen.probabilities is not None:
            labels = self.judges.test.labels
            right = np.asarray(seen.probabilities.argmax(1)) == labels
            by_class = [float(right[labels == k].mean()) for k in range(self.data.num_classes)]
            worst = int(np.argmin(by_class))
            sight = (
                f"; of the real samples that judge it gives {right.mean():.1%} to their class, least of "
                f"{self.data.class_names[worst]!r}: {by_class[worst]:.0%}"
            )
        return self._protocol(view.features.name, sight)

    def _protocol(self, features: str, sight: str) -> dict[str, str]:
        config, sampler = self.config, self.config.sampler
        assert self.judges.test is not None
        part = "half of the held-out data, by class" if self.halved else "all held-out data"
        fitted = "the training data and the half that does not judge" if self.halved else "the training data"
        scales = ", ".join(f"{scale:g}" for scale in config.guidances)
        return {
            "features": features + (f", fitted once on {fitted}" if features == "domain" else "") + sight,
            "reference": f"{len(self.judges.test)} real samples: {part}",
            "samples": f"{config.per_class} of each class from each run, with averaged weights and the seed of the run",
            "sampler": f"{sampler.solver}, {sampler.nfe} evaluations",
            "guidance": f"{scales}, the same for all methods"
            if len(config.guidances) == 1
            else f"each method chose from the common grid {scales}",
            "groups": f"head: more than {config.evaluation.head} training samples, tail: fewer than {config.evaluation.tail}",
        }

    def distance(self, run: Run, seed: int, guidance: float, cache: Cache) -> float:
        """Mean over classes of the energy distance to the half that chooses."""
        settings, real = self.config.evaluation, self.chooses.test
        assert real is not None
        maps = views(settings.features, self.chooses, "test", settings.seed, cache, settings.fit_steps)
        generated = of_run(run, self.config.per_class, self.config.at(guidance), seed).matched(self.chooses)
        looked = look(generated, maps, None, most=sum(generated.counts))
        made, seen = looked.features[0], reference_seen(maps[0], real, cache).features
        assert isinstance(made, Tensor)
        pairs = [(made[looked.labels == k], seen[real.labels == k]) for k in range(real.num_classes)]
        return float(np.mean([energy_distance(*pair) for pair in pairs]))

    def judge(self, run: Run, name: str, seed: int, guidance: float, cache: Cache) -> Judgement:
        """All figures of a run's samples, as :func:`evenscore.evaluation.evaluate` finds them."""
        generated = replace(of_run(run, self.config.per_class, self.config.at(guidance), seed), name=name)
        found = evaluate(generated, self.judges, self.config.evaluation, trained_on=self.data, cache=cache)
        return judgement(found)


def judgement(found: Evaluation) -> Judgement:
    """An evaluation as one value for each measure and part, as its own page has them."""
    return Judgement(measures_of(found), parts_of(found), figures_of(found), to_dict(found))


def _joined(data: Dataset, more: Dataset) -> Dataset:
    """Training data with further real samples behind them."""
    values, labels = np.concatenate([data.values, more.values]), np.concatenate([data.labels, more.labels])
    return replace(data, values=values, labels=labels, files=None)


def cache_in(folder: Path) -> Cache:
    """Where a comparison keeps fitted features: in its own folder, so that it does not depend on any other."""
    return Cache(folder / "features")
