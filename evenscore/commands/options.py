"""Arguments and options that several commands share, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA_HELP = (
    "A folder of images (FOLDER/class/image.png, FOLDER/train/class/..., or with metadata.csv), an .npz archive, or the "
    "built-in digits. A long-tailed part of it: NAME:factor=50,seed=0. For inspect and balance also a table with --label."
)
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder that `evenscore train` made.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write; nothing that exists is overwritten.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first unreadable image instead of skipping it.")]
Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        help="Which checkpoint of the run: last, or best (smallest denoising loss on held-out samples, classes alike).",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random; the same seed gives the same result.")]
OwnSeed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")]
"""Where a setting of that name may also stand in a file or behind --set."""
Minutes = Annotated[float | None, typer.Option("--minutes", help="Train for so many minutes.")]
Steps = Annotated[int | None, typer.Option("--steps", help="Train for so many optimiser steps.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting, such as lr=3e-4 or tau=0.5; may be repeated; all: `evenscore list settings`.",
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A YAML file of settings; --set goes before it.")]
ObjectiveName = Annotated[
    str | None, typer.Option("--objective", help="How to learn from unequal classes: see `evenscore list objectives`.")
]
Network = Annotated[
    str | None, typer.Option("--network", help="Size of the network: tiny, small, medium, base, large or auto.")
]
Solver = Annotated[
    str | None, typer.Option("--solver", show_default="dpm++2m", help="Sampler: see `evenscore list solvers`.")
]
Nfe = Annotated[
    int | None,
    typer.Option("--nfe", show_default="12", help="Network evaluations per sample; more is slower and finer."),
]
GUIDANCE = "Classifier-free guidance: 0 unconditional, 1 plain, above 1 stronger."
Guidance = Annotated[float | None, typer.Option("--guidance", show_default="2.5", help=GUIDANCE)]
BalanceGuidance = Annotated[float | None, typer.Option("--guidance", show_default="2.0", help=GUIDANCE)]
Interval = Annotated[
    str | None,
    typer.Option(
        "--guidance-interval",
        metavar="LOW,HIGH",
        show_default="-4,4",
        help="Guide only at log SNR from LOW to HIGH, with `--guidance` above 1; `all` for everywhere.",
    ),
]
Features = Annotated[str, typer.Option("--features", help="Where samples are compared: see `evenscore list features`.")]
Metrics = Annotated[
    str | None, typer.Option("--metrics", metavar="A,B,...", help="What to measure: see `evenscore list metrics`.")
]
ReferencePart = Annotated[
    str | None,
    typer.Option("--reference-part", help="train or test part of the reference; test where there is one."),
]
PerClass = Annotated[
    int | None, typer.Option("--per-class", help="Samples of each class; 200 of a run, all of a folder.")
]
PerShard = Annotated[
    int | None, typer.Option("--per-shard", help="Of --format webdataset: images of a tar file; 10000.")
]
TrainedOn = Annotated[
    str | None,
    typer.Option("--trained-on", metavar="DATA", help="The data that the samples were learned from, for copies."),
]
