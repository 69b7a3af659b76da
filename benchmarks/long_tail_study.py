"""Every objective at equal compute, paired over seeds: digits (factor 50), Fashion-MNIST (factor 100), and other tails.

The engine is that of ``evenscore compare``: one grid of learning rates and one of guidance for all, chosen on held-out data
that do not judge; figures by class on the other half. Beside them stand copies of training images, and the recall of a
classifier that is trained on the data and the samples, against the same classifier without them (over-sampled). All is kept in
``--out``; the same command goes on from there, and seeds and methods may be added.

Two other tails ask whether the ranking holds: ``reversed`` (the head becomes the tail) and ``step`` (half of the classes are
rare). The rank correlation is that of Spearman over the methods that both sets have, by the energy distance of all classes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.parts import kept
from benchmarks.runner import Outcome
from benchmarks.study_judge import StudyJudge
from benchmarks.study_rows import markdown, rows_of
from evenscore.comparison import Budget, ComparisonConfig, compare
from evenscore.comparison.folder import Folder
from evenscore.comparison.judge import HeldOutJudge
from evenscore.comparison.recipe import read_recipe
from evenscore.configuration import objective_name
from evenscore.data import load
from evenscore.downstream import Settings as Classifier
from evenscore.errors import UsageError
from evenscore.evaluation import Settings as Evaluation
from evenscore.objectives import OBJECTIVES
from evenscore.sampling import Sampler

SUMMARY = (
    "Every objective, resampling, re-weighting and compositions at equal compute: by class, copies, downstream gain"
)
PLAIN = "plain"
METRICS = ("energy", "agreement", "precision", "recall", "copies")
RECIPES: tuple[str, ...] = (
    "resampled",
    "capped=denoising:policy=capped",
    "reweighting:policy=as-found",
    "cbdm:policy=as-found",
    "cbdm, capped=cbdm:policy=capped",
    "mutual=mutual:policy=uniform,strength=1,strength_rule=by-count,coupling=similarity",
    "alignment:policy=uniform",
    "worst-class:policy=uniform",
    "oriented-calibration:policy=uniform",
    "class-noise:policy=uniform",
    "diffrop:policy=uniform",
    "ccua:policy=uniform",
    "coral:policy=pairs",
    "capacity-manipulation:policy=uniform",
    "oriented-calibration+capacity-manipulation:policy=uniform,w_div=0.2,scale=0.5",
    "cbdm+coral:policy=pairs",
)


@dataclass(frozen=True)
class Setting:
    """A data set of the study.

    Attributes:
        data: as on the command line; ``{}`` stands for the path of ``--data``.
        steps: optimiser steps of plain denoising.
        seeds: paired seeds.
        rates: grid of learning rates.
        guidances: grid of guidance scales.
        per_class: samples of each class that are judged.
        precision: of training.
        classifier: of the downstream figure.
    """

    data: str
    steps: int
    seeds: int
    rates: tuple[float, ...]
    guidances: tuple[float, ...]
    per_class: int
    precision: str
    classifier: Classifier


SMALL = Classifier(depth=8, steps=80, ratios=(1.0,), methods=("over-sampled",))
LARGE = Classifier(depth=14, steps=300, ratios=(0.1,), methods=("over-sampled",), precision="bfloat16")
DIGITS = Setting("digits:factor=50,seed=0", 400, 5, (1e-3, 2e-3), (1.0, 2.0), 100, "float32", SMALL)
FASHION = Setting("{}:factor=100,seed=0", 300, 3, (1e-3, 2e-3), (1.0, 2.0), 60, "bfloat16", LARGE)
SETTINGS: Mapping[str, Setting] = {
    "digits": DIGITS,
    "digits-reversed": replace(DIGITS, data="digits:factor=50,seed=0,order=reversed", seeds=3),
    "digits-step": replace(DIGITS, data="digits:factor=50,seed=0,profile=step", seeds=3),
    "fashion": FASHION,
}
QUICK = replace(DIGITS, steps=60, seeds=2, rates=(2e-3,), guidances=(2.0,), per_class=40)
RANKED = "digits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--sets", nargs="+", choices=list(SETTINGS), default=["digits"], help="which data and tails")
    parser.add_argument(
        "--out", type=Path, default=Path("out/long-tail-study"), help="where parts are kept and resumed"
    )
    parser.add_argument("--seeds", type=int, help="paired seeds, instead of the study's own")
    parser.add_argument("--steps", type=int, help="optimiser steps of plain denoising, instead of the study's own")
    parser.add_argument("--methods", nargs="+", default=list(RECIPES), metavar="RECIPE", help="as `compare` takes them")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--markdown", type=Path, help="a file for the tables, as they stand in the docs")
    parser.add_argument("--quick", action="store_true", help="digits, few steps, two seeds: a few minutes")


def run(args: argparse.Namespace) -> Outcome:
    """Train and judge what is not there yet, then compare."""
    found: dict[str, Any] = {}
    for name in ["digits"] if args.quick else args.sets:
        found[name] = studied(name, QUICK if args.quick else SETTINGS[name], args)
    values: dict[str, Any] = {"sets": found, "objectives left out": missing(args.methods)}
    others = [name for name in found if name.startswith(f"{RANKED}-")]
    if RANKED in found:
        values["rank correlation"] = {name: correlation(found[RANKED], found[name]) for name in others}
    complete = all(not row["failures"] for of in found.values() for row in of["rows"].values())
    if args.markdown:
        args.markdown.write_text(markdown(values), encoding="utf-8")
    whole = complete and (args.quick or not values["objectives left out"])
    bound = {"objectives left out": [], "every method judged on every seed": True}
    return Outcome({**values, "every method judged on every seed": complete}, bound, whole)


def studied(name: str, setting: Setting, args: argparse.Namespace) -> dict[str, Any]:
    """One data set: everything that is missing is trained, then its rows."""
    if "{}" in setting.data and not args.data:
        raise UsageError(f"{name} is measured on your file, and none was given: add --data PATH")
    data, config = load(setting.data.format(args.data)), comparison(setting, args)
    judge = StudyJudge(HeldOutJudge.of(data, config), setting.classifier)
    out = args.out / ("quick" if args.quick else name)
    for stage in compare(data, list(args.methods), out, config, judge=judge):
        print(f"{name}: {stage.name} {stage.fraction:.1%} {stage.text}", file=sys.stderr, flush=True)
    without = [kept(out / f"without-{s}.json", lambda s=s: judge.without(s, data)) for s in range(config.seeds)]
    return rows_of(Folder(out).read("comparison.json"), without)


def comparison(setting: Setting, args: argparse.Namespace) -> ComparisonConfig:
    """What the engine of comparisons is asked."""
    return ComparisonConfig(
        Budget(steps=args.steps or setting.steps),
        seeds=args.seeds or setting.seeds,
        baseline=PLAIN,
        equal="compute",
        common={"precision": setting.precision},
        grid={"lr": setting.rates},
        guidance_grid=setting.guidances,
        sampler=Sampler(guidance=setting.guidances[0]),
        per_class=setting.per_class,
        evaluation=Evaluation(metrics=METRICS),
        workers=args.workers,
    )


def missing(methods: Sequence[str]) -> list[str]:
    """Objectives that no method has."""
    names = {objective_name(read_recipe(text).config({}).objective) for text in methods}
    return sorted(set(OBJECTIVES) - {part for name in names for part in name.split("+")} - {"denoising"})


def correlation(first: Mapping[str, Any], second: Mapping[str, Any]) -> float | None:
    """Spearman's rank correlation of two sets by the energy distance of all samples; None of fewer than 3 methods."""
    both = [m for m in first["rows"] if m in second["rows"]]
    pairs = [(first["rows"][m]["energy"]["all"], second["rows"][m]["energy"]["all"]) for m in both]
    return float(spearmanr(*zip(*pairs, strict=True)).statistic) if len(pairs) > 2 else None
