"""Commands that draw samples from a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenscore.commands.options import Checkpoint, Guidance, Interval, Json, Nfe, Out, PerShard, RunPath, Seed, Solver


def sample(
    run: RunPath,
    out: Out,
    per_class: Annotated[int | None, typer.Option("--per-class", help="Samples of each class.")] = None,
    counts: Annotated[
        Path | None, typer.Option("--counts", help="A JSON or YAML file of `class name: number` lines.")
    ] = None,
    solver: Solver = None,
    nfe: Nfe = None,
    guidance: Guidance = None,
    guidance_interval: Interval = None,
    seed: Seed = 0,
    format: Annotated[
        str,
        typer.Option(
            "--format", help="png (a folder by class), npz (one archive) or webdataset (tar files, for very many)."
        ),
    ] = "png",
    per_shard: PerShard = None,
    method: Annotated[
        str,
        typer.Option(
            "--guidance-method",
            help="What else steers: cfg (nothing), classifier (towards the class; with --guidance 0 it alone), minority "
            "(towards unusual samples), diversity (no near-copies).",
        ),
    ] = "cfg",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the guidance method or the solver, such as level=0.9: `evenscore list guidance-methods`.",
        ),
    ] = None,
    checkpoint: Checkpoint = "last",
    json: Json = False,
) -> None:
    """Sample a trained run: exactly the asked number of each class.

    Examples: evenscore sample run --out samples --per-class 100; evenscore sample run --out unusual --guidance-method minority
    --set level=0.9; evenscore sample run --out guided --guidance-method classifier --guidance 0 --set weight=2 (after evenscore
    train-classifier run).
    """
    from evenscore.commands.sample import SampleRequest, guided, sampler
    from evenscore.commands.sample import run as run_sample

    steering, rest = guided(method, settings or [], solver, run)
    how = sampler(solver, nfe, guidance, guidance_interval, rest, run)
    run_sample(SampleRequest(run, out, per_class, counts, how, steering, seed, format, checkpoint, per_shard), json)


def restore(
    run: RunPath,
    task: Annotated[str, typer.Option("--task", help="inpaint (fill holes) or colourise (colour grey images).")],
    input: Annotated[Path, typer.Option("--input", help="An image, or a folder of images.")],
    out: Out,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask", help="For inpaint: an image, white where to fill; or a folder of them, of the same names."
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="Restorations of each image.")] = 1,
    method: Annotated[
        str, typer.Option("--method", help="How to restore: see `evenscore list restorations`.")
    ] = "twisted",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method, such as particles=16."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Noise levels on the way; more is slower and finer.")] = 50,
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="What the images show, if known.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Fill the holes of images, or colour grey ones, with what a run has learned.

    What is known of an image is kept; every sample is one possible answer. After an interruption the same command goes on
    where it was. Example: evenscore restore run --task inpaint
    --input photo.png --mask hole.png --out restored --samples 5 --class cat.
    """
    from evenscore.commands.restore import RestoreRequest
    from evenscore.commands.restore import run as run_restore

    request = RestoreRequest(run, task, input, mask, out, samples, method, settings or [], steps, label, seed)
    run_restore(request, json)
