"""The command that writes a page about a run or its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenscore.commands.options import (
    Features,
    Guidance,
    Interval,
    Json,
    Metrics,
    Nfe,
    PerClass,
    ReferencePart,
    Seed,
    Solver,
    TrainedOn,
)


def report(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|DIR", help="A run, samples by class or in an .npz, a balanced folder, or a comparison."
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", metavar="DATA", help="The real data to compare with; those of the run where not given."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.html", help="The page to write; report.html in the folder where not given."
        ),
    ] = None,
    features: Features = "domain",
    metrics: Metrics = None,
    reference_part: ReferencePart = None,
    per_class: PerClass = None,
    trained_on: TrainedOn = None,
    solver: Solver = None,
    nfe: Nfe = None,
    guidance: Guidance = None,
    guidance_interval: Interval = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write a page about a run or samples: figures by class with intervals, pictures, copies, curves, settings, protocol.

    One HTML file that needs no network and no script. Of a balanced folder its synthetic images are judged against the data
    that it was made from; its index.html stays as it is. Example: evenscore report run; then open run/report.html.
    """
    from evenscore.commands.report import ReportRequest, run
    from evenscore.commands.sample import sampler
    from evenscore.evaluation import Settings

    names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
    settings = Settings(features, names, reference_part, seed=seed)
    how = sampler(solver, nfe, guidance, guidance_interval, run=path)
    run(ReportRequest(path, reference, settings, per_class, how, seed, trained_on, out), json)
