"""Collecting samples: draw candidates class by class, let the gate judge them, write what passes, draw again.

Law: candidates of a class are drawn in order of their number, and none is drawn twice; a class is given up when its tries
are used up, so collecting always ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evenscore.balancing.gate import Gate, Verdict
from evenscore.balancing.plan import ClassPlan
from evenscore.balancing.state import State
from evenscore.data import to_uint8
from evenscore.denoisers.base import Denoiser
from evenscore.run import Run
from evenscore.sampling import Batch, Sampler, generate
from evenscore.writing import ImageFolder

EXTRA = 100
"""Candidates that every class may draw beyond ``tries`` for each wanted sample."""


@dataclass
class Collector:
    """Fills a folder with samples.

    Attributes:
        folder: where to write.
        plan: what each class needs.
        gate: what may pass.
        state: how far it is; changed by collecting.
        run: the run that the denoiser is from, for the metadata.
        sampler: how to sample.
        tries: candidates for each wanted sample, at most.
        seed: of the sampling.
    """

    folder: ImageFolder
    plan: tuple[ClassPlan, ...]
    gate: Gate
    state: State
    run: Run
    sampler: Sampler
    tries: int
    seed: int

    def collect(self, denoiser: Denoiser, batch_size: int, device: str) -> Iterator[State]:
        """Draw, judge and write; yields the state after each batch."""
        while pairs := self._round_left():
            labels = [k for k, _ in pairs]
            indices = [j * len(self.plan) + k for k, j in pairs]
            yield from self._round(denoiser, labels, indices, batch_size, device)

    def _round_left(self) -> list[tuple[int, int]]:
        """(class, number) of the candidates that are left of the present round, or of a new one; empty at the end."""
        state = self.state
        if state.offset == sum(state.round):
            state.round = [self._wanted(k) for k in range(len(self.plan))]
            state.start, state.offset = [*state.next], 0
        pairs = [(k, state.start[k] + i) for k, count in enumerate(state.round) for i in range(count)]
        return pairs[state.offset :]

    def _wanted(self, k: int) -> int:
        """Candidates of class ``k`` for the next round."""
        missing = self.plan[k].make - self.state.made[k]
        limit = self.tries * self.plan[k].make + EXTRA if self.plan[k].make else 0
        return max(0, min(missing, limit - self.state.next[k]))

    def _round(
        self, denoiser: Denoiser, labels: list[int], indices: list[int], batch_size: int, device: str
    ) -> Iterator[State]:
        batches = generate(
            denoiser,
            labels,
            seed=self.seed,
            sampler=self.sampler,
            indices=indices,
            batch_size=batch_size,
            device=device,
        )
        for batch in batches:
            x = batch.x.clamp(-1, 1)
            verdict = self.gate.judge(x, batch.labels)
            self.state.size = self.folder.record(self._write(batch, to_uint8(x), verdict))
            self.state.offset += len(batch.labels)
            self._count(batch.labels.numpy(), verdict)
            yield self.state

    def _write(self, batch: Batch, images: NDArray[np.uint8], verdict: Verdict) -> Iterator[dict[str, object]]:
        for row in np.flatnonzero(verdict.passed):
            k, index = int(batch.labels[row]), batch.indices[row]
            name = self.folder.save(k, f"synthetic-{index // len(self.plan):07d}.png", images[row])
            scores = {
                "copy_ratio": round(float(verdict.ratio[row]), 4),
                "probability": round(float(verdict.probability[row]), 4),
                "nearest": int(verdict.nearest[row]),
            }
            yield {
                "file_name": name,
                "label": self.plan[k].name,
                "synthetic": True,
                "seed": self.seed,
                "index": index,
                "run": self.run.path.name,
                "scores": scores,
            }

    def _count(self, labels: NDArray[np.int64], verdict: Verdict) -> None:
        for k in np.unique(labels):
            mine = labels == k
            self.state.next[k] += int(mine.sum())
            self.state.made[k] += int((verdict.passed & mine).sum())
            self.state.copies[k] += int((verdict.copy & mine).sum())
            self.state.mislabelled[k] += int((verdict.mislabelled & mine).sum())
