"""Commands that train, or that go on from a trained run."""

from __future__ import annotations

from typing import Annotated

import typer

from evenscore.commands.options import (
    Checkpoint,
    ConfigFile,
    Data,
    Json,
    Minutes,
    Network,
    ObjectiveName,
    Out,
    OwnSeed,
    RunPath,
    Seed,
    Settings,
    Steps,
    Strict,
)


def train(
    data: Data,
    out: Out,
    objective: ObjectiveName = None,
    settings: Settings = None,
    config: ConfigFile = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="Published settings, such as cbdm-cifar100lt: see `evenscore list recipes`; whatever else is given goes "
            "before them.",
        ),
    ] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    seed: OwnSeed = None,
    network: Network = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved configuration, time and memory; train nothing.")
    ] = False,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """Train a run, or go on with one that was interrupted: the same command again resumes.

    Examples: evenscore train photos --out run --minutes 10; evenscore train digits:factor=50 --out run --steps 2000
    --objective cbdm --set tau=0.5; evenscore train cifar10_lt.npz --out run --recipe cbdm-cifar10lt.
    """
    from evenscore.commands.train import TrainRequest, run

    named = {"objective": objective, "steps": steps, "minutes": minutes, "seed": seed, "network": network}
    run(TrainRequest(data, out, named, settings or [], config, recipe, strict), dry_run, json)


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
    seed: OwnSeed = None,
    json: Json = False,
) -> None:
    """Train a classifier of noisy samples for a run, for `evenscore sample RUN --guidance-method classifier`.

    It learns from the data of the run, under its noise process, and is kept in RUN/classifier. The same command again goes on
    after an interruption. Example: evenscore train-classifier run --steps 2000 --set policy=sqrt.
    """
    from evenscore.commands.train_classifier import ClassifierRequest
    from evenscore.commands.train_classifier import run as run_training

    run_training(ClassifierRequest(run, data, {"steps": steps, "seed": seed}, settings or []), json)


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


def distill(
    run: RunPath,
    out: Out,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", show_default="kl", help="kl (quick, leans to the likeliest samples) or fisher (slower steps)."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Distil for so many steps of the generator.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Distil for so many minutes.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting, such as guidance=2 (of the teacher) or lr=1e-4; may be repeated; all: `evenscore list "
            "distill-settings`.",
        ),
    ] = None,
    seed: OwnSeed = None,
    checkpoint: Checkpoint = "last",
    json: Json = False,
) -> None:
    """Distil a trained run into a generator that asks its network once for each sample: many times faster, somewhat worse.

    The generator begins as the network of the run and learns from its scores alone, without data. OUT is a run for sample,
    balance, evaluate and report; it knows no score, so likelihood, restore and finish need the run that it came from. The same
    command again goes on after an interruption. Example: evenscore distill run --out quick --minutes 10; then evenscore
    evaluate quick --reference photos beside evenscore evaluate run --reference photos, which says what the speed costs.
    """
    from evenscore.commands.distill import DistillRequest
    from evenscore.commands.distill import run as run_distillation

    named = {"method": method, "steps": steps, "minutes": minutes, "seed": seed}
    run_distillation(DistillRequest(run, out, named, settings or [], checkpoint), json)
