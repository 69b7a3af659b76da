"""``evenscore downstream``: whether synthetic data improve a classifier."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.checkpoint import write_atomic
from evenscore.commands.inspect import read
from evenscore.commands.terminal import STOPPED, Bar, emit, say, show_table, stopping, tell
from evenscore.configuration import parse_settings
from evenscore.data import Dataset
from evenscore.downstream import Found, Settings, downstream, markdown, read_synthetic, sentences, to_dict
from evenscore.downstream.write import class_table, main_table
from evenscore.errors import UsageError

NAME = "downstream"


@dataclass(frozen=True)
class DownstreamRequest:
    """What was asked on the command line.

    Attributes:
        data: specification of the real data.
        synthetic: folder or archive of synthetic samples.
        named: settings that have an option of their own; None where the option was not given.
        settings: ``key=value`` texts.
        out: folder for parts and tables, or None.
    """

    data: str
    synthetic: Path
    named: Mapping[str, Any]
    settings: list[str]
    out: Path | None


def run(request: DownstreamRequest, as_json: bool) -> None:
    """Compare, print, and write the tables where a folder was named.

    Raises:
        UsageError: settings that cannot be used, or a folder inside the data or the synthetic samples.
        SystemExit: 130 when a stop was asked; the same command goes on where a folder was named.
    """
    given = {key: value for key, value in request.named.items() if value is not None}
    settings = records.read(Settings, parse_settings(request.settings) | given)
    if request.out is not None and request.out.resolve().is_relative_to(request.synthetic.resolve()):
        raise UsageError(
            f"--out {request.out} lies inside the synthetic data {request.synthetic}: choose another folder"
        )
    data = read(request.data, strict=False)
    found = compare(data, read_synthetic(request.synthetic, data), settings, request.out)
    if request.out is not None:
        write_atomic(request.out / f"{NAME}.json", json.dumps(to_dict(found), ensure_ascii=False, indent=1).encode())
        write_atomic(request.out / f"{NAME}.md", markdown(found).encode())
    if as_json:
        emit(to_dict(found))
    else:
        show(found)
    if request.out is not None:
        say(f"written: {request.out / NAME}.md and .json")


def compare(data: Dataset, synthetic: Dataset, settings: Settings, out: Path | None) -> Found:
    """The comparison with progress and time left."""
    started, first = time.monotonic(), None
    with stopping() as stop, Bar() as bar:
        for last in downstream(data, synthetic, settings, out, stop):
            if last.event == "kept":
                continue
            first = last.fraction if first is None else first
            done = last.fraction - first
            left = (time.monotonic() - started) * (1 - last.fraction) / done if done else None
            bar.update(NAME, last.fraction, last.text, left)
    if last.found is None:
        kept = (
            "; nothing is kept without --out"
            if out is None
            else f"; what was finished is in {out}: give the same command"
        )
        say(f"stopped{kept}")
        raise SystemExit(STOPPED)
    return last.found


def show(found: Found) -> None:
    """The tables, and what they say in words."""
    show_table("", *main_table(found))
    show_table("", *class_table(found))
    for text in sentences(found):
        tell(text)
    for note in found.facts.notes:
        tell(f"note: {note}")
