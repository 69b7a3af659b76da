"""Fashion-MNIST at factor 100: the balanced folder, and plain denoising and CBDM beside it at equal minutes."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.judge import agreement, frechet, read
from benchmarks.parts import kept
from benchmarks.runner import Outcome, required_data
from evenscore.balancing import BalanceConfig, balance
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load, to_uint8
from evenscore.errors import UsageError
from evenscore.features.judge import Judge
from evenscore.run import Run
from evenscore.sampling import Sampler, generate, labels_for
from evenscore.training import train

SUMMARY = "Fashion-MNIST (factor 100): a balanced folder within 30 minutes, judged; plain and CBDM at equal minutes"

BOUND = {"minutes": 30.0, "agreement": {"overall": 0.80, "worst": 0.50}}
OURS = "balance"
"""The network that ``balance`` trained with its defaults (class-balanced batches), sampled without the gate."""
METHODS: dict[str, dict[str, Any]] = {
    OURS: {},
    "plain": {"objective": "denoising", "policy": "as-found"},
    "resampled": {"objective": "denoising", "policy": "uniform"},
    "cbdm": {"objective": "cbdm", "policy": "as-found"},
    "cbdm-resampled": {"objective": "cbdm", "policy": "uniform"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--judge", type=Path, help="the judge's .safetensors file")
    parser.add_argument("--out", type=Path, default=Path("out/fashion-balance"), help="where runs are kept and resumed")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes of training inside balance")
    parser.add_argument("--compare-minutes", type=float, default=10.0, help="minutes of training of each method")
    parser.add_argument("--target", type=int, default=2000, help="images of each class in the balanced folder")
    parser.add_argument("--per-class", type=int, default=200, help="images of each class that compare the methods")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 .. N-1 of the comparison")
    parser.add_argument("--methods", default=f"{OURS},plain,cbdm", help=f"of {', '.join(METHODS)}")


@dataclass(frozen=True)
class Study:
    """What every part of the benchmark needs."""

    data: Dataset
    judge: Judge
    args: argparse.Namespace

    def judged(self, images: np.ndarray[Any, np.dtype[np.uint8]], labels: np.ndarray[Any, Any]) -> dict[str, Any]:
        """Agreement of generated images, and their distance from the balanced held-out images."""
        assert self.data.test is not None
        mine, real = read(self.judge, images), read(self.judge, self.data.test.values)
        distance = round(frechet(mine.features, real.features), 4)
        return {"agreement": agreement(mine, labels), "FD-judge": distance, "images": len(images)}


def run(args: argparse.Namespace) -> Outcome:
    """Make the balanced folder, then train and judge each method; what is finished is kept and not done again."""
    data = load(required_data(args))
    if args.judge is None or data.test is None:
        raise UsageError(
            "this benchmark measures with a judge on held-out images: add --judge FILE and data with a test part"
        )
    study = Study(data, Judge(args.judge), args)
    args.out.mkdir(parents=True, exist_ok=True)
    balanced = kept(args.out / "balanced.json", lambda: _balanced(study))
    methods = {
        f"{name}, seed {seed}": kept(args.out / f"{name}-{seed}.json", lambda n=name, s=seed: _method(study, n, s))
        for seed in range(args.seeds)
        for name in args.methods.split(",")
        if seed == 0 or name != OURS
    }
    values = {"balanced": balanced, "methods at equal minutes": methods, "minutes of each method": args.compare_minutes}
    holds = (
        balanced["minutes"] <= BOUND["minutes"]
        and balanced["agreement"]["overall"] >= 0.80
        and balanced["agreement"]["worst"] >= 0.50
        and len(set(balanced["class sizes"])) == 1
    )
    return Outcome(values, BOUND, bool(holds))


def _balanced(study: Study) -> dict[str, Any]:
    """The whole of ``balance``, timed, and its synthetic images judged."""
    started = time.monotonic()
    out = study.args.out / "balanced"
    how = TrainConfig(minutes=study.args.minutes, precision="auto")
    config = BalanceConfig(target=study.args.target, train=how, sampler=Sampler(guidance=2.0))
    for stage in balance(study.data, out, config):
        if stage.training is None or stage.training.event == "saved":
            print(f"{time.monotonic() - started:7.0f} s  {stage.name}: {stage.text}", file=sys.stderr, flush=True)
    minutes = (time.monotonic() - started) / 60
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    names = {name: k for k, name in enumerate(study.data.class_names)}
    made = [line for line in lines if line["synthetic"]]
    images = np.stack([np.asarray(Image.open(out / line["file_name"]), dtype=np.uint8) for line in made])
    labels = np.array([names[line["label"]] for line in made])
    sizes = np.bincount([names[line["label"]] for line in lines], minlength=len(names)).tolist()
    shaped = images.reshape(len(images), *study.data.values.shape[1:])
    judged = agreement(read(study.judge, shaped), labels)
    made_of = {study.data.class_names[k]: int((labels == k).sum()) for k in np.unique(labels)}
    return {"minutes": round(minutes, 2), "class sizes": sizes, "synthetic": made_of, "agreement": judged}


def _method(study: Study, name: str, seed: int) -> dict[str, Any]:
    """Train one method for the same minutes, sample every class alike, and judge."""
    if name not in METHODS:
        raise UsageError(f"method {name!r} is unknown: choose of {', '.join(METHODS)}")
    if name == OURS:
        path = study.args.out / "balanced" / ".evenscore" / "run"
        return _judged_run(study, Run.open(path))
    path = study.args.out / f"{name}-{seed}"
    config = TrainConfig.from_mapping({**METHODS[name], "minutes": study.args.compare_minutes, "seed": seed})
    for progress in train(study.data, path, config):
        if progress.event != "step":
            print(f"{name} {progress.fraction:4.0%} step {progress.step}", file=sys.stderr, flush=True)
    return _judged_run(study, Run.open(path))


def _judged_run(study: Study, run: Run) -> dict[str, Any]:
    """Steps of a run, and its samples judged with and without guidance."""
    out: dict[str, Any] = {"steps": max(record["step"] for record in run.records())}
    for guidance in (1.0, 2.0):
        out[f"guidance {guidance:g}"] = _sampled(study, run, guidance)
    return out


def _sampled(study: Study, run: Run, guidance: float) -> dict[str, Any]:
    labels = labels_for([study.args.per_class] * study.data.num_classes)
    batches = generate(run.denoiser(), labels, seed=0, sampler=Sampler(guidance=guidance), batch_size=100)
    images = to_uint8(torch.cat([batch.x for batch in batches]).clamp(-1, 1))
    return study.judged(images, labels.numpy())
