"""The judge of the study: held-out figures, and beside them what a classifier makes of the samples.

Law: all figures of a run are of the same samples, which are drawn once. The classifier is trained on the long-tailed data and
as many of these samples as each class lacks, at one setting for all methods, and tested on the real samples that judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import torch

from evenscore import records
from evenscore.comparison.judge import HeldOutJudge, Judgement, judgement
from evenscore.data import Dataset, to_uint8
from evenscore.downstream import Job, Settings
from evenscore.downstream.methods import OVER_SAMPLED, RECIPES, Recipe
from evenscore.downstream.parts import Part as Trained
from evenscore.downstream.parts import Parts
from evenscore.evaluation import Generated, evaluate, of_run
from evenscore.features import Cache
from evenscore.report.quality import Measure, Part, Value
from evenscore.run import Run

RECALL = Measure("classifier", "classifier", "higher", "recall of a classifier trained on the data and these samples")


@dataclass(frozen=True, eq=False)
class StudyJudge:
    """A judge of held-out data with a classifier; see :class:`evenscore.comparison.judge.Judge`.

    Attributes:
        base: the judge of the other figures.
        classifier: how the classifier is trained; its only ratio is used.
    """

    base: HeldOutJudge
    classifier: Settings

    def job(self) -> Mapping[str, Any]:
        """That of the base, and the classifier."""
        return {**self.base.job(), "classifier": records.write(self.classifier)}

    def prepare(self, cache: Cache) -> Mapping[str, str]:
        """That of the base, and the classifier in words."""
        settings = self.classifier
        words = (
            f"residual network of {settings.depth} layers, {settings.updates('image')} updates, the data and "
            f"{settings.ratios[0]:g} of the samples that each class lacks"
        )
        return {**self.base.prepare(cache), "classifier": words}

    def distance(self, run: Run, seed: int, guidance: float, cache: Cache) -> float:
        """That of the base."""
        return self.base.distance(run, seed, guidance, cache)

    def judge(self, run: Run, name: str, seed: int, guidance: float, cache: Cache) -> Judgement:
        """All figures of a run's samples."""
        drawn = of_run(run, self.base.config.per_class, self.base.config.at(guidance), seed)
        kept = list(drawn.parts())
        generated = replace(drawn, name=name, parts=lambda: iter(kept))
        config = self.base.config.evaluation
        found = judgement(evaluate(generated, self.base.judges, config, trained_on=self.base.data, cache=cache))
        recalls = self.recalls(with_synthetic(self.classifier), seed, in_memory(generated, self.base.data))
        figures = {**found.figures, RECALL.key: values(found.parts, recalls)}
        return replace(found, measures=(*found.measures, RECALL), figures=figures)

    def recalls(self, recipe: Recipe, seed: int, synthetic: Dataset) -> list[float]:
        """Recall of every class by a classifier that is trained as a recipe says."""
        data = replace(self.base.data, test=self.base.judges.test)
        job, parts = Job.of(data, synthetic, self.classifier), Parts(None, {})
        for _ in job.measure(parts, recipe, seed):
            pass
        (row, *_) = job.rows_of(recipe)
        trained = parts.read(row.name, seed)
        assert isinstance(trained, Trained)
        return [right / n for right, n in zip(trained.right, job.test.distribution.counts, strict=True)]

    def without(self, seed: int, synthetic: Dataset) -> list[float]:
        """Recall of every class without synthetic samples, over-sampled: what a gain is counted from."""
        return self.recalls(RECIPES[OVER_SAMPLED], seed, synthetic)


def with_synthetic(settings: Settings) -> Recipe:
    """The recipe with synthetic samples."""
    return Recipe(ratio=settings.ratios[0])


def in_memory(generated: Generated, data: Dataset) -> Dataset:
    """Generated images as a data set with the labels of ``data``."""
    parts = list(generated.matched(data).parts())
    images = np.concatenate([to_uint8(part.x) for part in parts])
    return Dataset(images, torch.cat([part.labels for part in parts]).numpy(), data.class_names, generated.name)


def values(parts: Sequence[Part], by_class: Sequence[float]) -> tuple[Value, ...]:
    """The mean over the classes of each part, and the smallest, from the values of the classes in their order."""
    classes = [part for part in parts if part.kind == "class"]
    pairs = list(zip(by_class, classes, strict=True))

    def of(part: Part) -> Value:
        if part.kind == "worst":
            least, where = min(pairs, key=lambda pair: pair[0])
            return Value(least, note=f"class {where.name}")
        names = {"group": lambda each: each.group, "class": lambda each: each.name}
        name = names.get(part.kind, lambda each: part.name)
        return Value(fmean(value for value, each in pairs if name(each) == part.name))

    return tuple(of(part) for part in parts)
