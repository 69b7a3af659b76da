"""``evenscore report``: a page about a run, about samples in files, about a balanced folder, or about a comparison."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evenscore.balancing.job import HIDDEN
from evenscore.checkpoint import make_folder, write_atomic
from evenscore.commands.evaluate import EvaluateRequest, looked, source, training_data
from evenscore.commands.inspect import read
from evenscore.commands.terminal import emit, tell
from evenscore.comparison.page import rewrite
from evenscore.configuration import objective_name
from evenscore.data import Dataset
from evenscore.errors import DataError, EvenscoreError, UsageError
from evenscore.evaluation import Evaluation, Settings, sentences, to_dict
from evenscore.evaluation.kept import Kept
from evenscore.evaluation.page import SHOWN, Context, gathered, quality_report
from evenscore.reading import STATE, parse_json, read_text
from evenscore.report import quality_page
from evenscore.report.environment import is_page
from evenscore.run import Run
from evenscore.sampling import Sampler
from evenscore.training.curves import game_curves, loss_curves

PAGE = "report.html"
COMPARISON = "comparison.json"


@dataclass(frozen=True)
class ReportRequest:
    """What was asked on the command line.

    Attributes:
        path: run folder, folder of images, archive, balanced folder or comparison.
        reference: specification of the real data; None for the data of the run.
        settings: what to measure.
        per_class: samples of each class; None for 200 of a run, and all of a folder.
        sampler: how a run is sampled.
        seed: of the samples of a run.
        trained_on: specification of the data that the samples were learned from, or None.
        out: the page to write; None for ``report.html`` in the folder.
    """

    path: Path
    reference: str | None
    settings: Settings
    per_class: int | None
    sampler: Sampler
    seed: int
    trained_on: str | None
    out: Path | None


def run(request: ReportRequest, as_json: bool) -> None:
    """Write the page, and say where it is and what it says first."""
    if (request.path / COMPARISON).is_file():
        _comparison(request, as_json)
        return
    out = place_of(request)
    check_place(out)
    if request.per_class is not None and request.per_class < 1:
        raise UsageError(f"--per-class {request.per_class} cannot be used: give at least 1")
    origin = origin_of(request.path)
    reference = reference_of(request, origin)
    found, context = _judged(request, origin, reference)
    make_folder(out.resolve().parent)
    write_atomic(out, quality_page(quality_report(found, context)).encode())
    if as_json:
        emit({"page": str(out), **to_dict(found)})
        return
    for text in sentences(found):
        tell(text)
    tell(f"page: {out}")


def place_of(request: ReportRequest) -> Path:
    """Where the page goes: as asked, into the folder, or beside an archive."""
    if request.out is not None:
        return request.out
    if request.path.is_dir():
        return request.path / PAGE
    return request.path.with_name(f"{request.path.stem}-{PAGE}")


def check_place(out: Path) -> None:
    """Refuse to write over anything but a page that evenscore made.

    Raises:
        DataError: it exists and is something else.
    """
    if out.exists() and not is_page(out):
        raise DataError(
            f"{out} exists and is not a page that evenscore made: choose another --out, nothing is overwritten"
        )


def origin_of(path: Path) -> Run | None:
    """The run that the samples come from: the folder itself, or the one that a balanced folder was made with."""
    if Run.exists(path):
        return Run.open(path)
    state = path / HIDDEN / "state.json"
    if Run.exists(path / HIDDEN / "run"):
        return Run.open(path / HIDDEN / "run")
    if state.is_file():
        try:
            named = parse_json(read_text(state, STATE))["signature"]["run"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if isinstance(named, str) and Run.exists(Path(named)):
            return Run.open(Path(named))
    return None


def reference_of(request: ReportRequest, origin: Run | None) -> Dataset:
    """The real data: as named, or those that the run was trained on.

    Raises:
        UsageError: none are named, and the samples do not say what they were learned from.
        DataError: the data of the run are gone, or others now.
    """
    if request.reference is not None:
        return read(request.reference, strict=False)
    if origin is None:
        raise UsageError(
            f"{request.path} does not say what real data it is to be compared with: name them with --reference DATA"
        )
    spec = origin.card.spec
    try:
        data = read(spec, strict=False)
    except EvenscoreError as error:
        raise DataError(
            f"the data that {origin.path} was trained on ({spec}) cannot be read any more ({error}): name the real data "
            "with --reference"
        ) from None
    if data.fingerprint != origin.card.fingerprint:
        raise DataError(
            f"{spec} has changed since {origin.path} was trained on it: name the real data with --reference"
        )
    return data


def _judged(request: ReportRequest, origin: Run | None, reference: Dataset) -> tuple[Evaluation, Context]:
    asked = EvaluateRequest(
        path=request.path if origin is None else origin.path,
        reference=reference.name,
        settings=request.settings,
        per_class=request.per_class,
        sampler=request.sampler,
        sampling_seed=request.seed,
        trained_on=request.trained_on,
        out=None,
    )
    learned = training_data(asked, reference)
    with Kept(SHOWN) as kept:
        generated = kept.watching(source(EvaluateRequest(**{**vars(asked), "path": request.path})))
        found = looked(generated, reference, request.settings, learned)
        part = request.settings.part_of(reference)
        real = reference.test if part == "test" and reference.test is not None else reference
        pictures, copies, some = gathered(found, kept, reference if learned is None else learned, real)
    return found, Context(
        command=shlex.join(["evenscore", *sys.argv[1:]]),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        facts=facts_of(origin),
        settings=settings_of(origin),
        curves=curves_of(origin),
        pictures=pictures,
        copies=copies,
        real=some,
    )


def facts_of(origin: Run | None) -> dict[str, str]:
    """What people ask of a run first."""
    if origin is None:
        return {}
    steps = max((record.get("step", 0) for record in origin.records()), default=0)
    distilled = origin.distilled
    made = {} if distilled is None else {"one-step generator of": distilled.teacher}
    return {
        **made,
        "objective": objective_name(origin.config.objective),
        "network": origin.config.network,
        "training steps": f"{steps:,}",
        "training samples": f"{sum(origin.card.counts):,}",
    }


def settings_of(origin: Run | None) -> dict[str, str]:
    """What a run was trained with, and a one-step generator distilled."""
    if origin is None:
        return {}
    distilled = {} if origin.distilled is None else origin.distilled.to_mapping()
    own = {f"distillation {key}": value for key, value in distilled.pop("settings", {}).items()}
    return {key: str(value) for key, value in (origin.config.to_mapping() | distilled | own).items()}


def curves_of(origin: Run | None) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Charts of what the run logged: the loss by group, and each quantity of the classes' game on its own."""
    if origin is None:
        return {}
    losses = loss_curves(origin)
    game = {name: {name: curve} for name, curve in game_curves(origin).items()}
    return ({"loss by group": losses} if losses else {}) | game


def _comparison(request: ReportRequest, as_json: bool) -> None:
    """Write the page of a comparison anew, from what it holds.

    Raises:
        UsageError: options that a comparison does not take.
        RunError: its result cannot be understood.
    """
    given = {"--reference": request.reference, "--per-class": request.per_class, "--trained-on": request.trained_on}
    asked = [name for name, value in {**given, "--out": request.out}.items() if value is not None]
    if asked:
        raise UsageError(
            f"{request.path} is a comparison, whose page is written from its own results: leave {asked[0]} out"
        )
    page = rewrite(request.path)
    if as_json:
        emit({"page": str(page)})
    else:
        tell(f"page: {page}")
