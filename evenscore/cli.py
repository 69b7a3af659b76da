"""The command line: one command for each verb. Logs go to standard error, ``--json`` prints one object to standard output.

Exit codes: 0 done, 1 a failure while running, 2 the command was given wrongly, 3 the data or the environment is not as
needed, 130 stopped by Ctrl-C after saving. Nothing heavy is imported until a command runs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from evenscore.commands.options import (
    ConfigFile,
    Data,
    Guidance,
    Interval,
    Json,
    Minutes,
    Network,
    Nfe,
    ObjectiveName,
    Out,
    RunPath,
    Seed,
    Settings,
    Solver,
    Steps,
    Strict,
)
from evenscore.errors import EvenscoreError

MISUSE: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What typer raises for an unknown option or a bad value: the ClickException of click, or of the copy inside typer."""

app = typer.Typer(
    name="evenscore",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make unequal classes equal: class-conditional score networks that are as good on the rarest class as on the "
    "most common one. Give a folder of unequally labelled images, get a balanced one.",
    epilog="Start with: evenscore demo. Then: evenscore inspect FOLDER; evenscore balance FOLDER --out BALANCED.",
)

SPINS = "20000"
"""How long an OpenMP thread spins before it sleeps: the library's own 300000 stalls a busy machine and gains nothing."""


@app.command()
def inspect(data: Data, json: Json = False, strict: Strict = False) -> None:
    """Look at a data set: classes, counts, duplicates, unreadable files, and what to do about the rare classes."""
    from evenscore.commands.inspect import run

    run(data, json, strict)


@app.command()
def train(
    data: Data,
    out: Out,
    objective: ObjectiveName = None,
    settings: Settings = None,
    config: ConfigFile = None,
    steps: Steps = None,
    minutes: Minutes = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    network: Network = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration, time and memory; train nothing.")
    ] = False,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """Train a run, or go on with one that was interrupted: the same command again resumes.

    Examples: evenscore train photos --out run --minutes 10; evenscore train digits:factor=50 --out run --steps 2000
    --objective cbdm --set tau=0.5.
    """
    from evenscore.commands.train import TrainRequest, run

    named = {"objective": objective, "steps": steps, "minutes": minutes, "seed": seed, "network": network}
    run(TrainRequest(data, out, named, settings or [], config, strict), dry_run, json)


@app.command()
def sample(
    run: RunPath,
    out: Out,
    per_class: Annotated[int | None, typer.Option("--per-class", help="Samples of each class.")] = None,
    counts: Annotated[
        Path | None, typer.Option("--counts", help="A JSON or YAML file of `class name: number` lines.")
    ] = None,
    solver: Solver = "dpm++2m",
    nfe: Nfe = 12,
    guidance: Guidance = 2.0,
    guidance_interval: Interval = None,
    seed: Seed = 0,
    format: Annotated[str, typer.Option("--format", help="png (a folder by class) or npz (one archive).")] = "png",
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
    json: Json = False,
) -> None:
    """Sample a trained run: exactly the asked number of each class.

    Examples: evenscore sample run --out samples --per-class 100; evenscore sample run --out unusual --guidance-method minority
    --set level=0.9; evenscore sample run --out guided --guidance-method classifier --guidance 0 --set weight=2 (after evenscore
    train-classifier run).
    """
    from evenscore.commands.sample import SampleRequest, guided, sampler
    from evenscore.commands.sample import run as run_sample

    steering, rest = guided(method, settings or [], solver)
    how = sampler(solver, nfe, guidance, guidance_interval, rest)
    run_sample(SampleRequest(run, out, per_class, counts, how, steering, seed, format), json)


@app.command(name="train-classifier")
def train_classifier(
    run: RunPath,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="The data of the run; needed only where they have moved since.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Optimiser steps; 1000 where not given.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting: batch_size, lr, weight_decay, noise (`evenscore list noise-laws`), policy (`evenscore list "
            "policies`) or save_every; may be repeated.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")] = None,
    json: Json = False,
) -> None:
    """Train a classifier of noisy samples for a run, for `evenscore sample RUN --guidance-method classifier`.

    It learns from the data of the run, under its noise process, and is kept in RUN/classifier. The same command again goes on
    after an interruption. Example: evenscore train-classifier run --steps 2000 --set policy=sqrt.
    """
    from evenscore.commands.train_classifier import ClassifierRequest
    from evenscore.commands.train_classifier import run as run_training

    run_training(ClassifierRequest(run, data, {"steps": steps, "seed": seed}, settings or []), json)


