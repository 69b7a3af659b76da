"""Ways to learn from unequal classes at equal compute: digits (factor 50) and Fashion-MNIST (factor 100), paired over seeds.

Protocol. Every method has the same backbone, batch size and grid of learning rates and dropout. It gets as many optimiser
steps as plain denoising takes in the same processor time: the cost of its step is measured first, in rounds that alternate
with plain ones. The place on the grid is chosen on a seed that is not judged, by the mean energy distance of the classes to
one half of the held-out samples; all figures are on the other half, at one guidance for all methods. A finishing
step (``+ heads``) works on the resampled run of the same seed. Differences are paired by seed, with Student's 95 % interval.

Every finished part is a file in ``--out``; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.eye import GROUPS, Eye
from benchmarks.paired import paired
from benchmarks.parts import hold, kept
from benchmarks.runner import Outcome
from benchmarks.study_table import markdown
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.errors import UsageError
from evenscore.games.heads import HeadSettings
from evenscore.run import DataCard, Run
from evenscore.sampling import Sampler, generate, labels_for
from evenscore.training import train
from evenscore.training.finish import Finisher
from evenscore.training.loop import Trainer
from evenscore.training.resolve import resolve

SUMMARY = (
    "Plain, resampled, CBDM, mutual, aligned, worst-class weighted and equilibrium heads at equal compute, paired seeds"
)
PLAIN, RESAMPLED = "plain", "resampled"
HEADS = "resampled + heads"
METHODS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {"objective": "denoising", "policy": "as-found"},
    RESAMPLED: {"objective": "denoising", "policy": "uniform"},
    "capped": {"objective": "denoising", "policy": "capped"},
    "cbdm": {"objective": "cbdm", "policy": "as-found"},
    "mutual, uniform": {"objective": "mutual", "policy": "uniform", "strength": 0.1},
    "mutual, kappa/n, similarity": {
        "objective": "mutual",
        "policy": "uniform",
        "strength": 1.0,
        "strength_rule": "by-count",
        "coupling": "similarity",
    },
    "alignment": {"objective": "alignment", "policy": "uniform"},
    "worst-class": {"objective": "worst-class", "policy": "uniform"},
}
FOUND = {"policy": "as-found", "time_weight": "reference"}
REMEDIES: Mapping[str, Mapping[str, Any]] = {
    "mutual, strong, as found": {"objective": "mutual", "strength": 1.0, **FOUND},
    "mutual, kappa 10, similarity, as found": {
        "objective": "mutual",
        "strength": 10.0,
        "strength_rule": "by-count",
        "coupling": "similarity",
        **FOUND,
    },
    "mutual, late": {"objective": "mutual", "strength": 1.0, "start": 0.5, **FOUND},
    "mutual, trunk players": {"objective": "mutual", "strength": 1.0, "players": "trunk", **FOUND},
    "alignment, kappa 10, as found": {"objective": "alignment", "kappa": 10.0, **FOUND},
    "cbdm, rows 1/4": {"objective": "cbdm", "policy": "as-found", "rows": 0.25},
}
"""Other strengths, time weights, batches, schedules and strategies, for when the first forms do not help."""
EVERY: Mapping[str, Mapping[str, Any]] = {**METHODS, **REMEDIES}
TUNED_SEED = 1000


@dataclass(frozen=True)
class Setting:
    """A data set of the study and the budget of plain denoising on it.

    Attributes:
        data: as on the command line; ``{}`` stands for the path of ``--data``.
        steps: optimiser steps of plain denoising.
        rates: learning rates of the grid.
        dropouts: dropout rates of the grid.
        per_class: samples of each class that are judged.
        precision: of training, the same for every method.
    """

    data: str
    steps: int
    rates: tuple[float, ...]
    dropouts: tuple[float, ...]
    per_class: int
    precision: str = "float32"


SETTINGS: Mapping[str, Setting] = {
    "digits": Setting("digits:factor=50,seed=0", 500, (1e-3, 2e-3), (0.0, 0.1), 100),
    "fashion": Setting("{}:factor=100,seed=0", 400, (1e-3, 2e-3), (0.0,), 150, "bfloat16"),
}
QUICK = Setting("digits:factor=50,seed=0", 150, (1e-3,), (0.0,), 40)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--sets", nargs="+", choices=list(SETTINGS), help="default: digits, and fashion where --data is given"
    )
    parser.add_argument("--judge", type=Path, help="the judge of Fashion-MNIST, a .safetensors file")
    parser.add_argument("--out", type=Path, default=Path("out/balance-study"), help="where parts are kept and resumed")
    parser.add_argument("--seeds", type=int, default=3, help="paired seeds")
    parser.add_argument("--guidance", type=float, default=2.0, help="guidance scale of all methods")
    parser.add_argument(
        "--methods", nargs="+", default=[*METHODS, HEADS], choices=[*EVERY, HEADS], help="which methods"
    )
    parser.add_argument("--steps", type=int, help="optimiser steps of plain denoising, instead of the study's own")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--markdown", type=Path, help="a file for the tables, as they stand in the docs")
    parser.add_argument(
        "--quick", action="store_true", help="digits only, 150 steps, one place on the grid: a few minutes"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Train and judge what is not there yet, then compare."""
    sets = ["digits"] if args.quick else args.sets or (["digits", "fashion"] if args.data else ["digits"])
    if "fashion" in sets and (not args.data or args.judge is None):
        raise UsageError("Fashion-MNIST is measured on your file with a judge: add --data PATH --judge FILE")
    values: dict[str, Any] = {}
    for name in sets:
        setting = QUICK if args.quick else SETTINGS[name]
        setting = replace(setting, steps=args.steps) if args.steps else setting
        study = Study(
            name, setting, args.data, args.judge, str(args.out / ("quick" if args.quick else name)), args.guidance
        )
        values[name] = compare(study, args.methods, args.seeds, args.workers)
    if args.markdown:
        args.markdown.write_text(markdown(values), encoding="utf-8")
    complete = all(len(of["table"]) == len(args.methods) for of in values.values())
    bound = {"every method judged on every seed": True}
    return Outcome({**values, "every method judged on every seed": complete}, bound, complete)


