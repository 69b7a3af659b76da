"""The whole comparison: every row on every seed, one after the other, and what was found.

Law: a part depends on the data, the settings, its row and its seed only, not on which parts are measured beside it or when; so
an interrupted comparison, given again, ends with the figures of an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenscore import records
from evenscore.data import Dataset
from evenscore.data.dataset import require_every_class
from evenscore.downstream.found import Facts, Found, gather
from evenscore.downstream.images import ImageClassifier
from evenscore.downstream.losses import log_prior, predicted
from evenscore.downstream.methods import NOT_FOR_VECTORS, OVER_SAMPLED, Recipe, Row, chosen_methods, make_rows
from evenscore.downstream.mix import choose, used_counts, wanted_counts
from evenscore.downstream.parts import Part, Parts
from evenscore.downstream.settings import Settings
from evenscore.downstream.synthetic import held_out
from evenscore.downstream.trees import TreeClassifier
from evenscore.errors import DataError
from evenscore.report.words import join, many
from evenscore.writing import check_outside

ROWS_ONLY = ("methods", "ratios", "seeds", "seed", "margin", "head", "tail")
"""Settings that say which parts there are and how they are read, not what a part holds."""


@dataclass(frozen=True)
class Progress:
    """Where a comparison stands.

    Attributes:
        event: ``step``, ``kept`` (found in the folder), ``measured``, ``stopped`` or ``done``.
        text: what is being done, in words.
        fraction: share of all the work that is done.
        found: with ``done``, what was found.
    """

    event: str
    text: str
    fraction: float
    found: Found | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """A comparison, checked; nothing is computed yet.

    Attributes:
        data: the real data, unequal.
        test: their held-out part, without exact copies of what is trained on.
        synthetic: all synthetic samples there are.
        settings: how to compare.
        rows: the rows of the table.
        notes: what a reader has to know.
    """

    data: Dataset
    test: Dataset
    synthetic: Dataset
    settings: Settings
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, data: Dataset, synthetic: Dataset, settings: Settings) -> Job:
        """Check data and settings against each other.

        Raises:
            UsageError: a method that cannot be used on the data.
            DataError: a class without real samples, no held-out part, or no synthetic sample that any ratio would use.
        """
        require_every_class(data)
        methods = chosen_methods(settings.methods, data.kind)
        rows = make_rows(methods, settings.ratios, settings.tau)
        test, notes = held_out(data, synthetic)
        job = cls(data, test, synthetic, settings, rows, ())
        if not any(sum(job.used(row.recipe)) for row in rows):
            lacking = [
                name for name, n in zip(data.class_names, wanted_counts(data.distribution.counts, 1), strict=True) if n
            ]
            what = f"it lacks {join(lacking[:3])}" if lacking else f"all classes of {data.name} are equally large"
            raise DataError(f"{synthetic.name} holds no synthetic samples of a class that lacks any: {what}")
        barred = [f"{name} is left out: {why}" for name, why in NOT_FOR_VECTORS.items() if data.kind == "vector"]
        return cls(data, test, synthetic, settings, rows, (*notes, *barred, *job.shortages()))

    def shortages(self) -> tuple[str, ...]:
        """A sentence for each ratio that there are not enough synthetic samples for."""
        notes = []
        for row in self.rows:
            if row.recipe.ratio is None:
                continue
            wanted, used = wanted_counts(self.counts, row.recipe.ratio), self.used(row.recipe)
            short = [n for n, w, u in zip(self.data.class_names, wanted, used, strict=True) if u < w]
            if short:
                notes.append(
                    f"{row.name} wants {many(sum(wanted), 'synthetic sample')} and there are {sum(used)}: too few of "
                    f"{join(short[:5])}{f' and {len(short) - 5} more classes' if len(short) > 5 else ''}"
                )
        return tuple(notes)

    @property
    def counts(self) -> tuple[int, ...]:
        """Real training samples of each class."""
        return self.data.distribution.counts

    @cached_property
    def signature(self) -> dict[str, Any]:
        """What a part depends on, in terms of JSON."""
        settings = {key: value for key, value in records.write(self.settings).items() if key not in ROWS_ONLY}
        settings |= {"steps": self.settings.updates(self.data.kind), "lr": self.settings.rate}
        prints = {"data": self.data.fingerprint, "test": self.test.fingerprint, "synthetic": self.synthetic.fingerprint}
        return {**prints, **settings}

    def used(self, recipe: Recipe) -> tuple[int, ...]:
        """Synthetic samples of each class that a recipe trains on."""
        if recipe.ratio is None:
            return (0,) * len(self.counts)
        return used_counts(self.counts, self.synthetic.distribution.counts, recipe.ratio)

    def tasks(self) -> tuple[tuple[Recipe, int], ...]:
        """Every training there is: a recipe on a seed, all recipes of a seed before the next."""
        recipes = dict.fromkeys(row.recipe for row in self.rows)
        return tuple((recipe, seed) for seed in self.settings.all_seeds for recipe in recipes)

    def rows_of(self, recipe: Recipe) -> tuple[Row, ...]:
        """The rows that share the training of a recipe."""
        return tuple(row for row in self.rows if row.recipe == recipe)

    def missing(self, parts: Parts, recipe: Recipe, seed: int) -> bool:
        """Whether a row of a training has no part yet."""
        return any(parts.read(row.name, seed) is None for row in self.rows_of(recipe))

    def measure(self, parts: Parts, recipe: Recipe, seed: int) -> Iterator[float]:
        """Train and test once, and keep the parts of all rows that share the training; yields the share that is done."""
        started = time.monotonic()
        scores, loss = yield from self._scores(recipe, seed)
        labels, prior = torch.from_numpy(self.test.labels), log_prior(self.data.distribution)
        for row in self.rows_of(recipe):
            agreeing = labels[predicted(scores, prior, row.tau) == labels]
            right = tuple(torch.bincount(agreeing, minlength=self.data.num_classes).tolist())
            seconds = round(time.monotonic() - started, 2)
            parts.keep(Part(row.name, seed, right, self.used(recipe), loss, seconds))

    def _scores(self, recipe: Recipe, seed: int) -> Generator[float, None, tuple[Tensor, float | None]]:
        """Scores (N,K) of the test samples, and the mean training loss of the last tenth."""
        synthetic = self.chosen(recipe, seed)
        if self.data.kind == "vector":
            trees = TreeClassifier(self.data, synthetic, recipe, self.settings, seed)
            trees.fit()
            return trees.scores(self.test), None
        classifier = ImageClassifier(self.data, synthetic, recipe, self.settings, seed)
        losses: list[float] = []
        for loss in classifier.train():
            losses.append(loss)
            yield len(losses) / classifier.steps
        last = losses[-max(1, len(losses) // 10) :]
        return classifier.scores(self.test), sum(last) / len(last)

    def chosen(self, recipe: Recipe, seed: int) -> Dataset | None:
        """The synthetic samples that a recipe trains on; None for none."""
        used = self.used(recipe)
        return self.synthetic.select(choose(self.synthetic, used, seed)) if sum(used) else None


def downstream(
    data: Dataset,
    synthetic: Dataset,
    settings: Settings | None = None,
    out: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Compare classifiers trained without and with synthetic data; iterate to the end, the last progress has what was found.

    Args:
        data: real data with a held-out part.
        synthetic: synthetic samples, labelled as the data are (see :func:`read_synthetic`).
        settings: how to compare; None for the defaults.
        out: a folder in which finished parts are kept, so that the same call goes on; None for nowhere.
        stop: asked between updates; when true, the work ends and the part in hand is lost.

    Raises:
        UsageError: a method that cannot be used on the data, or a folder inside them.
        DataError: no held-out part, nothing synthetic that is lacking, or a folder that cannot be written.
        RunError: the folder holds another comparison, or is in use.
    """
    job = Job.of(data, synthetic, settings or Settings())
    if out is not None:
        check_outside(out, data)
    parts = Parts(out, job.signature)
    with parts.held():
        yield from _work(job, parts, stop)


