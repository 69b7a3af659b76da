"""``evenscore finish``: equilibrium heads for a trained run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.commands.terminal import Bar, duration, emit, say, show_table, tell
from evenscore.commands.train_classifier import data_of
from evenscore.configuration import parse_settings
from evenscore.games.heads import KEEP, Heads, HeadSettings
from evenscore.run import Run
from evenscore.training.finish import Finisher, require_empty

HELP = (
    "gap: what the class would gain by its best last layer, before and after. held out: denoising loss on training samples "
    "under heads fitted without them; the trunk has seen these, so trust the columns test more where there are any"
)


@dataclass(frozen=True)
class FinishRequest:
    """What was asked on the command line.

    Attributes:
        run: run folder.
        out: run folder to write.
        data: specification of the data of the run; None for where they were when the run was trained.
        settings: ``key=value`` texts.
        seed: of folds and noise.
    """

    run: Path
    out: Path
    data: str | None
    settings: list[str]
    seed: int


def run(request: FinishRequest, as_json: bool) -> None:
    """Fit heads and write the finished run."""
    trained = Run.open(request.run)
    trained.require_score()
    how = records.read(HeadSettings, parse_settings(request.settings))
    require_empty(request.out)
    finisher = Finisher(trained, data_of(trained, request.data, "finish"), how, request.seed)
    started = time.monotonic()
    with Bar() as bar:
        for done in finisher.gather():
            spent = time.monotonic() - started
            bar.update("finish", done, "features of the last layer", spent * (1 - done) / done)
        heads = finisher.fit()
    found = summary(request, how, heads, finisher.table(heads))
    finisher.write(request.out, heads, found)
    if as_json:
        emit(found)
        return
    show(found)
    say(f"finished in {duration(time.monotonic() - started)}: {request.out}")
    say(f"next: evenscore sample {request.out} --out samples --per-class 100")


def summary(request: FinishRequest, how: HeadSettings, heads: Heads, table: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that was found, in terms of JSON."""
    scores = {("trained" if k0 == KEEP else f"{k0:g}"): score for k0, score in heads.scores.items()}
    return {
        "run": str(request.run),
        "out": str(request.out),
        "settings": records.write(how),
        "seed": request.seed,
        "k0": heads.k0,
        "used": heads.helps,
        "held_out_by_k0": {k0: score if score == score else None for k0, score in scores.items()},
        "stability": heads.stability,
        "warnings": [heads.warning] if heads.warning else [],
        "verdict": verdict(how, heads),
        "classes": table,
    }


def verdict(how: HeadSettings, heads: Heads) -> str:
    """One sentence on what was done."""
    ours, theirs = heads.scores[heads.k0], heads.scores[KEEP]
    compared = f"(mean loss held out {ours:.5f}, trained layer {theirs:.5f})"
    if how.k0 is not None:
        return f"the heads of k0={heads.k0:g} are used, as was asked {compared}"
    if heads.helps:
        return f"the heads of k0={heads.k0:g} are used: they lose less than the trained layer {compared}"
    return (
        f"no heads lose less than the trained layer, which is kept; the best were those of k0={heads.k0:g} {compared}"
    )


def show(found: Mapping[str, Any]) -> None:
    """The summary as people read it."""
    keys = [key for key in found["classes"][0] if key not in ("name", "trained_on")]
    rows = [
        (c["name"], str(c["trained_on"]), *(_cell(c[key], key.startswith("gap")) for key in keys))
        for c in found["classes"]
    ]
    names = [
        key.replace("_trained", " trained").replace("_after", " after").replace("held_out", "held out") for key in keys
    ]
    show_table(f"{found['run']}: last layers as players", ("class", "trained on", *names), rows)
    tell(HELP)
    tell(found["verdict"])
    for text in found["warnings"]:
        tell(f"warning: {text}")


def _cell(value: float | None, gap: bool) -> str:
    if value is None:
        return "-"
    return f"{value:.1e}" if gap else f"{value:.4f}"
