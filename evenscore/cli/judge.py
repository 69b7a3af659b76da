"""Commands that say how good a run or its samples are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenscore.commands.options import (
    Checkpoint,
    Data,
    Features,
    Guidance,
    Interval,
    Json,
    Metrics,
    Nfe,
    PerClass,
    ReferencePart,
    RunPath,
    Seed,
    Settings,
    Solver,
    Strict,
    TrainedOn,
)

Recipes = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE...",
        help="NAME[:key=value,...] with NAME plain, resampled or an objective (`evenscore list objectives`), or a YAML "
        "file of settings; TITLE=RECIPE gives a title.",
    ),
]
Grid = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        metavar="KEY=A,B,...",
        help="Values of a setting from which every method, the baseline too, chooses on data that do not judge; may be "
        "repeated, all combinations are tried.",
    ),
]


def likelihood(
    run: RunPath,
    data: Data,
    per_class: Annotated[int, typer.Option("--per-class", help="At most so many samples of each class and part.")] = 20,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest error of a step of the flow; smaller is slower and finer.")
    ] = 1e-4,
    divergence: Annotated[
        str, typer.Option("--divergence", help="exact, rademacher, gaussian, or auto: exact up to 16 dimensions.")
    ] = "auto",
    checkpoint: Checkpoint = "last",
    seed: Seed = 0,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """Bits per dimension by class: how likely a run finds its training samples and held-out ones, and what that warns of.

    A class whose training samples are much likelier than its held-out ones was memorised. Example: evenscore likelihood run
    digits:factor=50.
    """
    from evenscore.commands.likelihood import LikelihoodRequest
    from evenscore.commands.likelihood import run as run_likelihood
    from evenscore.likelihood import Likelihood

    how = Likelihood(tolerance, divergence)
    run_likelihood(LikelihoodRequest(run, data, how, per_class, seed, strict, checkpoint), json)


def evaluate(
    samples: Annotated[
        Path, typer.Argument(metavar="RUN|DIR", help="A run, a folder of images by class, or an .npz of `sample`.")
    ],
    reference: Annotated[str, typer.Option("--reference", metavar="DATA", help="The real data to compare with.")],
    features: Features = "domain",
    metrics: Metrics = None,
    reference_part: ReferencePart = None,
    per_class: PerClass = None,
    trained_on: TrainedOn = None,
    likelihood_per_class: Annotated[
        int,
        typer.Option(
            "--likelihood-per-class", help="Real samples of each class for --metrics likelihood, at most; it is slow."
        ),
    ] = 20,
    solver: Solver = None,
    nfe: Nfe = None,
    guidance: Guidance = None,
    guidance_interval: Interval = None,
    checkpoint: Checkpoint = "last",
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A JSON file to write as well.")] = None,
    json: Json = False,
) -> None:
    """How good generated samples are, class by class: distances, precision and recall, label agreement, copies.

    Every figure has an interval, for all samples, by group, by class and for the worst class. A distance is called FID only
    with --features inception:pt_inception-2015-12-05-6726825d.pth. Likelihood (bits per dimension of held-out samples by class)
    is computed when it is asked for: --metrics frechet,kernel,likelihood. Example: evenscore evaluate run --reference digits.
    """
    from evenscore.commands.evaluate import EvaluateRequest
    from evenscore.commands.evaluate import run as run_evaluation
    from evenscore.commands.sample import sampler
    from evenscore.evaluation import Settings

    names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
    settings = Settings(features, names, reference_part, seed=seed, likelihood_per_class=likelihood_per_class)
    how = sampler(solver, nfe, guidance, guidance_interval, run=samples)
    request = EvaluateRequest(samples, reference, settings, per_class, how, seed, trained_on, out, checkpoint)
    run_evaluation(request, json)


def downstream(
    data: Data,
    synthetic: Annotated[
        Path,
        typer.Option(
            "--synthetic",
            metavar="DIR",
            help="Synthetic images: a balanced folder (those marked synthetic), a folder by class, or an .npz of `sample`.",
        ),
    ],
    ratios: Annotated[
        str | None,
        typer.Option("--ratios", metavar="R,...", help="Shares of what each class lacks; 1 balances. 0.25,0.5,1."),
    ] = None,
    seeds: Annotated[int | None, typer.Option("--seeds", help="Paired seeds; 3 where not given.")] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Updates of every classifier; 1000, or 100 boosting rounds for vectors."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods", metavar="A,B,...", help="Rows beside real and synthetic: `evenscore list downstream-methods`."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting, such as depth=14; may be repeated; all: `evenscore list downstream-settings`.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for finished parts and the tables; the same command goes on there."),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Do synthetic data improve a classifier? Trained with and without them, tested on held-out real data, said in words.

    Rows: the data as they are, re-weighted, over-sampled, balanced softmax, logit-adjusted, and with synthetic data at several
    ratios, at equal updates, with intervals over paired seeds. Example: evenscore downstream photos --synthetic balanced
    --out verdict.
    """
    from evenscore.commands.downstream import DownstreamRequest
    from evenscore.commands.downstream import run as run_downstream

    named = {"ratios": ratios, "seeds": seeds, "steps": steps, "methods": methods, "seed": seed}
    run_downstream(DownstreamRequest(data, synthetic, named, settings or [], out), json)


def compare(
    recipes: Recipes,
    data: Annotated[str, typer.Option("--data", metavar="DATA", help="Training data with a held-out part.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; the same command again goes on there.")],
    budget: Annotated[
        str,
        typer.Option("--budget", help="Of one run of the baseline: steps such as 500, or time such as 5min or 90s."),
    ],
    seeds: Annotated[int, typer.Option("--seeds", help="Paired seeds that are judged.")] = 3,
    baseline: Annotated[
        str, typer.Option("--baseline", help="Title of a recipe, or a recipe that is added.")
    ] = "plain",
    equal: Annotated[
        str, typer.Option("--equal", help="compute (processor time), updates (optimiser steps) or both.")
    ] = "both",
    settings: Settings = None,
    grid: Grid = None,
    guidance_grid: Annotated[
        str | None,
        typer.Option("--guidance-grid", metavar="A,B,...", help="Guidance scales from which every method chooses."),
    ] = None,
    features: Features = "domain",
    metrics: Metrics = None,
    per_class: Annotated[int, typer.Option("--per-class", help="Samples of each class that are judged.")] = 100,
    solver: Solver = None,
    nfe: Nfe = None,
    guidance: Guidance = None,
    guidance_interval: Interval = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes, one thread each.")] = 1,
    keep_runs: Annotated[bool, typer.Option("--keep-runs", help="Keep the folders of judged runs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print runs, steps and time; train nothing.")] = False,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """Compare ways to train honestly: equal compute and equal updates, paired seeds, one grid for all, intervals, in words.

    Settings given with --set are those of all methods. The same command again goes on after an interruption; recipes and seeds
    may be added. Example: evenscore compare cbdm resampled --data digits:factor=50 --budget 500 --out comparison.
    """
    from evenscore.commands.compare import CompareRequest, run
    from evenscore.commands.sample import sampler
    from evenscore.evaluation import Settings as Evaluation

    names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
    how = sampler(solver, nfe, guidance, guidance_interval)
    named = {"seeds": seeds, "baseline": baseline, "equal": equal, "per_class": per_class, "workers": workers}
    lists = (recipes, settings or [], grid or [])
    request = CompareRequest(
        *lists, budget, guidance_grid, how, Evaluation(features, names), named | {"keep_runs": keep_runs}
    )
    run(request, data, out, strict, dry_run, json)