def compare(study: Study, methods: list[str], seeds: int, workers: int) -> dict[str, Any]:
    """Costs, chosen settings, figures and paired differences of one data set."""
    trained = [method for method in methods if method != HEADS]
    study.hold()
    costs = {method: study.cost(method) for method in trained}
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        grid = [(m, lr, dropout) for m in trained for lr in study.setting.rates for dropout in study.setting.dropouts]
        tuned = list(pool.map(study.tuned, *zip(*[(*place, costs[place[0]]) for place in grid], strict=True)))
        chosen = {
            m: min((t["choice"], *p[1:]) for p, t in zip(grid, tuned, strict=True) if p[0] == m)[1:] for m in trained
        }
        jobs = [(m, *chosen[m], seed, costs[m]) for seed in range(seeds) for m in trained]
        list(pool.map(study.judged, *zip(*jobs, strict=True)))
        if HEADS in methods:
            chosen[HEADS] = chosen[RESAMPLED]
            list(pool.map(study.with_heads, [(*chosen[RESAMPLED], seed, costs[RESAMPLED]) for seed in range(seeds)]))
    found = {m: [study.read(m, *chosen[m], seed) for seed in range(seeds)] for m in methods}
    return {
        "cost of a step": costs,
        "chosen": {m: {"lr": lr, "dropout": dropout} for m, (lr, dropout) in chosen.items()},
        "table": {m: table(rows, found.get(PLAIN), found.get(RESAMPLED)) for m, rows in found.items()},
    }


