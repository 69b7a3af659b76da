"""Finishing a run with equilibrium heads: one pass over its data, the solved game, and a run folder with the new last layers.

Law: the new folder is a run like any other (``sample``, ``balance``, ``likelihood`` take it), made of the averaged weights
that were finished and one correction of the last layer for each class; the null label keeps the trained layer. It appears
complete or not at all. Training does not go on in it: that is done in the run that it came from.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenscore import records
from evenscore.checkpoint import (
    PARTIAL,
    Checkpoint,
    load_checkpoint,
    make_folder,
    save_checkpoint,
    unwritable,
    write_atomic,
)
from evenscore.confined import inside
from evenscore.data import Dataset
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import RunError
from evenscore.games.coupling import train_law, uniform_law
from evenscore.games.head_moments import HeadSums, head_rows, rows_at_once, stiffness
from evenscore.games.heads import HeadProblem, Heads, HeadSettings, fit_heads
from evenscore.networks.heads import last_layers, target_rows, trunk_of
from evenscore.objectives.coupling import similarity
from evenscore.objectives.levels import draw_times
from evenscore.random import generator
from evenscore.run import FINISHED, HEADS, Run
from evenscore.training.class_moments import class_moments


class Finisher:
    """The pass over the data of a run, and what follows from it.

    Args:
        run: the trained run.
        data: its data.
        how: how heads are fitted.
        seed: of folds, times and noise.

    Raises:
        RunError: other data, or a run that was finished already.
        UsageError: a network without a trunk that all labels share.
    """

    def __init__(self, run: Run, data: Dataset, how: HeadSettings, seed: int = 0) -> None:
        run.check_data(data)
        if (run.path / FINISHED).exists():
            raise RunError(f"{run.path} was finished with heads already: finish the run that it came from")
        self.run, self.data, self.how, self.seed = run, data, how, seed
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.denoiser: Preconditioned = run.denoiser().to(device)
        self.trunk = trunk_of(self.denoiser.backbone)
        shape = last_layers(self.trunk, torch.zeros(1, dtype=torch.int64, device=device)).shape
        self.sums = HeadSums.empty(data.num_classes, how.folds, *shape[1:])
        self.test = None if data.test is None else HeadSums.empty(data.num_classes, 1, *shape[1:])

    def gather(self) -> Iterator[float]:
        """Pass over the data; yields the share that is done."""
        parts = [(self.data, self.sums, self.how.folds)]
        if self.data.test is not None and self.test is not None:
            parts.append((self.data.test, self.test, 1))
        total = sum(int(self._draws(part, k) * len(part.of_class(k))) for part, _, _ in parts for k in self._classes)
        done = 0
        for part, sums, folds in parts:
            name = "training" if part is self.data else "held out"
            for k in self._classes:
                for n in self._class(part, sums, k, folds, name):
                    done += n
                    yield done / total

    def fit(self) -> Heads:
        """Choose k0 and solve the game.

        Raises:
            EvenscoreError: the coupling is too strong.
        """
        return fit_heads(self.problem(), self.how)

    def problem(self) -> HeadProblem:
        """What heads are fitted to, after the pass."""
        stiff = stiffness(self.denoiser, self.how.time_weight)
        return HeadProblem(self.sums, self.trained(), self.data.distribution.counts, self.law(), stiff)

    def trained(self) -> Tensor:
        """(K, D, F) trained last layer of each class."""
        labels = torch.arange(self.data.num_classes, device=self.denoiser.std.device)
        return last_layers(self.trunk, labels).cpu()

    def law(self) -> Tensor:
        """(K, K) Q."""
        if self.how.law == "uniform":
            return uniform_law(self.data.num_classes)
        if self.how.law == "train":
            return train_law(self.data.distribution)
        return similarity(class_moments(self.data), self.how.width)

    @property
    def _classes(self) -> range:
        return range(self.data.num_classes)

    def _draws(self, part: Dataset, k: int) -> int:
        return max(self.how.draws, -(-self.how.rows // max(1, len(part.of_class(k)))))

    def _class(self, part: Dataset, sums: HeadSums, k: int, folds: int, name: str) -> Iterator[int]:
        """Rows of one class, fold by fold; yields how many noisy samples were taken in.

        A class of fewer images than folds leaves the last ones empty.
        """
        random = generator(self.seed, name, k)
        index = torch.from_numpy(part.of_class(k))
        index = index[torch.randperm(len(index), generator=random)]
        for fold in range(min(folds, len(index))):
            mine = index[fold::folds].repeat(self._draws(part, k))
            mine = mine[torch.randperm(len(mine), generator=random)]
            for chunk in torch.split(mine, rows_at_once(self.trunk, self._positions)):
                self._add(part, sums, k, fold, chunk, random)
                yield len(chunk)

    @property
    def _positions(self) -> int:
        return target_rows(self.trunk, self.denoiser.std.expand(1, *self.denoiser.shape)).shape[1]

    def _add(self, part: Dataset, sums: HeadSums, k: int, fold: int, index: Tensor, random: torch.Generator) -> None:
        denoiser = self.denoiser
        x0, y = part.tensor(index.numpy()), torch.full_like(index, k)
        t = draw_times(self.run.config.noise, len(y), denoiser.process, float(denoiser.std.mean()), random)
        eps = torch.randn(x0.shape, generator=random)
        x0, y, t, eps = (v.to(denoiser.std.device) for v in (x0, y, t, eps))
        sums.add(k, fold, head_rows(denoiser, x0, y, t, eps, self.how.time_weight))

    def table(self, heads: Heads) -> list[dict[str, Any]]:
        """What was found for each class, as plain values; losses and gaps in units of the denoising loss."""
        trained = self.trained()
        columns = {
            "gap": heads.before,
            "gap_after": heads.after,
            "held_out_trained": heads.held_out_trained,
            "held_out": heads.held_out,
        }
        if self.test is not None:
            columns |= {"test_trained": self.test.losses(trained), "test": self.test.losses(heads.profile)}
        counts = self.data.distribution.counts
        return [
            {"name": name, "trained_on": counts[k], **{key: _plain(value[k]) for key, value in columns.items()}}
            for k, name in enumerate(self.data.class_names)
        ]

    def write(self, out: Path, heads: Heads, report: dict[str, Any]) -> Run:
        """Write the finished run.

        Args:
            out: its folder.
            heads: what was fitted.
            report: kept in the folder for people.

        Raises:
            RunError: the folder exists and is not empty.
            DataError: it cannot be written.
        """
        require_empty(out)
        part = out.with_name(f".{out.name}.{os.getpid()}{PARTIAL}")
        make_folder(part)
        try:
            self._fill(part, heads, report)
            os.replace(part, out)
        except OSError as error:
            raise unwritable(out, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return Run.open(out)

    def _fill(self, folder: Path, heads: Heads, report: dict[str, Any]) -> None:
        inside(self.run.path, "config.yaml", "metrics.jsonl", "classifier")
        for name in ("config.yaml", "metrics.jsonl"):
            shutil.copy(self.run.path / name, folder / name)
        if (self.run.path / "classifier").is_dir():
            shutil.copytree(self.run.path / "classifier", folder / "classifier", symlinks=True)
        trained = load_checkpoint(self.run.checkpoints)
        tensors = {key: value for key, value in trained.tensors.items() if key.startswith("ema.")}
        state = {**trained.state, "heads": records.write(self.how), "k0": heads.k0, "seed": self.seed}
        kept = Checkpoint({**tensors, HEADS: self.correction(heads)}, state)
        save_checkpoint(folder / "checkpoints", int(trained.state["step"]), kept, pointers=("best",))
        write_atomic(folder / FINISHED, json.dumps(report, indent=1).encode())

    def correction(self, heads: Heads) -> Tensor:
        """(K + 1, D, F) what heads add to the trained last layer; zero for the null label, and where they do not help."""
        added = (heads.profile - self.trained()).float() * heads.helps
        return torch.cat([added, torch.zeros_like(added[:1])])


def require_empty(out: Path) -> None:
    """Refuse a place where something is.

    Raises:
        RunError: it exists and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists: choose another --out, or remove it")


def _plain(value: Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
