"""At which noise levels guidance matters: distance, label agreement and cost of a guided run, by scale and interval.

One run is trained on ``--data`` (kept in ``--out``, where the same command goes on) and sampled in every way with the same
seeds, which are paired. Figures are those of ``evenscore evaluate`` against the held-out part, in features fitted on the data
themselves: here something is chosen, which is not for a judge. The cost is counted: rows that the network sees for each sample.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.paired import paired
from benchmarks.parts import hold, kept, worked_off
from benchmarks.runner import Outcome, required_data
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.denoisers.base import Denoiser
from evenscore.evaluation import Settings, evaluate, of_run
from evenscore.run import Run
from evenscore.sampling import DEFAULT, Sampler, generate
from evenscore.training import train

SUMMARY = (
    "Guidance by scale and interval of noise levels: distance, agreement, cost; the default against guidance everywhere"
)
EVERYWHERE = Sampler(guidance=2.0)
"""What the default is compared with: guidance at every noise level."""
WAYS = (
    Sampler(guidance=1.0),
    EVERYWHERE,
    Sampler(guidance=2.5),
    *(Sampler(guidance=scale, interval=(-5.5, 4.0)) for scale in (2.0, 2.5)),
    *(DEFAULT.at(scale) for scale in (2.0, DEFAULT.guidance)),
    *(Sampler(guidance=scale, interval=(-3.0, 3.0)) for scale in (2.0, 2.5, 3.0)),
)
FIGURES = ("kernel", "agreement", "worst class")
SHARE = 0.8
BOUND = {"kernel": "<= 0", "agreement": ">= 0", "rows for each sample": f"<= {SHARE} of everywhere"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--train-steps", type=int, default=3000, help="training steps of the run")
    parser.add_argument("--network", default="tiny", help="its network")
    parser.add_argument("--per-class", type=int, default=60, help="samples of each class, each seed and each way")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the sampling")
    parser.add_argument(
        "--out", type=Path, default=Path("out/guidance-interval"), help="where all is kept and gone on with"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Train, sample every way, compare with guidance everywhere."""
    spec = required_data(args)
    data = load(spec)
    torch.set_num_threads(1)
    asked = {name: getattr(args, name) for name in ("train_steps", "network", "per_class", "seeds")}
    hold(args.out, {"data": spec, **asked})
    config = TrainConfig(network=args.network, steps=args.train_steps, previews=0)
    worked_off("training", train(data, args.out / "run", config))
    trained = Run.open(args.out / "run")
    found: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        name = named(way)
        part = args.out / f"{name}.json"
        found[name] = kept(part, lambda way=way: figures(trained, way, data, args))  # type: ignore[misc]
        print(name, found[name], flush=True)
    return outcome(found)


def named(way: Sampler) -> str:
    """A way, in words."""
    where = "everywhere" if way.interval is None else "from {:g} to {:g}".format(*way.interval)
    return f"{way.guidance:g} {where}"


def figures(trained: Run, sampler: Sampler, data: Dataset, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of each seed, and rows for each sample."""
    found: dict[str, Any] = {name: [] for name in FIGURES}
    for seed in range(args.seeds):
        generated = of_run(trained, args.per_class, sampler, seed)
        measured = evaluate(generated, data, Settings(metrics=("kernel", "agreement"), replicates=10)).measured
        found["kernel"].append(measured.whole["kernel"].value)
        found["agreement"].append(measured.whole["agreement"].value)
        found["worst class"].append(min(f["agreement"].value or 0.0 for f in measured.by_class.values()))
    return found | {"rows for each sample": cost(trained.model(), sampler)}


def cost(model: Denoiser, sampler: Sampler) -> float:
    """Rows that the network sees for each sample."""
    seen: list[int] = []
    hook = model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    samples = 2
    list(generate(model, [0] * samples, seed=0, sampler=sampler))
    hook.remove()
    return sum(seen) / samples


def outcome(found: dict[str, dict[str, Any]]) -> Outcome:
    """Means over seeds, and paired differences from guidance everywhere with their 95 % interval: low, mean, high."""
    base = found[named(EVERYWHERE)]
    values: dict[str, dict[str, Any]] = {}
    for name, way in found.items():
        values[name] = {key: float(np.mean(way[key])) for key in FIGURES}
        values[name]["rows for each sample"] = way["rows for each sample"]
        values[name] |= {f"{key}, difference": paired(np.subtract(way[key], base[key]).tolist()) for key in FIGURES}
    ours = values[named(DEFAULT)]
    cheap = ours["rows for each sample"] <= SHARE * base["rows for each sample"]
    near = ours["kernel, difference"][1] <= 0 <= ours["agreement, difference"][1]
    return Outcome(values, BOUND, cheap and near)