def _work(job: Job, parts: Parts, stop: Callable[[], bool]) -> Iterator[Progress]:
    tasks = job.tasks()
    for i, (recipe, seed) in enumerate(tasks):
        text = f"{join([row.name for row in job.rows_of(recipe)])}, seed {seed}"
        if not job.missing(parts, recipe, seed):
            yield Progress("kept", text, (i + 1) / len(tasks))
            continue
        if stop():
            yield Progress("stopped", text, i / len(tasks))
            return
        for share in job.measure(parts, recipe, seed):
            yield Progress("step", text, (i + share) / len(tasks))
            if share < 1 and stop():
                yield Progress("stopped", text, (i + share) / len(tasks))
                return
        yield Progress("measured", text, (i + 1) / len(tasks))
    found = gather(facts_of(job), read_all(job, parts), also=(OVER_SAMPLED,))
    yield Progress("done", many(len(tasks), "training"), 1.0, found)


def read_all(job: Job, parts: Parts) -> dict[str, tuple[Part, ...]]:
    """All parts of a finished comparison, by row, in order of the seeds.

    Raises:
        DataError: one is missing.
    """
    out = {}
    for row in job.rows:
        found = [parts.read(row.name, seed) for seed in job.settings.all_seeds]
        out[row.name] = tuple(part for part in found if part is not None)
        if len(out[row.name]) < len(found):
            raise DataError(
                f"the part {row.name!r} of {parts.out} cannot be read any more: give the same command again"
            )
    return out


def facts_of(job: Job) -> Facts:
    """What the figures of a job are of."""
    settings, kind = job.settings, job.data.kind
    return Facts(
        job.data.name,
        job.synthetic.name,
        job.data.class_names,
        job.data.distribution.groups(settings.head, settings.tail),
        job.counts,
        job.synthetic.distribution.counts,
        job.test.distribution.counts,
        settings.all_seeds,
        {row.name: row.recipe.ratio for row in job.rows},
        classifier_in_words(settings, kind),
        {**records.write(settings), "steps": settings.updates(kind), "lr": settings.rate},
        job.notes,
    )


def classifier_in_words(settings: Settings, kind: str) -> str:
    """The classifier and its training, the same for every row."""
    updates = settings.updates(kind)
    if kind == "vector":
        return f"Histogram gradient boosting of {many(updates, 'round')} on vectors"
    changes = "images as they are" if settings.augmentation == "none" else f"augmentation {settings.augmentation}"
    return (
        f"A residual network of {settings.depth} layers, {many(updates, 'update')} of {settings.batch_size} samples with "
        f"{settings.optimiser} (lr {settings.rate:g}, cosine), {changes}, {settings.precision}"
    )
