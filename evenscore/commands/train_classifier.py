"""``evenscore train-classifier``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.commands.inspect import read
from evenscore.commands.terminal import STOPPED, Bar, duration, emit, say, stopping
from evenscore.configuration import parse_settings
from evenscore.data import Dataset
from evenscore.errors import DataError, EvenscoreError
from evenscore.run import Run
from evenscore.training.classifier import ClassifierTrainer
from evenscore.training.run_classifier import classifier_config, classifier_folder


@dataclass(frozen=True)
class ClassifierRequest:
    """What was asked on the command line.

    Attributes:
        run: run folder.
        data: specification of the data of the run; None for where they were when the run was trained.
        named: settings that have an option of their own; None where the option was not given.
        settings: ``key=value`` texts.
    """

    run: Path
    data: str | None
    named: Mapping[str, Any]
    settings: list[str]


def run(request: ClassifierRequest, as_json: bool) -> None:
    """Train the classifier of a run, or go on with it."""
    trained = Run.open(request.run)
    trained.require_score()
    named = {key: value for key, value in request.named.items() if value is not None}
    config = classifier_config(trained, parse_settings(request.settings) | named)
    data, folder = data_of(trained, request.data), classifier_folder(trained)
    started, first = time.monotonic(), None
    with stopping() as stop, Bar() as bar:
        for last in ClassifierTrainer(data, config, folder, stop).run_to_end():
            first = last.fraction if first is None else first
            spent, done = time.monotonic() - started, last.fraction - first
            text = f"step {last.step}  loss {last.loss:.3f}  accuracy {last.accuracy:.3f}"
            bar.update("classifier", last.fraction, text, spent * (1 - last.fraction) / done if done else None)
    seconds = time.monotonic() - started
    if as_json:
        measured = {"loss": last.loss, "accuracy": last.accuracy} if last.step else {}
        found = {"run": str(trained.path), "classifier": str(folder), "steps": last.step, "event": last.event}
        emit({**found, **measured, "seconds": seconds})
    if last.event == "stopped":
        say(f"stopped at step {last.step}; saved in {folder}; the same command goes on from here")
        raise SystemExit(STOPPED)
    say(f"{last.step} steps done, {duration(seconds)} of them here: {folder}")
    say(f"next: evenscore sample {trained.path} --out guided --guidance-method classifier --guidance 0")


def data_of(trained: Run, given: str | None, command: str = "train-classifier") -> Dataset:
    """The data of a run: as given, or from where they were when it was trained.

    Args:
        trained: the run.
        given: specification of the data, or None.
        command: the command that wants them, for what to do when they are gone.

    Raises:
        DataError: they cannot be read, or are not those of the run.
    """
    if given is not None:
        data = read(given, strict=False)
        trained.check_data(data)
        return data
    again = f"give the data of the run, as `evenscore {command} {trained.path} DATA`"
    try:
        data = read(trained.card.spec, strict=False)
    except EvenscoreError as error:
        raise DataError(
            f"{trained.path} was trained on {trained.card.spec}, which cannot be read now ({error}): {again}"
        ) from None
    if data.fingerprint != trained.card.fingerprint:
        raise DataError(f"{trained.card.spec} holds other data than when {trained.path} was trained on it: {again}")
    return data
