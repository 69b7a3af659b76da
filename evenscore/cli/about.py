"""Commands about evenscore itself and this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from evenscore.commands.options import Json, RunPath


def list_(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="objectives, solvers, settings, metrics, features, networks, ...")
    ],
    json: Json = False,
) -> None:
    """List what there is of a kind, with a line on each: objectives, solvers, networks, processes, data, ..."""
    from evenscore.commands.list import run

    run(kind, json)


def cite(run: RunPath, json: Json = False) -> None:
    """Print the BibTeX of the papers behind what a run used, each with what it is cited for.

    Example: evenscore cite run > run.bib.
    """
    from evenscore.commands.cite import run as run_cite

    run_cite(run, json)


def doctor(json: Json = False) -> None:
    """Check this machine: versions, device, speed, memory and disk."""
    from evenscore.commands.doctor import run

    run(json)
