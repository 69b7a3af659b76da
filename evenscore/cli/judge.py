"""Commands that say how good a run or its samples are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenscore.commands.options import Checkpoint, Data, Guidance, Interval, Json, Nfe, RunPath, Seed, Solver, Strict


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
    features: Annotated[
        str, typer.Option("--features", help="Where samples are compared: see `evenscore list features`.")
    ] = "domain",
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", metavar="A,B,...", help="What to measure: see `evenscore list metrics`."),
    ] = None,
    reference_part: Annotated[
        str | None,
        typer.Option("--reference-part", help="train or test part of the reference; test where there is one."),
    ] = None,
    per_class: Annotated[
        int | None, typer.Option("--per-class", help="Samples of each class; 200 of a run, all of a folder.")
    ] = None,
    trained_on: Annotated[
        str | None,
        typer.Option("--trained-on", metavar="DATA", help="The data that the samples were learned from, for copies."),
    ] = None,
    likelihood_per_class: Annotated[
        int,
        typer.Option(
            "--likelihood-per-class", help="Real samples of each class for --metrics likelihood, at most; it is slow."
        ),
    ] = 20,
    solver: Solver = "dpm++2m",
    nfe: Nfe = 12,
    guidance: Guidance = 2.0,
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
    how = sampler(solver, nfe, guidance, guidance_interval)
    request = EvaluateRequest(samples, reference, settings, per_class, how, seed, trained_on, out, checkpoint)
    run_evaluation(request, json)
