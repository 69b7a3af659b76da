"""``evenscore train``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from evenscore.commands.inspect import read
from evenscore.commands.terminal import STOPPED, Bar, Stop, duration, emit, say, stopping
from evenscore.configuration import TrainConfig, parse_settings, read_config_file
from evenscore.data import Dataset
from evenscore.recipes import recipe
from evenscore.run import Run
from evenscore.training import Progress, train
from evenscore.training.criterion import Standing
from evenscore.training.estimate import estimate
from evenscore.training.resolve import resolve
from evenscore.writing import check_outside

DEFAULT_MINUTES = 10.0


@dataclass(frozen=True)
class TrainRequest:
    """What was asked on the command line.

    Attributes:
        data: specification of the data.
        out: run folder.
        named: settings that have an option of their own; None where the option was not given.
        settings: ``key=value`` texts.
        file: configuration file.
        recipe: name of published settings.
        strict: whether unreadable images stop the command.
    """

    data: str
    out: Path
    named: Mapping[str, Any]
    settings: list[str]
    file: Path | None
    recipe: str | None
    strict: bool


def read_config(
    named: Mapping[str, Any], settings: list[str], file: Path | None = None, published: str | None = None
) -> TrainConfig:
    """The configuration: defaults, then the recipe, then the file, then --set, then options of their own.

    Raises:
        UsageError: an unknown key, value or recipe.
    """
    base = recipe(published).settings() if published else {}
    beside: dict[str, Any] = read_config_file(file) if file else {}
    objective = named.get("objective") or parse_settings(settings).get("objective")
    if objective is not None and _name({**base, **beside}.get("objective")) != objective:
        beside["objective"] = objective
    beside |= {key: value for key, value in parse_settings(settings).items() if key != "objective"}
    beside |= {key: value for key, value in named.items() if value is not None and key != "objective"}
    if beside.get("minutes") not in (None, "none"):
        base.pop("steps", None)
    given = {**base, **beside}
    if given.get("steps") is None and given.get("minutes") is None:
        given["minutes"] = DEFAULT_MINUTES
    return TrainConfig.from_mapping(given)


def _name(objective: Any) -> Any:
    """The name of an objective in a configuration file, where its settings may stand beside it."""
    return objective.get("name") if isinstance(objective, dict) else objective


def run(request: TrainRequest, dry_run: bool, as_json: bool) -> None:
    """Train, or print what would be trained."""
    config = read_config(request.named, request.settings, request.file, request.recipe)
    if request.recipe:
        for sentence in recipe(request.recipe).sentences(request.recipe, str(request.out)):
            say(sentence)
    data = read(request.data, request.strict)
    for note in data.notes:
        say(f"note: {note}")
    if dry_run:
        _dry_run(data, config, as_json)
        return
    check_outside(request.out, data)
    with stopping() as stop:
        last = _train(data, request.out, config, stop)
    standing = Standing.of(Run.open(request.out))
    if as_json:
        summary = {"run": str(request.out), "steps": last.step, "seconds": last.seconds, "event": last.event}
        emit({**summary, "standing": None if standing is None else asdict(standing)})
    if last.event == "stopped":
        say(f"stopped at step {last.step}; saved in {request.out}; the same command goes on from here")
        raise SystemExit(STOPPED)
    say(f"trained {last.step} steps in {duration(last.seconds)}: {request.out}")
    if standing is not None:
        say(standing.sentence())
    say(f"next: evenscore sample {request.out} --out samples --per-class 100")


def _train(data: Dataset, out: Path, config: TrainConfig, stop: Stop) -> Progress:
    with Bar() as bar:
        for progress in train(data, out, config, stop):
            show_progress(bar, progress)
    return progress


def show_progress(bar: Bar, progress: Progress) -> None:
    """One step of training on the progress bar; what a person should be told is said."""
    if progress.text:
        say(progress.text)
    groups = "  ".join(f"{group} {loss:.3f}" for group, loss in progress.by_group.items())
    text = f"step {progress.step}  loss {progress.loss:.3f}  {groups}" if groups else f"step {progress.step}"
    bar.update("train", progress.fraction, text, progress.remaining)


def _dry_run(data: Dataset, config: TrainConfig, as_json: bool) -> None:
    resolved = resolve(config, data)
    found = estimate(data, resolved)
    if as_json:
        emit({"train": resolved.to_mapping(), "estimate": found.to_mapping()})
        return
    print(yaml.safe_dump({"train": resolved.to_mapping()}, sort_keys=False), end="")
    print(f"# parameters: {found.parameters:,}")
    print(
        f"# time: {duration(found.seconds)} for {found.steps} steps of {found.seconds_per_step:.3f} s (measured here)"
    )
    print(f"# memory: about {found.memory_mib:.0f} MiB")