def table(
    rows: list[dict[str, Any]], plain: list[dict[str, Any]] | None, resampled: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """Means over seeds, and paired differences from plain and resampled denoising."""
    out: dict[str, Any] = {"steps": rows[0]["steps"]}
    for figure in ("agreement", "energy"):
        out[figure] = {group: float(np.mean([row[figure][group] for row in rows])) for group in ("mean", *GROUPS)}
        out[f"{figure} by class"] = np.mean([row[figure]["by class"] for row in rows], axis=0).round(4).tolist()
        for name, base in ((PLAIN, plain), (RESAMPLED, resampled)):
            if base is not None and base is not rows:
                out[f"{figure} against {name}"] = {
                    group: paired([row[figure][group] - b[figure][group] for row, b in zip(rows, base, strict=True)])
                    for group in ("mean", *GROUPS)
                }
    return out


@dataclass(frozen=True)
class Study:
    """One data set of the study; plain values only, so that it travels between processes.

    Attributes:
        name: of the setting.
        setting: data, budget and grid.
        path: what ``--data`` named.
        judge: file of the judge, for images that are not digits.
        out: folder of finished parts.
        guidance: scale.
    """

    name: str
    setting: Setting
    path: str | None
    judge: Path | None
    out: str
    guidance: float

    @cached_property
    def data(self) -> Dataset:
        """The long-tailed training data."""
        return load(self.setting.data.format(self.path))

    @cached_property
    def eye(self) -> Eye:
        """What judges samples."""
        return Eye.of_digits() if self.judge is None else Eye.of_judge(self.judge, self.data)

    def hold(self) -> None:
        """Refuse a folder that holds parts of another budget.

        Raises:
            DataError: it does.
        """
        hold(Path(self.out), {**asdict(self.setting), "guidance": self.guidance})

    def kept(self, part: str, compute: Callable[[], Any]) -> Any:
        """A part from its file, computed when it is not there."""
        return kept(Path(self.out) / f"{part}.json", compute)

    def config(self, method: str, lr: float, dropout: float, seed: int, steps: int) -> TrainConfig:
        """The run of a method at a place of the grid."""
        common = {
            "lr": lr,
            "dropout": dropout,
            "seed": seed,
            "steps": steps,
            "precision": self.setting.precision,
            "previews": 0,
        }
        return TrainConfig.from_mapping({**EVERY[method], **common, "checkpoint_every": 10_000})

    def cost(self, method: str) -> float:
        """Processor time of a step of a method, as a multiple of plain denoising's; 1 where it is less."""
        found: float = self.kept(f"cost_{slug(method)}", lambda: max(1.0, self._cost(method)))
        return found

    def _cost(self, method: str, rounds: int = 9, steps: int = 4) -> float:
        """The median over rounds in which both train in turn, after one to warm up."""
        torch.set_num_threads(1)
        base = Path(self.out) / "costs"
        shutil.rmtree(base, ignore_errors=True)
        spent: tuple[list[float], list[float]] = ([], [])
        trainers = [self._trainer(name, base / str(i)) for i, name in enumerate((method, PLAIN))]
        for _ in range(rounds + 1):
            for trainer, into in zip(trainers, spent, strict=True):
                started = time.process_time()
                for _ in range(steps):
                    trainer.one_step()
                into.append(time.process_time() - started)
        shutil.rmtree(base)
        return median(ours / plain for ours, plain in zip(spent[0][1:], spent[1][1:], strict=True))

    def _trainer(self, method: str, path: Path) -> Trainer:
        config = resolve(self.config(method, 1e-3, 0.0, 0, 10_000), self.data)
        return Trainer(Run.create(path, config, DataCard.of(self.data)), self.data)

    def tuned(self, method: str, lr: float, dropout: float, cost: float) -> dict[str, Any]:
        """One place of the grid on the seed that chooses."""
        return self.judged(method, lr, dropout, TUNED_SEED, cost)

    def judged(self, method: str, lr: float, dropout: float, seed: int, cost: float) -> dict[str, Any]:
        """Train one run and judge its samples."""
        found: dict[str, Any] = self.kept(
            part(method, lr, dropout, seed), lambda: self._train(method, lr, dropout, seed, cost)
        )
        return found

    def read(self, method: str, lr: float, dropout: float, seed: int) -> dict[str, Any]:
        """A part that is there."""
        found: dict[str, Any] = json.loads((Path(self.out) / f"{part(method, lr, dropout, seed)}.json").read_text())
        return found

    def _train(self, method: str, lr: float, dropout: float, seed: int, cost: float) -> dict[str, Any]:
        steps = max(1, round(self.setting.steps / cost))
        path = Path(self.out) / "runs" / part(method, lr, dropout, seed)
        for _ in train(self.data, path, self.config(method, lr, dropout, seed, steps)):
            pass
        found = {**self._judge(Run.open(path)), "steps": steps}
        _say(f"{self.name}: {method} lr {lr:g} dropout {dropout:g} seed {seed}: {found['agreement']['mean']:.3f}")
        if seed == TUNED_SEED or method != RESAMPLED:
            shutil.rmtree(path)
        return found

    def with_heads(self, job: tuple[float, float, int, float]) -> dict[str, Any]:
        """The resampled run of a seed, finished by equilibrium heads."""
        lr, dropout, seed, _ = job
        found: dict[str, Any] = self.kept(part(HEADS, lr, dropout, seed), lambda: self._heads(lr, dropout, seed))
        return found

    def _heads(self, lr: float, dropout: float, seed: int) -> dict[str, Any]:
        run = Run.open(Path(self.out) / "runs" / part(RESAMPLED, lr, dropout, seed))
        finisher = Finisher(run, self.data, HeadSettings(), seed)
        for _ in finisher.gather():
            pass
        heads, out = finisher.fit(), Path(self.out) / "runs" / part(HEADS, lr, dropout, seed)
        shutil.rmtree(out, ignore_errors=True)
        finished = finisher.write(out, heads, {})
        facts = {"k0": heads.k0, "helps": heads.helps, "gap before": float(heads.before.max())}
        return {
            **self._judge(finished),
            "steps": self.setting.steps,
            "heads": {**facts, "gap": float(heads.after.max())},
        }

    def _judge(self, run: Run) -> dict[str, Any]:
        labels = labels_for([self.setting.per_class] * self.data.num_classes)
        sampler = Sampler(guidance=self.guidance)
        batches = generate(run.denoiser(), labels, seed=0, sampler=sampler, batch_size=250)
        return self.eye.judge(
            torch.cat([batch.x for batch in batches]), labels.numpy(), self.data.distribution.groups()
        )


def part(method: str, lr: float, dropout: float, seed: int) -> str:
    """The name of a part."""
    return f"{slug(method)}_{lr:g}_{dropout:g}_{seed}"


def slug(method: str) -> str:
    """A method's name as a part of a file name."""
    return method.replace(", ", "-").replace(" + ", "+").replace("/", "-").replace(" ", "-")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
