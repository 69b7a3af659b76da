"""``evenscore balance``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenscore.balancing import BalanceConfig, balance, read_target
from evenscore.commands.inspect import read
from evenscore.commands.terminal import STOPPED, Bar, emit, say, show_table, stopping, tell
from evenscore.commands.train import read_config, show_progress
from evenscore.data import Dataset
from evenscore.errors import UsageError
from evenscore.sampling import Sampler


@dataclass(frozen=True)
class BalanceRequest:
    """What was asked on the command line.

    ``named`` holds the training options, None where not given; ``kept`` how images are kept.
    """

    data: str
    out: Path
    run: Path | None
    target: str
    named: Mapping[str, Any]
    settings: list[str]
    sampler: Sampler
    seed: int
    strict: bool
    kept: Mapping[str, Any] = field(default_factory=dict)


def run(request: BalanceRequest, as_json: bool) -> None:
    """Make a balanced folder and print how it went."""
    asked = [key for key in ("minutes", "steps", "objective", "network") if request.named.get(key) is not None]
    if request.run is not None and (asked or request.settings):
        given = f"--{asked[0]}" if asked else "--set"
        raise UsageError(f"--run and {given} were both given: a trained run is used as it is, leave one of them out")
    train = read_config(request.named, request.settings)
    data = read(request.data, request.strict)
    target = read_target(request.target, data.class_names)
    config = BalanceConfig(target, request.run, train, request.sampler, seed=request.seed, **request.kept)
    summary = make(data, request.out, config)
    if as_json:
        emit(summary)
    else:
        show(summary, request.out)


def make(data: Dataset, out: Path, config: BalanceConfig) -> dict[str, Any]:
    """Balance with progress; the numbers of ``summary.json``.

    Raises:
        SystemExit: 130 when a stop was asked; the same command goes on.
    """
    for note in data.notes:
        say(f"note: {note}")
    with stopping() as stop, Bar() as bar:
        for stage in balance(data, out, config, stop):
            if stage.training is not None:
                show_progress(bar, stage.training)
            elif stage.name == "sample":
                bar.update("sample", stage.fraction, stage.text)
            else:
                say(f"{stage.name}: {stage.text}")
    if stage.name == "stopped" or (stage.training is not None and stage.training.event == "stopped"):
        say(f"stopped; saved in {out}; the same command goes on from here")
        raise SystemExit(STOPPED)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {**summary, "folder": str(out), "page": str(out / "index.html")}


def show(summary: Mapping[str, Any], out: Path) -> None:
    """The table by class, what fell short, and where everything is."""
    rows = [
        (
            row["class"],
            row["group"],
            f"{row['real']}",
            f"{row['made']}",
            f"{row['kept'] + row['made']}",
            f"{row['copies']}",
            f"{row['mislabelled']}",
            "-" if row["agreement"] is None else f"{row['agreement']:.2f}",
        )
        for row in summary["classes"]
    ]
    columns = ("class", "group", "real", "made", "now", "near-copies refused", "wrong label refused", "label agreement")
    show_table("", columns, rows)
    if summary["agreement"] is not None:
        tell(f"label agreement of the synthetic images: {summary['agreement']:.3f}. {summary['protocol']}")
    short = [row for row in summary["classes"] if row["kept"] + row["made"] < row["wanted"]]
    for row in short:
        tell(f"class {row['class']} falls short: {row['kept'] + row['made']} of {row['wanted']}; the page says why")
    tell(f"folder: {out}")
    tell(f"page:   {out / 'index.html'}")
