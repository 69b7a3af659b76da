"""Samples per second at equal Frechet distance: few evaluations against the 1000-step ancestral sampler, and one step.

A run is trained on ``--data`` and distilled into a one-step generator, both kept in ``--out``. Then every way of sampling draws
the same classes from the same seeds, batch by batch, all ways in turn within each batch (every second batch in the opposite
order), in one process: times are compared within batches, and images are judged together against the held-out part. The
ancestral sampler is that of diffusers' ``DDPMScheduler`` (``solver-peers`` holds the two equal, in values and in time for a
step), asked 1000 times for each sample. No way is guided, but for ``evenscore sample``, which is what that command does, and
``guided, 12``, the same at every noise level.

Equal distance: the default, ``evenscore sample``, has to be at most as far away as the ancestral sampler. Beside it is said
which way without guidance is the quickest that is. The error of the difference is that of the jackknife which leaves out a
batch of both.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.judge import agreement, frechet, read
from benchmarks.nash_figures import pyplot, save
from benchmarks.parts import hold, worked_off
from benchmarks.runner import Outcome, required_data
from evenscore.checkpoint import write_atomic
from evenscore.configuration import TrainConfig
from evenscore.data import load, to_uint8
from evenscore.denoisers.base import Denoiser
from evenscore.distill import DistillConfig, distill
from evenscore.errors import UsageError
from evenscore.features.judge import Judge
from evenscore.run import Run
from evenscore.sampling import DEFAULT, ONE_STEP, Sampler, generate
from evenscore.sampling.speed import Speeds, Way
from evenscore.training import train

SUMMARY = "Samples per second at equal Frechet distance to 1000 ancestral steps, one step beside, and the curve"
SLOW, PLAIN, ONE, GUIDED = "ancestral, 1000", "dpm++2m, 12", "one-step", "evenscore sample"
FASTER, ONCE = 50.0, 10.0
BUDGETS: Mapping[str, Sequence[int]] = {
    "dpm++2m": (4, 6, 8, 10, 12, 16, 20, 50),
    "heun": (12, 20, 50),
    "ddim": (12, 20, 50),
    "ancestral": (20, 50, 100, 1000),
}
"""Evaluations for each sample; ``ancestral`` and ``ddim`` at times that are equally far apart, the others at equal log SNR."""
UNIFORM = ("ancestral", "ddim")
BOUND: dict[str, Any] = {
    "default at equal distance to ancestral, samples per second": FASTER,
    "one-step to default without guidance, samples per second": ONCE,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--judge", type=Path, help="the judge's .safetensors file")
    parser.add_argument("--out", type=Path, default=Path("out/sample-speed"), help="where all is kept and gone on with")
    parser.add_argument("--train-steps", type=int, default=3000, help="training steps of the run")
    parser.add_argument("--distill-steps", type=int, default=600, help="generator steps of distillation")
    parser.add_argument("--batches", type=int, default=10, help="batches that are timed and judged")
    parser.add_argument("--batch", type=int, default=100, help="samples of a batch")
    parser.add_argument("--slowest", type=int, default=1000, help="leave out ways of more evaluations, to try this out")
    parser.add_argument("--figures", type=Path, help="folder for the curve")


def run(args: argparse.Namespace) -> Outcome:
    """Train, distil, sample every way, judge."""
    data = load(required_data(args))
    if args.judge is None or data.test is None:
        raise UsageError("this benchmark measures with a judge on held-out images: add --judge FILE and such data")
    torch.set_num_threads(1)
    settings = ("train_steps", "distill_steps", "batch", "slowest")
    hold(args.out, {name: getattr(args, name) for name in settings})
    ways = ways_of(args, *trained(args, data))
    speeds, images = drawn(args, ways, data.num_classes)
    judge, labels = Judge(args.judge), np.tile(_labels(args.batch, data.num_classes), args.batches)
    real = read(judge, data.test.values).features
    rows = {name: row(judge, images[name], labels, real, args.batches) for name in ways}
    for name in rows:
        rows[name]["samples per second"] = speeds.per_second(name)
        rows[name] |= against(rows, speeds, name, args.batches) if SLOW in rows else {}
    if args.figures:
        draw(rows, args.figures / "sample-speed.svg")
    return outcome(rows, speeds)


def outcome(rows: Mapping[str, Mapping[str, Any]], speeds: Speeds) -> Outcome:
    """The ratios, and all rows without what only the error needed."""
    enough = equal(rows, speeds)
    near = SLOW in rows and rows[GUIDED]["FD-judge"] <= rows[SLOW]["FD-judge"]
    values = {
        "default at equal distance to ancestral, samples per second": speeds.ratio(GUIDED, SLOW) if near else None,
        "quickest at equal distance without guidance": enough,
        "it to ancestral, samples per second": speeds.ratio(enough, SLOW) if enough else None,
        "one-step to default without guidance, samples per second": speeds.ratio(ONE, PLAIN),
        "one-step to default, samples per second": speeds.ratio(ONE, GUIDED),
        "ways": {name: {key: value for key, value in of.items() if key != "left out"} for name, of in rows.items()},
    }
    return Outcome(values, BOUND, all((values[name] or 0.0) >= limit for name, limit in BOUND.items()))


def trained(args: argparse.Namespace, data: Any) -> tuple[Run, Run]:
    """The run and its generator; what is there is gone on with."""
    config = TrainConfig(network="tiny", steps=args.train_steps, previews=0)
    how = DistillConfig(steps=args.distill_steps, batch_size=32, score_steps=2, previews=0)
    worked_off("training", train(data, args.out / "run", config))
    whole = Run.open(args.out / "run")
    worked_off("distillation", distill(whole, args.out / "generator", how))
    return whole, Run.open(args.out / "generator")


def ways_of(args: argparse.Namespace, whole: Run, generator: Run) -> dict[str, Way]:
    """All ways of sampling, by name and evaluations."""
    model: Denoiser = whole.model()
    found = {
        f"{solver}, {nfe}": Way(model, Sampler(solver, "uniform" if solver in UNIFORM else "log-snr", nfe))
        for solver, budgets in BUDGETS.items()
        for nfe in budgets
        if nfe <= args.slowest
    }
    guided = {GUIDED: Way(model, DEFAULT), "guided, 12": Way(model, replace(DEFAULT, interval=None))}
    return {**found, **guided, ONE: Way(generator.model(), ONE_STEP)}


Images = dict[str, NDArray[np.uint8]]


def _labels(batch: int, classes: int) -> NDArray[np.int64]:
    return np.arange(batch) % classes


def drawn(args: argparse.Namespace, ways: Mapping[str, Way], classes: int) -> tuple[Speeds, Images]:
    """Speeds over the batches, and images uint8 (N, H, W, C), by way; a batch that is there is read."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    images: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in ways}
    warm = False
    for number in range(args.batches):
        path = args.out / f"batch-{number}.npz"
        if not path.is_file():
            if not warm:
                timed({name: way for name, way in ways.items() if name != SLOW}, 0, args.batch, classes)
                warm = True
            write_atomic(path, _packed(timed(ways, number, args.batch, classes)))
            print(f"batch {number + 1} of {args.batches}", file=sys.stderr, flush=True)
        with np.load(path, allow_pickle=False) as kept:
            for name in ways:
                seconds[name].append(float(kept[f"{name}|seconds"]))
                images[name].append(kept[f"{name}|images"])
    speeds = Speeds(args.batch, {name: tuple(times) for name, times in seconds.items()})
    return speeds, {name: np.concatenate(parts) for name, parts in images.items()}


