"""``evenscore balance`` of a table."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.balancing import read_target
from evenscore.balancing.table import TableBalance, TableConfig
from evenscore.commands.terminal import STOPPED, Bar, emit, say, show_table, stopping, tell
from evenscore.configuration import parse_settings
from evenscore.data.table import read_table
from evenscore.data.table_label import labelled
from evenscore.errors import DataError, UsageError, shown, unknown
from evenscore.reading import parse_yaml
from evenscore.records import check
from evenscore.vectors.correction import stopped_by

NOT_SET = {"sampling_strategy", "random_state"}
"""What the command decides itself, by --target and --seed."""


@dataclass(frozen=True)
class TableRequest:
    """What was asked on the command line.

    Attributes:
        data: path of the table.
        label: its label column.
        out: the table to write.
        target: as for images.
        named: settings with options of their own, None where not given.
        settings: ``key=value`` of the over-sampler.
        folds: of the measurement of what a classifier gains.
        seed: of everything random.
        others: options that only images have -> whether they were given.
    """

    data: str
    label: str | None
    out: Path
    target: str
    named: Mapping[str, Any]
    settings: list[str]
    folds: int
    seed: int
    others: Mapping[str, bool]


def run(request: TableRequest, as_json: bool) -> None:
    """Balance a table and print how it went.

    Raises:
        SystemExit: 130 when a stop was asked; the same command goes on.
    """
    wrong = [option for option, given in request.others.items() if given]
    if wrong:
        raise UsageError(f"{wrong[0]} is for images, and {request.data} is a table: leave it out")
    if request.folds < 0 or request.folds == 1:
        raise UsageError(f"--folds {request.folds}: give 0 to measure nothing, or at least 2")
    settings = sampler_settings(request)
    table = read_table(Path(request.data))
    data = labelled(table, request.label)
    target = read_target(request.target, data.names)

    def make(wanted: Mapping[Any, int], seed: int, run: Any) -> Any:
        return over_sampler()(sampling_strategy=dict(wanted), random_state=seed, **{**settings, "run": run})

    told = {key: str(value) for key, value in {"seed": request.seed, "target": request.target, **settings}.items()}
    config = TableConfig(target, make, request.folds, request.seed, command(), told, settings.get("run"))
    work = TableBalance(table, data, request.out, config)
    try:
        follow(work)
    except KeyboardInterrupt:
        folder = work.unfinished.folder
        kept = f"saved in {folder}; the same command goes on from here" if folder.is_dir() else "nothing was written"
        say(f"stopped; {kept}")
        raise SystemExit(STOPPED) from None
    if as_json:
        emit(work.summary)
    else:
        show(work.summary)


def follow(work: TableBalance) -> None:
    """Do the work with progress.

    Raises:
        KeyboardInterrupt: a stop was asked, and what was trained is kept.
    """
    with stopping() as stop, stopped_by(stop), Bar() as bar:
        for stage in work.stages():
            if stage.name == "measure":
                bar.update("measure", stage.fraction, stage.text)
            else:
                say(f"{stage.name}: {stage.text}")
            if stop() and stage.name != "done":
                raise KeyboardInterrupt


def sampler_settings(request: TableRequest) -> dict[str, Any]:
    """Settings of the over-sampler, from ``--set`` and from options of their own; the minutes are shared by all its fits.

    Raises:
        UsageError: it has no such setting, or a value cannot be read.
    """
    given = {key: setting_value(key, text) for key, text in parse_settings(request.settings).items()}
    given |= {key: value for key, value in request.named.items() if value is not None}
    if "minutes" in given:
        given["max_seconds"] = seconds_of(given.pop("minutes")) / (1 + request.folds)
    known = set(over_sampler()().get_params()) - NOT_SET
    for key in given:
        if key not in known:
            raise unknown("setting of a table", key, known)
    return given


def setting_value(key: str, text: str) -> Any:
    """The plain value of a setting.

    Raises:
        UsageError: it is no YAML.
    """
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UsageError(
            f"--set {key}={shown(text)} cannot be read ({error}): give a number, a word or a mapping"
        ) from None


def seconds_of(minutes: Any) -> float:
    """Minutes as seconds.

    Raises:
        UsageError: no number above 0.
    """
    check("minutes", minutes, type(minutes) in (int, float) and 0 < minutes < float("inf"), "a number above 0")
    return 60.0 * float(minutes)


def over_sampler() -> Any:
    """The class of over-samplers.

    Raises:
        DataError: imbalanced-learn is not installed.
    """
    try:
        from evenscore.sklearn import ScoreOverSampler
    except ImportError as error:
        raise DataError(str(error)) from None
    return ScoreOverSampler


def command() -> str:
    """The command line as it was given."""
    return shlex.join(["evenscore", *sys.argv[1:]])


def show(summary: Mapping[str, Any]) -> None:
    """The table by class, and where everything is."""
    gains = [key for key in summary["classes"][0] if isinstance(summary["classes"][0][key], dict)]
    rows = []
    for row in summary["classes"]:
        cells = [row["class"], row["group"], f"{row['real']}", f"{row['made']}", f"{row['real'] + row['made']}"]
        cells.append(f"{row['copies']}" if "copies" in row else "-")
        for name in gains:
            recall = row.get(name, {}).get("recall")
            cells.append("-" if recall is None else f"{recall['real']:.2f} to {recall['balanced']:.2f}")
        rows.append(cells)
    recalls = [f"recall, {name}" for name in gains]
    show_table("", ("class", "group", "real", "made", "now", "copies", *recalls), rows)
    if gains:
        tell("recall on held-out real rows, from real rows alone and with synthetic ones; the page has the intervals")
    tell(f"table: {summary['table']}")
    tell(f"page:  {summary['page']}")
