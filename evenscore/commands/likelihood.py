"""``evenscore likelihood``: bits per dimension by class, on the training samples and on the held-out ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenscore.checkpoint import pointed
from evenscore.commands.inspect import read
from evenscore.commands.terminal import Bar, emit, show_table, tell
from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError
from evenscore.evaluation.bits import bits_of, chosen
from evenscore.likelihood import Gap, Likelihood, Mean, gaps_by_class, means_by_class
from evenscore.random import derive_seed
from evenscore.run import Run

TRAINING, GIVEN, HELD_OUT = "training", "given", "held-out"


@dataclass(frozen=True)
class LikelihoodRequest:
    """What was asked on the command line.

    Attributes:
        run: run folder.
        data: specification of the data.
        how: tolerance, divergence and prior.
        per_class: samples of each class and part, fewer where a class has fewer.
        seed: of the choice of samples, of dequantisation and of probes.
        strict: whether unreadable images stop the command.
        checkpoint: ``last`` or ``best``.
    """

    run: Path
    data: str
    how: Likelihood
    per_class: int
    seed: int
    strict: bool
    checkpoint: str = "last"

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise UsageError(f"--per-class {self.per_class} cannot be used: give at least 1")


@dataclass(frozen=True)
class Part:
    """Bits per dimension of some samples of one part of the data.

    Attributes:
        name: ``training``, ``given`` (not the data of the run) or ``held-out``.
        bits: (N,) bits per dimension.
        labels: (N,) class of each.
    """

    name: str
    bits: Tensor
    labels: Tensor


def run(request: LikelihoodRequest, as_json: bool) -> None:
    """Measure, and print a table or one JSON object."""
    trained = Run.open(request.run)
    trained.require_score()
    data = read(request.data, request.strict)
    check_data(trained, data)
    parts = measure(trained, data, request)
    found = summary(trained, data, request, parts)
    if as_json:
        emit(found)
    else:
        show(found)


def check_data(trained: Run, data: Dataset) -> None:
    """Refuse data that the run has no model of.

    Raises:
        DataError: samples of another shape, or other classes.
    """
    card = trained.card
    if data.shape != card.shape:
        raise DataError(
            f"{data.name} holds samples of shape {data.shape}, but {trained.path} models {card.shape}: "
            "give data of that shape (images can be brought to a size with DATA:size=HxW)"
        )
    if data.class_names != card.class_names:
        other = sorted(set(data.class_names) ^ set(card.class_names)) or ["in another order"]
        raise DataError(
            f"{data.name} has other classes than {trained.path} ({', '.join(other[:3])}): "
            f"give data with its {len(card.class_names)} classes"
        )


def measure(trained: Run, data: Dataset, request: LikelihoodRequest) -> list[Part]:
    """Bits per dimension of every part of the data, with progress on standard error."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    denoiser = trained.denoiser(request.checkpoint).to(device)
    own = data.fingerprint == trained.card.fingerprint
    sources = {TRAINING if own else GIVEN: data} | ({HELD_OUT: data.test} if data.test is not None else {})
    picked = {name: chosen(part, request.per_class, request.seed) for name, part in sources.items()}
    total, started, done, parts = sum(map(len, picked.values())), time.monotonic(), 0, []
    with Bar() as bar:
        for name, part in sources.items():
            found: list[Tensor] = []
            for bits in bits_of(denoiser, part, picked[name], request.how, derive_seed(request.seed, name)):
                found.append(bits)
                done += len(bits)
                left = (time.monotonic() - started) * (total - done) / done
                bar.update("likelihood", done / total, f"{name}, {done} of {total}", left)
            parts.append(Part(name, torch.cat(found), torch.from_numpy(part.labels[picked[name]])))
    return parts


def summary(trained: Run, data: Dataset, request: LikelihoodRequest, parts: list[Part]) -> dict[str, Any]:
    """Everything that was found, in terms of JSON."""
    names, counts = trained.card.class_names, trained.card.counts
    means = {part.name: means_by_class(part.bits, part.labels, len(names)) for part in parts}
    by_name = {part.name: part for part in parts}
    gaps: list[Gap | None] = [None] * len(names)
    if TRAINING in by_name and HELD_OUT in by_name:
        one, other = by_name[TRAINING], by_name[HELD_OUT]
        gaps = list(gaps_by_class((one.bits, one.labels), (other.bits, other.labels), len(names)))
    groups = trained.card.labels.groups()
    classes = [
        {
            "name": name,
            "trained_on": counts[k],
            "group": groups[k],
            "bits_per_dim": {part: _plain(found[k]) for part, found in means.items()},
            "gap": _gap(gaps[k]),
        }
        for k, name in enumerate(names)
    ]
    return {
        "run": str(trained.path),
        "data": data.name,
        "unit": "bits per dimension of dequantised bytes" if data.kind == "image" else "bits per dimension of density",
        "settings": {**asdict(request.how), "per_class": request.per_class, "seed": request.seed},
        "checkpoint": pointed(trained.checkpoints, request.checkpoint),
        "overall": {part.name: _plain(Mean.of(part.bits)) for part in parts},
        "classes": classes,
        "warnings": warnings(classes),
        "notes": list(_notes(by_name)),
    }


def warnings(classes: list[dict[str, Any]]) -> list[str]:
    """The classes that look memorised, in words."""
    return [
        f"class {record['name']!r} ({record['group']}, trained on {record['trained_on']}) looks memorised: its held-out "
        f"samples cost {record['gap']['value']:.2f} bits per dimension more than its training samples "
        f"(chance {record['gap']['chance']:.1g})"
        for record in classes
        if record["gap"] and record["gap"]["memorised"]
    ]


def _notes(parts: Mapping[str, Part]) -> Iterator[str]:
    if GIVEN in parts:
        yield "the data are not those that the run was trained on, so nothing can be said about memorisation"
    elif HELD_OUT not in parts:
        yield "the data have no held-out part, so nothing can be said about memorisation"


def _plain(mean: Mean | None) -> dict[str, Any] | None:
    return None if mean is None else {"n": mean.n, "mean": mean.value, "interval": mean.interval}


def _gap(gap: Gap | None) -> dict[str, Any] | None:
    return None if gap is None else {"value": gap.value, "chance": gap.chance, "memorised": gap.memorised}


def show(found: Mapping[str, Any]) -> None:
    """The summary as people read it."""
    parts = list(found["overall"])
    rows = [
        (
            c["name"],
            str(c["trained_on"]),
            c["group"],
            *(_cell(c["bits_per_dim"][p]) for p in parts),
            _gap_cell(c["gap"]),
        )
        for c in found["classes"]
    ]
    whole = ("all classes", "", "", *(_cell(found["overall"][part]) for part in parts), "")
    columns = ("class", "trained on", "group", *parts, "gap")
    show_table(f"{found['run']} on {found['data']}: {found['unit']}", columns, [*rows, whole])
    tell("mean ± half of the 95 % interval (samples); fewer bits are likelier; gap: held-out minus training")
    for text in found["warnings"]:
        tell(f"warning: {text}")
    for text in found["notes"]:
        tell(f"note: {text}")


def _cell(mean: Mapping[str, Any] | None) -> str:
    if mean is None:
        return "-"
    low, high = mean["interval"] or (None, None)
    spread = "" if low is None else f" ± {(high - low) / 2:.2f}"
    return f"{mean['mean']:.3f}{spread} ({mean['n']})"


def _gap_cell(gap: Mapping[str, Any] | None) -> str:
    if gap is None:
        return "-"
    return f"{gap['value']:+.2f}{' !' if gap['memorised'] else ''}"