def timed(ways: Mapping[str, Way], number: int, batch: int, classes: int) -> dict[str, NDArray[Any]]:
    """One batch of every way: its seconds and its images."""
    found: dict[str, NDArray[Any]] = {}
    for name in [*ways][:: -1 if number % 2 else 1]:
        started, labels = time.perf_counter(), torch.from_numpy(_labels(batch, classes))
        drawn = [
            to_uint8(part.x.clamp(-1, 1))
            for part in generate(ways[name].model, labels, seed=number, sampler=ways[name].sampler, batch_size=batch)
        ]
        found[f"{name}|seconds"] = np.array(time.perf_counter() - started)
        found[f"{name}|images"] = np.concatenate(drawn)
    return found


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def row(judge: Judge, images: NDArray[np.uint8], labels: Any, real: Any, batches: int) -> dict[str, Any]:
    """What the judge says of the images of one way."""
    seen = read(judge, images)
    places = np.arange(len(images)) * batches // len(images)
    return {
        "FD-judge": frechet(seen.features, real),
        "agreement": agreement(seen, labels)["overall"],
        "left out": [frechet(seen.features[places != b], real) for b in range(batches)] if batches > 1 else [],
    }


def against(rows: Mapping[str, Mapping[str, Any]], speeds: Speeds, name: str, n: int) -> dict[str, float]:
    """A way against the ancestral sampler: difference of the distances with its error, and ratio of speeds."""
    gaps = [mine - theirs for mine, theirs in zip(rows[name]["left out"], rows[SLOW]["left out"], strict=True)]
    error = (n - 1) ** 0.5 * statistics.pstdev(gaps) if gaps else float("nan")
    return {
        "FD-judge minus ancestral": rows[name]["FD-judge"] - rows[SLOW]["FD-judge"],
        "its standard error": error,
        "times as fast as ancestral": speeds.ratio(name, SLOW),
    }


def equal(rows: Mapping[str, Mapping[str, Any]], speeds: Speeds) -> str | None:
    """The quickest way by steps without guidance that is at most as far away as the ancestral sampler."""
    names = [f"{solver}, {nfe}" for solver, budgets in BUDGETS.items() for nfe in budgets]
    near = [name for name in names if {name, SLOW} <= set(rows) and rows[name]["FD-judge"] <= rows[SLOW]["FD-judge"]]
    return max((name for name in near if name != SLOW), key=lambda name: speeds.ratio(name, SLOW), default=None)


def draw(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """The quality/cost curve: Frechet distance over evaluations for each sample."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.5, 3.8))
    for place, (solver, budgets) in enumerate(BUDGETS.items()):
        there = [nfe for nfe in budgets if f"{solver}, {nfe}" in rows]
        axis.loglog(
            there, [rows[f"{solver}, {nfe}"]["FD-judge"] for nfe in there], "o-", color=f"C{place}", label=solver
        )
    axis.loglog([1], [rows[ONE]["FD-judge"]], "*", color="k", markersize=10, label="one-step generator")
    if SLOW in rows:
        axis.axhline(rows[SLOW]["FD-judge"], color="0.5", linewidth=0.8)
    axis.set_xlabel("evaluations of the network for each sample")
    axis.set_ylabel("FD-judge to held-out images")
    axis.legend(fontsize=8)
    save(plt, figure, path)
