"""``evenscore distill``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.commands.terminal import STOPPED, Bar, duration, emit, say, stopping
from evenscore.commands.train import DEFAULT_MINUTES
from evenscore.configuration import parse_settings
from evenscore.distill import DistillConfig, distill
from evenscore.run import Run
from evenscore.training import Progress


@dataclass(frozen=True)
class DistillRequest:
    """What was asked on the command line.

    Attributes:
        run: folder of the run to distil.
        out: run folder to write.
        named: settings that have an option of their own; None where the option was not given.
        settings: ``key=value`` texts.
        checkpoint: of the run to distil, ``last`` or ``best``.
    """

    run: Path
    out: Path
    named: Mapping[str, Any]
    settings: list[str]
    checkpoint: str = "last"


def read_distill_config(named: Mapping[str, Any], settings: list[str]) -> DistillConfig:
    """The settings: defaults, then --set, then options of their own.

    Raises:
        UsageError: an unknown key or value.
    """
    given: dict[str, Any] = dict(parse_settings(settings))
    given |= {key: value for key, value in named.items() if value is not None}
    if given.get("steps") is None and given.get("minutes") is None:
        given["minutes"] = DEFAULT_MINUTES
    return records.read(DistillConfig, given)


def run(request: DistillRequest, as_json: bool) -> None:
    """Distil a run, or go on with that."""
    config = read_distill_config(request.named, request.settings)
    teacher = Run.open(request.run)
    with stopping() as stop, Bar() as bar:
        for last in distill(teacher, request.out, config, stop, request.checkpoint):
            show_progress(bar, last)
    if as_json:
        spread = next((r["spread"] for r in reversed(Run.open(request.out).records()) if "spread" in r), None)
        found = {"run": str(request.out), "teacher": str(request.run), "method": config.method, "steps": last.step}
        emit({**found, "seconds": last.seconds, "event": last.event, "spread": spread})
    if last.event == "stopped":
        say(f"stopped at step {last.step}; saved in {request.out}; the same command goes on from here")
        raise SystemExit(STOPPED)
    say(f"distilled in {last.step} steps, {duration(last.seconds)}: {request.out}")
    say(f"next: evenscore sample {request.out} --out samples --per-class 100")


def show_progress(bar: Bar, progress: Progress) -> None:
    """One step on the progress bar; what a person should be told is said."""
    if progress.text:
        say(progress.text)
    groups = "  ".join(f"{group} {gap:.3f}" for group, gap in progress.by_group.items())
    text = f"step {progress.step}  gap {progress.loss:.3f}  {groups}" if groups else f"step {progress.step}"
    bar.update("distill", progress.fraction, text, progress.remaining)
