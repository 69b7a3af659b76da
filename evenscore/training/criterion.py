"""Which checkpoint of a run is called ``best``, by a number that a person can read.

The criterion is the denoising loss (EDM weighting) of the averaged weights on some fixed samples with fixed noise, as the mean
over classes: a class of 5 samples counts like one of 5000. The samples are held out where the data have a held-out part. Where
they have none, nothing is taken from small classes for it: training samples are used, and the criterion says so.

Law: measuring draws from no generator that training draws from and looks at a bounded number of samples. Values under
different criteria (other samples) are never compared: what was best under another one is measured again. Under a budget in
steps only the regular checkpoints and the last are compared, so an interruption does not change which is best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evenscore.checkpoint import checkpoint_name, complete, point, pointed
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.errors import CheckpointError, RunError
from evenscore.run import Run
from evenscore.training.meters import ProbeLoss, probe_loss

HELD_OUT, TRAINING = "held-out", "training"


@dataclass(frozen=True)
class Criterion:
    """What checkpoints are compared by.

    Attributes:
        kind: ``held-out`` or ``training``: which samples.
        key: names criterion and samples; kept in checkpoints.
        words: the same for people.
        part: the data of which the samples are.
    """

    kind: str
    key: str
    words: str
    part: Dataset

    @classmethod
    def of(cls, data: Dataset) -> Criterion:
        """The criterion for runs that learn from ``data``."""
        part, kind = (data, TRAINING) if data.test is None else (data.test, HELD_OUT)
        present = sum(count > 0 for count in part.distribution.counts)
        classes = "classes" if present == data.num_classes else f"{present} of {data.num_classes} classes"
        words = f"mean over {classes} of the denoising loss on {kind} samples"
        return cls(kind, f"{kind}:{part.fingerprint}", words, part)

    def measure(self, denoiser: Denoiser, config: TrainConfig) -> ProbeLoss:
        """The criterion of one denoiser: smaller is better."""
        return probe_loss(denoiser, self.part, config)


@dataclass(frozen=True)
class Best:
    """The best checkpoint so far.

    Attributes:
        key: of the criterion.
        value: of the criterion; infinite where there is none yet.
        step: of the checkpoint, 0 where there is none yet.
    """

    key: str
    value: float = float("inf")
    step: int = 0

    def or_better(self, value: float, step: int) -> Best:
        """This one, or another that is better; the earlier one of equals."""
        return Best(self.key, value, step) if value < self.value else self

    def state(self) -> dict[str, Any]:
        """As it is kept in a checkpoint."""
        return {"criterion": self.key, "best": self.value, "best_step": self.step}

    @classmethod
    def resumed(cls, run: Run, criterion: Criterion, state: Mapping[str, Any], device: str) -> Best:
        """The best checkpoint of a run that goes on; the pointer ``best`` is brought in line with it.

        A run that knew another criterion (an older evenscore, another held-out part) has its best checkpoint measured anew.
        """
        if state.get("criterion") != criterion.key:
            return cls._measured(run, criterion, device)
        found, name = cls(criterion.key, float(state["best"]), int(state["best_step"])), ""
        if found.step:
            name = checkpoint_name(found.step)
            if name not in complete(run.checkpoints):
                return cls(criterion.key)
            if pointed(run.checkpoints, "best") != name:
                point(run.checkpoints, "best", name)
        return found

    @classmethod
    def _measured(cls, run: Run, criterion: Criterion, device: str) -> Best:
        name = pointed(run.checkpoints, "best")
        if name is None:
            return cls(criterion.key)
        try:
            denoiser = run.denoiser("best").to(device)
        except (CheckpointError, RunError):
            return cls(criterion.key)
        return cls(criterion.key).or_better(criterion.measure(denoiser, run.config).mean, int(name.partition("-")[2]))


@dataclass(frozen=True)
class Standing:
    """Best and last checkpoint of a run by its criterion, as ``metrics.jsonl`` tells.

    Attributes:
        criterion: in words.
        best_step, best: the best checkpoint and its value.
        last_step, last: the newest one.
    """

    criterion: str
    best_step: int
    best: float
    last_step: int
    last: float

    @classmethod
    def of(cls, run: Run) -> Standing | None:
        """Where a run stands; None before its first regular checkpoint, and for runs of before there was a criterion."""
        found = next((record for record in reversed(run.records()) if record.get("best_step")), None)
        if found is None:
            return None
        last = found["held_out" if "held_out" in found else "probe"]
        return cls(found["criterion"], found["best_step"], found["best"], found["step"], last)

    def sentence(self) -> str:
        """One line for people."""
        unseen = "" if HELD_OUT in self.criterion else " (no samples are held out: it says nothing of unseen ones)"
        return (
            f"best: step {self.best_step}, {self.criterion} {self.best:.4g}{unseen}; "
            f"last: step {self.last_step}, {self.last:.4g}"
        )
