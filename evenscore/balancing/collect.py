"""Collecting samples: draw candidates class by class, let the gate judge them, write what passes, draw again.

Law: candidates of a class are drawn in order of their number, and none is drawn twice; a class is given up when its tries
are used up, so collecting always ends. Several processes draw and judge a batch each, and what they report is taken in the
order of the batches: the folder is that of one process. Nothing in memory grows with the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evenscore.balancing.gate import Gate, Verdict
from evenscore.balancing.plan import ClassPlan
from evenscore.balancing.state import State
from evenscore.data import to_uint8
from evenscore.data.pixels import png_bytes
from evenscore.denoisers.base import Denoiser
from evenscore.ranks import ALONE, Ranks
from evenscore.run import Run
from evenscore.sampling import Batch, Sampler, generate
from evenscore.sampling.waves import Made, waves
from evenscore.writing import ImageFolder, Piece, Store

COUNTS = ("next", "made", "copies", "mislabelled")
"""Fields of the state to which a batch adds."""
EXTRA = 100
"""Candidates that every class may draw beyond ``tries`` for each wanted sample."""


@dataclass
class Collector:
    """Fills a folder with samples.

    Attributes:
        store: where to write.
        plan: what each class needs.
        gate: what may pass.
        state: how far it is; changed by collecting.
        run: the run that the denoiser is from, for the metadata.
        sampler: how to sample.
        tries: candidates for each wanted sample, at most.
        seed: of the sampling.
        keep: called in the first process where the state is that of what is complete.
        ranks: the processes that share the work.
    """

    store: Store
    plan: tuple[ClassPlan, ...]
    gate: Gate
    state: State
    run: Run
    sampler: Sampler
    tries: int
    seed: int
    keep: Callable[[], None] = lambda: None
    ranks: Ranks = ALONE

    def collect(self, denoiser: Denoiser, batch_size: int, device: str) -> Iterator[State]:
        """Draw, judge and write; yields the state after each wave of batches."""
        while self._left():
            batches = self._batches(denoiser, batch_size, device)
            for wave in waves(self.ranks, batches, self._made):
                for made in wave:
                    self._take(made)
                yield self.state
        if self.ranks.first:
            self._mark(self.store.close())

    def _left(self) -> int:
        """Candidates that are left of the present round, or of a new one; 0 at the end."""
        state = self.state
        if state.offset == sum(state.round):
            state.round = [self._wanted(k) for k in range(len(self.plan))]
            state.start, state.offset = [*state.next], 0
        return sum(state.round) - state.offset

    def _wanted(self, k: int) -> int:
        """Candidates of class ``k`` for the next round."""
        missing = self.plan[k].make - self.state.made[k]
        limit = self.tries * self.plan[k].make + EXTRA if self.plan[k].make else 0
        return max(0, min(missing, limit - self.state.next[k]))

    def _batches(self, denoiser: Denoiser, batch_size: int, device: str) -> Iterator[Batch]:
        """This process's batches of the rest of the round."""
        counts, start = np.array(self.state.round), np.array(self.state.start)
        ends, stop = counts.cumsum(), int(counts.sum())
        first = self.state.offset + self.ranks.rank * batch_size
        for begin in range(first, stop, self.ranks.size * batch_size):
            place = np.arange(begin, min(begin + batch_size, stop))
            labels = np.searchsorted(ends, place, side="right")
            numbers = start[labels] + place - (ends - counts)[labels]
            yield from generate(
                denoiser,
                labels.tolist(),
                seed=self.seed,
                sampler=self.sampler,
                indices=(numbers * len(self.plan) + labels).tolist(),
                batch_size=batch_size,
                device=device,
            )

    def _made(self, batch: Batch) -> Made:
        """Judge a batch and pack what passes."""
        x = batch.x.clamp(-1, 1)
        verdict = self.gate.judge(x, batch.labels)
        packed = self.store.pack(self._pieces(batch, to_uint8(x), verdict))
        labels, classes = batch.labels.numpy(), len(self.plan)
        marked = (np.ones(len(labels), dtype=np.bool_), verdict.passed, verdict.copy, verdict.mislabelled)
        counts = [np.bincount(labels[which], minlength=classes).tolist() for which in marked]
        return Made(dict(zip(COUNTS, counts, strict=True)), packed)

    def _pieces(self, batch: Batch, images: NDArray[np.uint8], verdict: Verdict) -> Iterator[Piece]:
        in_folders = isinstance(self.store, ImageFolder)
        for row in np.flatnonzero(verdict.passed):
            k, index = int(batch.labels[row]), batch.indices[row]
            scores = {
                "copy_ratio": round(float(verdict.ratio[row]), 4),
                "probability": round(float(verdict.probability[row]), 4),
                "nearest": int(verdict.nearest[row]),
            }
            record = {
                "label": self.plan[k].name,
                "synthetic": True,
                "seed": self.seed,
                "index": index,
                "run": self.run.path.name,
                "scores": scores,
            }
            number = index // len(self.plan) if in_folders else index
            yield Piece(k, f"synthetic-{number:07d}", ".png", png_bytes(images[row]), record)

    def _take(self, made: Made) -> None:
        """Count a batch, and keep it in the first process."""
        for name, counts in made.facts.items():
            setattr(self.state, name, [a + b for a, b in zip(getattr(self.state, name), counts, strict=True)])
        self.state.offset += sum(made.facts["next"])
        if self.ranks.first:
            self._mark(self.store.take(made.content))

    def _mark(self, mark: int | None) -> None:
        if mark is not None:
            self.state.size = mark
            self.keep()
