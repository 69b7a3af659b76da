"""Commands about a data set as it is, and the whole way from an unequal one to a balanced one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenscore.commands.options import (
    BalanceGuidance,
    Data,
    Interval,
    Json,
    Minutes,
    Network,
    Nfe,
    ObjectiveName,
    Out,
    PerShard,
    Seed,
    Settings,
    Solver,
    Steps,
    Strict,
)
from evenscore.errors import UsageError

Label = Annotated[
    str | None, typer.Option("--label", metavar="COLUMN", help="Of a table (.csv, .tsv, .parquet): the label column.")
]
TABLES = (".csv", ".tsv", ".parquet", ".pq")
FOLDS, PNG = 3, "png"


def inspect(
    data: Data,
    label: Label = None,
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve", help="Also measure how many samples a class needs until a classifier recognises it."
        ),
    ] = False,
    seeds: Annotated[int | None, typer.Option("--seeds", help="Of the learning curve: repetitions; 3.")] = None,
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", metavar="N,N,...", help="Of the learning curve: samples of a class; 2,5,10,...,500."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of the learning curve: seed of everything random.")
    ] = None,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """Look at a data set: classes, counts, duplicates, unreadable files, and what to do about the rare classes.

    With --learning-curve small classifiers are trained on parts of the large classes, in minutes: label agreement against the
    number of samples with an interval, and for every class how many more it would need. Example: evenscore inspect photos
    --learning-curve.
    """
    if _table(data, label):
        from evenscore.commands.inspect_table import run as run_table

        run_table(data, label, json)
        return
    from evenscore.commands.inspect import curve_settings, run

    run(data, json, strict, curve_settings(learning_curve, seeds, sizes, seed))


def balance(
    data: Data,
    out: Out,
    label: Label = None,
    run: Annotated[Path | None, typer.Option("--run", help="Use this trained run instead of training one.")] = None,
    minutes: Minutes = None,
    steps: Steps = None,
    target: Annotated[
        str, typer.Option("--target", help="uniform (as many as the largest class), a number, or a file of counts.")
    ] = "uniform",
    objective: ObjectiveName = None,
    settings: Settings = None,
    network: Network = None,
    solver: Solver = None,
    nfe: Nfe = None,
    guidance: BalanceGuidance = None,
    guidance_interval: Interval = None,
    folds: Annotated[
        int,
        typer.Option("--folds", help="Of a table: folds in which the gain of a classifier is measured; 0 for none."),
    ] = FOLDS,
    format: Annotated[
        str, typer.Option("--format", help="Of images: png (a file for each) or webdataset (tar files, for very many).")
    ] = PNG,
    per_shard: PerShard = None,
    seed: Seed = 0,
    json: Json = False,
    strict: Strict = False,
) -> None:
    """From an unequal image folder, or a table, to a balanced one: train, sample, refuse near-copies, write.

    Of images, writes OUT/class/*.png, OUT/metadata.jsonl (synthetic images are marked), OUT/README.md and OUT/index.html, a
    page that shows class by class how good it is. Of a table with --label COLUMN, writes OUT with the synthetic rows below the
    real ones, marked in a last column, and a page beside it. The same command again goes on after an interruption.
    """
    named = {"objective": objective, "minutes": minutes, "steps": steps, "network": network, "seed": seed}
    if _table(data, label):
        from evenscore.commands.balance_table import TableRequest
        from evenscore.commands.balance_table import run as run_table

        others = {"--run": run is not None, "--network": network is not None, "--solver": solver is not None}
        others |= {"--nfe": nfe is not None, "--guidance": guidance is not None, "--strict": strict}
        others |= {"--guidance-interval": guidance_interval is not None, "--format": format != PNG}
        others |= {"--per-shard": per_shard is not None}
        asked = {key: named[key] for key in ("objective", "minutes", "steps")}
        run_table(TableRequest(data, label, out, target, asked, settings or [], folds, seed, others), json)
        return
    if folds != FOLDS:
        raise UsageError(f"--folds is for tables, and {data} is none: leave it out")
    from evenscore.balancing.job import SAMPLER
    from evenscore.commands.balance import BalanceRequest
    from evenscore.commands.balance import run as run_balance
    from evenscore.commands.sample import sampler, shards

    kept = {"format": format, **shards(format, per_shard)}
    chosen = sampler(solver, nfe, guidance, guidance_interval, run=run, default=SAMPLER)
    run_balance(BalanceRequest(data, out, run, target, named, settings or [], chosen, seed, strict, kept), json)


def _table(data: str, label: str | None) -> bool:
    """Whether the data are a table: by their suffix.

    Raises:
        UsageError: a label column is named, and they are none.
    """
    path = Path(data)
    if path.suffix.lower() in TABLES and not path.is_dir():
        return True
    if label is not None:
        raise UsageError(
            f"--label names a column of a table, and {data} is none: give a file that ends in {', '.join(TABLES)}"
        )
    return False


def demo(
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; a new one is named when absent.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """See a long tail become level: balance the built-in digits (largest class 50 times the smallest), in minutes."""
    from evenscore.commands.demo import run

    run(out, seed, json)