@app.command()
def finish(
    run: RunPath,
    out: Out,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="The data of the run; needed only where they have moved since.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting: k0 (how many samples the trained layer is worth; chosen by held-out loss where not given), beta "
            "and kappa (strength of the coupling: beta + kappa / count), law (similarity, uniform or train), width, "
            "time_weight, metric (pooled or plain), draws, rows or folds; may be repeated.",
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Give every class of a trained run a last layer of its own: the equilibrium of the classes' game, solved in closed form.

    One pass over the data, no training. The fewer samples a class has, the closer its layer stays to the trained one; the
    table says by class what that gains on held-out samples. Where nothing is gained, the trained layer is kept. OUT is a run
    like any other. Example: evenscore finish run --out finished --set kappa=1; then evenscore sample finished --out samples.
    """
    from evenscore.commands.finish import FinishRequest
    from evenscore.commands.finish import run as run_finish

    run_finish(FinishRequest(run, out, data, settings or [], seed), json)


@app.command()
def balance(
    data: Data,
    out: Out,
    run: Annotated[Path | None, typer.Option("--run", help="Use this trained run instead of training one.")] = None,
    minutes: Minutes = None,
    steps: Steps = None,
    target: Annotated[
        str, typer.Option("--target", help="uniform (as many as the largest class), a number, or a file of counts.")
    ] = "uniform",
    objective: ObjectiveName = None,
    settings: Settings = None,
    network: Network = None,
    solver: Solver = "dpm++2m",
    nfe: Nfe = 12,
    guidance: Guidance = 2.0,
    guidance_interval: Interval = None,
    seed: Seed = 0,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """From an unequal image folder to a balanced one: train, sample, refuse near-copies and wrong labels, write.

    Writes OUT/class/*.png, OUT/metadata.jsonl (synthetic images are marked), OUT/README.md and OUT/index.html, a page that
    shows class by class how good it is. The same command again goes on after an interruption.
    """
    from evenscore.commands.balance import BalanceRequest
    from evenscore.commands.balance import run as run_balance
    from evenscore.commands.sample import sampler

    named = {"objective": objective, "minutes": minutes, "steps": steps, "network": network, "seed": seed}
    chosen = sampler(solver, nfe, guidance, guidance_interval)
    run_balance(BalanceRequest(data, out, run, target, named, settings or [], chosen, seed, strict), json)


@app.command()
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


@app.command()
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
    run_likelihood(LikelihoodRequest(run, data, how, per_class, seed, strict), json)


@app.command()
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
    solver: Solver = "dpm++2m",
    nfe: Nfe = 12,
    guidance: Guidance = 2.0,
    guidance_interval: Interval = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A JSON file to write as well.")] = None,
    json: Json = False,
) -> None:
    """How good generated samples are, class by class: distances, precision and recall, label agreement, copies.

    Every figure has an interval, for all samples, by group, by class and for the worst class. A distance is called FID only
    with --features inception:pt_inception-2015-12-05-6726825d.pth. Example: evenscore evaluate run --reference digits.
    """
    from evenscore.commands.evaluate import EvaluateRequest
    from evenscore.commands.evaluate import run as run_evaluation
    from evenscore.commands.sample import sampler
    from evenscore.evaluation import Settings

    names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
    settings = Settings(features, names, reference_part, seed=seed)
    how = sampler(solver, nfe, guidance, guidance_interval)
    run_evaluation(EvaluateRequest(samples, reference, settings, per_class, how, seed, trained_on, out), json)


@app.command(name="list")
def list_(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="objectives, solvers, settings, metrics, features, networks, ...")
    ],
    json: Json = False,
) -> None:
    """List what there is of a kind, with a line on each: objectives, solvers, networks, processes, data, ..."""
    from evenscore.commands.list import run

    run(kind, json)


@app.command()
def doctor(json: Json = False) -> None:
    """Check this machine: versions, device, speed, memory and disk."""
    from evenscore.commands.doctor import run

    run(json)


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; a new one is named when absent.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """See a long tail become level: balance the built-in digits (largest class 50 times the smallest), in minutes."""
    from evenscore.commands.demo import run

    run(out, seed, json)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code; every expected failure is one sentence on standard error."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        code = app(args=(sys.argv[1:] if arguments is None else arguments) or ["--help"], standalone_mode=False)
    except EvenscoreError as error:
        code = _fail(str(error), error.exit_code)
    except MISUSE as error:
        code = _fail(getattr(error, "format_message", error.__str__)(), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("stopped", 130)
    except BrokenPipeError:
        code = 1
    sys.exit(code or 0)


def _fail(sentence: str, code: int) -> int:
    print(f"evenscore: {' '.join(sentence.splitlines())}", file=sys.stderr)
    return code
