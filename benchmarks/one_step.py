"""A one-step generator of a small run, beside the run itself: samples per second, and what that costs in quality.

The run is trained on the built-in digits and distilled with the library's functions, as the commands do. The run is sampled
with guidance at every noise level. Beside both stands the generator after a single step: the prediction of the run from
noise alone, which is what distillation begins with. Quality is that of ``evenscore evaluate`` against held-out digits.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.parts import worked_off
from benchmarks.runner import Outcome
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.distill import DistillConfig, distill
from evenscore.evaluation import Settings, evaluate, of_run
from evenscore.run import Run
from evenscore.sampling import ONE_STEP, Sampler, labels_for
from evenscore.sampling.speed import Way, speeds
from evenscore.training import train

SUMMARY = "A one-step generator of a small digits run: samples per second against its guided run, and loss of quality"
GUIDED = Sampler(guidance=2.0)
"""How the run is sampled: guided at every noise level."""
DATA = "digits:factor=50"
"""Training data, with a held-out part, where no others are given."""
FASTER = 12.0
BOUND: dict[str, Any] = {
    "one-step to guided run, samples per second": FASTER,
    "closer than before distillation": True,
}
"""The ratio is at least so much: 12 evaluations are saved, more where guidance takes two for each."""
METRICS = ("energy", "precision", "recall", "agreement")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--train-steps", type=int, default=1000, help="training steps of the run")
    parser.add_argument("--steps", type=int, default=400, help="generator steps")
    parser.add_argument("--method", default="kl", help="kl or fisher")
    parser.add_argument("--teacher-guidance", type=float, default=2.0, help="guidance of the run in distillation")
    parser.add_argument("--batch", type=int, default=32, help="samples of each step")
    parser.add_argument(
        "--score-steps", type=int, default=2, help="steps of the score network for each of the generator"
    )
    parser.add_argument("--per-class", type=int, default=50, help="samples of each class that are judged and timed")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument(
        "--folder", type=Path, help="where runs are kept, and gone on with; a temporary one where not given"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Train, distil, measure."""
    if args.folder is None:
        with tempfile.TemporaryDirectory() as folder:
            return measured(args, Path(folder))
    return measured(args, args.folder)


def measured(args: argparse.Namespace, folder: Path) -> Outcome:
    """Speeds and figures of the run, its generator, and that generator after one step."""
    data = load(DATA if args.data is None else str(args.data))
    runs = made(args, data, folder)
    quality = {name: figures(run, sampler, data, args) for name, (run, sampler) in runs.items()}
    ways = {name: Way(run.model(), sampler) for name, (run, sampler) in runs.items()}
    ways["plain"] = Way(ways["guided"].model, Sampler(guidance=1.0))
    found = speeds(ways, labels_for([args.per_class] * data.num_classes), rounds=args.rounds, seed=args.seed)
    values = {
        "one-step to guided run, samples per second": found.ratio("one-step", "guided"),
        "one-step to run without guidance, samples per second": found.ratio("one-step", "plain"),
        "samples per second": {name: found.per_second(name) for name in ("guided", "plain", "one-step")},
        "seconds of distillation": Run.open(folder / "quick").records()[-2].get("seconds"),
        "quality": quality,
        "closer than before distillation": quality["one-step"]["energy"] < quality["before distillation"]["energy"],
    }
    holds = values["one-step to guided run, samples per second"] >= FASTER and values["closer than before distillation"]
    return Outcome(values, BOUND, holds)


def made(args: argparse.Namespace, data: Dataset, folder: Path) -> dict[str, tuple[Run, Sampler]]:
    """The run, its generator, and the generator after one step, with how each is sampled."""
    config = TrainConfig(network="tiny", precision="float32", previews=0, steps=args.train_steps, seed=args.seed)
    worked_off("training", train(data, folder / "run", config))
    teacher = Run.open(folder / "run")
    for name, steps in (("first", 1), ("quick", args.steps)):
        how = DistillConfig(
            method=args.method,
            steps=steps,
            batch_size=args.batch,
            score_steps=args.score_steps,
            guidance=args.teacher_guidance,
            previews=0,
            seed=args.seed,
        )
        worked_off(name, distill(teacher, folder / name, how))
    return {
        "guided": (teacher, GUIDED),
        "one-step": (Run.open(folder / "quick"), ONE_STEP),
        "before distillation": (Run.open(folder / "first"), ONE_STEP),
    }


def figures(run: Run, sampler: Sampler, data: Dataset, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of the whole, and agreement by class."""
    generated = of_run(run, args.per_class, sampler, args.seed)
    found = evaluate(generated, data, Settings(metrics=METRICS, seed=args.seed)).measured
    by_class = [f["agreement"].value for f in found.by_class.values() if "agreement" in f]
    return {name: found.whole[name].value for name in METRICS} | {"agreement by class": by_class}
