"""What a training run would take: measured on a few real steps in a temporary folder, which is thrown away."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.run import DataCard, Run
from evenscore.training.loop import Trainer


@dataclass(frozen=True)
class Estimate:
    """Cost of a run.

    Attributes:
        parameters: of the network.
        seconds_per_step: measured.
        steps: of the whole run.
        seconds: of the whole run.
        memory_mib: largest memory of this process so far, mebibytes.
    """

    parameters: int
    seconds_per_step: float
    steps: int
    seconds: float
    memory_mib: float

    def to_mapping(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def estimate(data: Dataset, config: TrainConfig, repeats: int = 4) -> Estimate:
    """Cost of a resolved configuration; takes ``repeats + 1`` training steps."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Run.create(Path(folder) / "run", config, DataCard.of(data)), data)
        trainer.one_step()
        started = time.perf_counter()
        for _ in range(repeats):
            trainer.one_step()
        each = (time.perf_counter() - started) / repeats
    parameters = sum(p.numel() for p in trainer.model.parameters())
    steps = config.steps if config.steps is not None else int(60 * (config.minutes or 0) / each)
    return Estimate(parameters, each, steps, steps * each, _peak_mib())


def _peak_mib() -> float:
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
