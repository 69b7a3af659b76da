"""A run is a folder: what was asked, what was computed, and where to go on.

    config.yaml          the resolved configuration, the data, versions, command line (written once); for a one-step
                         generator also what it was distilled from, and how
    metrics.jsonl        one JSON object per report
    checkpoints/         safetensors, with pointers ``last`` and ``best``
    previews/            grids drawn during training
    classifier/          checkpoints of its noise-conditional classifier, where one was trained
    heads.json           how the last layers were fitted, in a run that was finished with `evenscore finish`
    lock                 held while a process trains in the folder

Law: the folder of a run that was interrupted at any instant can be opened, and training in it goes on as if it had not
been interrupted.
"""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from evenscore import records
from evenscore.checkpoint import PARTIAL, clear_partials, load_checkpoint, make_folder, unwritable, write_atomic
from evenscore.configuration import CHANGEABLE, TrainConfig, require_same
from evenscore.confined import inside
from evenscore.data.dataset import Dataset
from evenscore.data.pixels import MAX_PIXELS
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.distilled import Distilled
from evenscore.errors import DataError, EvenscoreError, RunError, shown
from evenscore.labels import LabelDistribution
from evenscore.lock import hold
from evenscore.networks import build_network
from evenscore.networks.heads import ClassHeads
from evenscore.placement import placed
from evenscore.process import PROCESSES
from evenscore.reading import parse_json, parse_yaml, read_text

FORMAT = 1
FINISHED = "heads.json"
"""File of a run that was finished with heads: what was found."""
HEADS = "heads.correction"
"""Tensor (K + 1, D, F) in the checkpoint of such a run, see :class:`~evenscore.networks.heads.ClassHeads`."""
PLACES = ("checkpoints", "previews", "metrics.jsonl", "lock")
"""Where training writes, beside ``config.yaml``."""
BEFORE = {"memory_format": "channels_last"}
"""What runs whose configuration does not say it were trained with."""
CONDITION = 3
"""Length of the augmentation vector that networks are told (flip, shift down, shift right)."""


@dataclass(frozen=True)
class DataCard:
    """What a run knows of its training data, without the data.

    Attributes:
        spec: the data as they were named on the command line.
        fingerprint: SHA-256 of samples, labels and class names.
        class_names: names of the K classes.
        counts: training samples of each class.
        shape: shape of one sample, (C, H, W) or (D,).
        mean: mean of each channel, in [-1, 1].
        std: standard deviation of each channel.

    Raises:
        DataError: numbers that do not fit together, or a shape that no data set has.
    """

    spec: str
    fingerprint: str
    class_names: tuple[str, ...]
    counts: tuple[int, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        shape = len(self.shape) in (1, 3) and min(self.shape) >= 1 and math.prod(self.shape) <= 3 * MAX_PIXELS
        if not shape or not len(self.mean) == len(self.std) == self.shape[0] or min(self.std) < 0:
            raise DataError(f"samples of shape {shown(self.shape)} with {len(self.mean)} means are of no data set")
        if len(self.labels.counts) != len(self.class_names):
            raise DataError(f"{len(self.counts)} counts do not fit {len(self.class_names)} class names")

    @classmethod
    def of(cls, data: Dataset) -> DataCard:
        """The card of a data set."""
        mean, std = _moments(data)
        return cls(
            data.name,
            data.fingerprint,
            data.class_names,
            data.distribution.counts,
            data.shape,
            tuple(round(m, 6) for m in mean.tolist()),
            tuple(round(s, 6) for s in std.tolist()),
        )

    @property
    def labels(self) -> LabelDistribution:
        return LabelDistribution(self.counts)


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: the folder.
        config: the resolved configuration.
        card: the data it was made for.
        distilled: how its one-step generator was made; None for a run that was trained.
    """

    path: Path
    config: TrainConfig
    card: DataCard
    distilled: Distilled | None = None

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether the folder holds a run."""
        return (path / "config.yaml").is_file()

    @classmethod
    def create(cls, path: Path, config: TrainConfig, card: DataCard, distilled: Distilled | None = None) -> Run:
        """Make a run folder.

        Raises:
            RunError: the folder exists and is not empty.
            DataError: it cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(not p.name.endswith(PARTIAL) for p in path.iterdir())):
            raise RunError(f"{path} exists and is not a run folder: choose another --out, or remove it")
        make_folder(path)
        run = cls(path, config, card, distilled)
        try:
            run.keep()
        except DataError:
            with suppress(OSError):
                path.rmdir()
            raise
        return run

    def adopt(self, config: TrainConfig, card: DataCard) -> Run:
        """This run, ready to go on under ``config``: equal to its own but for what may change and what was left to ``auto``.

        Nothing is written: :meth:`keep` does that.

        Raises:
            RunError: other data or other settings.
        """
        if (self.path / FINISHED).exists():
            raise RunError(
                f"{self.path} was finished with heads for the trunk as it is: train on in the run that it came from, and "
                "finish that again"
            )
        self.require_score()
        self.check_data(card)
        require_same(self.path, self.config.to_mapping(), config.to_mapping())
        return replace(self, config=replace(self.config, **{key: getattr(config, key) for key in CHANGEABLE}))

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open an existing run folder.

        Raises:
            RunError: it is not one, or its configuration cannot be read.
        """
        path = Path(path)
        try:
            record = parse_yaml(read_text(path / "config.yaml"))
            distilled = Distilled.from_mapping(record["distilled"]) if "distilled" in record else None
            config = TrainConfig.from_mapping({**BEFORE, **record["train"]})
            return cls(path, config, records.read(DataCard, record["data"]), distilled)
        except OSError as error:
            raise RunError(
                f"{path} is not a run folder (config.yaml: {error.strerror}): give a folder that `evenscore train` made"
            ) from None
        except (LookupError, TypeError, ValueError, AttributeError, EvenscoreError) as e:
            reason = str(e) if isinstance(e, EvenscoreError | ValueError) else type(e).__name__
            raise RunError(
                f"{path / 'config.yaml'} cannot be understood ({reason}): restore it or train again"
            ) from None

    def require_score(self) -> None:
        """Refuse a one-step generator.

        Raises:
            RunError: it is one.
        """
        if self.distilled is not None:
            raise self.distilled.refusal(self.path)

    def check_data(self, given: Dataset | DataCard) -> None:
        """Refuse data that the run was not trained on.

        Raises:
            RunError: the samples, labels or class names differ.
        """
        if given.fingerprint != self.card.fingerprint:
            raise RunError(
                f"{self.path} was trained on other data ({self.card.spec}): give that data, or another run folder"
            )

    def _record(self) -> dict[str, Any]:
        versions = {name: version(name) for name in ("evenscore", "torch", "diffusers", "numpy")}
        return {
            "format": FORMAT,
            "train": self.config.to_mapping(),
            "data": records.write(self.card),
            **({} if self.distilled is None else {"distilled": self.distilled.to_mapping()}),
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "versions": {**versions, "python": platform.python_version()},
        }

    def keep(self) -> None:
        """Write ``config.yaml``.

        Raises:
            DataError: it cannot be written.
        """
        write_atomic(self.path / "config.yaml", yaml.safe_dump(self._record(), sort_keys=False).encode())

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in the folder, as :func:`hold` does, and clear up after a killed one.

        Raises:
            DataError: a place where training writes is a link that leads out of the folder.
        """
        inside(self.path, *PLACES)
        with hold(self.path, "lock"):
            for place in PLACES:
                clear_partials(self.path / place)
            yield

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one record to metrics.jsonl.

        Raises:
            DataError: the disk is full.
        """
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise unwritable(path, error) from error

    def records(self) -> list[dict[str, Any]]:
        """All complete records of metrics.jsonl, in order; lines that are no records are passed over."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else []
        found = []
        for line in lines:
            with suppress(ValueError):
                found.append(parse_json(line))
        return [record for record in found if is_record(record)]

    def forget_after(self, step: int, rescues: int = 0) -> None:
        """Drop the records of steps after ``step`` and of later rescues, which resumed training will compute again."""
        kept = [r for r in self.records() if r["step"] <= step and r.get("rescues", 0) <= rescues]
        write_atomic(self.path / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in kept).encode())

    def network(self) -> Preconditioned:
        """A fresh, untrained denoiser as the configuration describes it, without what its objective trains beside it."""
        condition = CONDITION if self.config.augmentation != "none" else 0
        shape, classes, config = self.card.shape, len(self.card.class_names), self.config
        layout = BEFORE["memory_format"] if config.memory_format == "auto" else config.memory_format
        backbone = build_network(
            config.network, shape, classes, condition, config.dropout, config.players, config.rank, layout
        )
        process = PROCESSES[config.process]()
        mean, std = torch.tensor(self.card.mean), torch.tensor(self.card.std)
        return Preconditioned(backbone, process, classes, shape, mean, std)

    def equipped(self) -> Preconditioned:
        """The same with what its objective trains beside it: what training starts from."""
        denoiser = self.network()
        self.config.objective.equip(denoiser)
        return denoiser

    def denoiser(self, pointer: str = "last") -> Preconditioned:
        """The trained denoiser with its averaged weights.

        Args:
            pointer: ``last`` or ``best``.

        Raises:
            CheckpointError: no checkpoint, a damaged one, or one of another network.
            RunError: a one-step generator.
        """
        self.require_score()
        return self._averaged(pointer)

    def model(self, pointer: str = "last") -> Denoiser:
        """What samples are drawn with: :meth:`denoiser`, or the one-step generator of a run that was distilled."""
        averaged = self._averaged(pointer)
        return averaged if self.distilled is None else self.distilled.generator(averaged)

    def _averaged(self, pointer: str) -> Preconditioned:
        checkpoint = load_checkpoint(self.checkpoints, pointer)
        denoiser = self.network()
        bare = {f"ema.{key}" for key in denoiser.state_dict()}
        if any(key not in bare for key in checkpoint.tensors if key.startswith("ema.")):
            self.config.objective.equip(denoiser)
        load_prefixed(denoiser, checkpoint.tensors, "ema.", self.path)
        self.config.objective.release(denoiser)
        if HEADS in checkpoint.tensors:
            denoiser.backbone = ClassHeads(denoiser.backbone, checkpoint.tensors[HEADS])
        return denoiser.eval()


def is_record(value: Any) -> bool:
    """Whether ``value`` has the form of a record of metrics.jsonl: a step, losses by group, and what is known of a game."""
    if not isinstance(value, dict) or type(value.get("step")) is not int or not 0 <= value["step"] <= records.LARGEST:
        return False
    groups, game = value.get("by_group", {}), value.get("game")
    if (
        type(value.get("rescues", 0)) is not int
        or not isinstance(groups, dict)
        or not all(map(_is_number, groups.values()))
    ):
        return False
    return game is None or (isinstance(game, dict) and all(_is_number(game.get(key)) for key in GAME))


def _is_number(value: Any) -> bool:
    """Whether it is a number that can be drawn."""
    return type(value) in (int, float) and abs(value) <= MOST


GAME = ("disagreement", "gradient_proxy", "last_layer_gap")
"""What a record says of a game, at least."""
MOST = 1e30
"""Largest number of a record."""


def _moments(data: Dataset, part: int = 4096) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel (or entry of a vector), float64, a part of the samples at a time."""
    mean = torch.zeros(data.shape[0], dtype=torch.float64)
    square = torch.zeros_like(mean)
    for start in range(0, len(data), part):
        values = data.tensor(range(start, min(start + part, len(data)))).transpose(0, 1).flatten(1).double()
        share = values.shape[1] * data.shape[0] / (len(data) * math.prod(data.shape))
        mean += share * values.mean(1)
        square += share * values.square().mean(1)
    return mean, (square - mean.square()).clamp_min(0).sqrt()


def load_prefixed(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], prefix: str, where: Path) -> None:
    """Load the tensors under ``prefix`` into a module.

    Raises:
        RunError: names or shapes do not fit.
    """
    own = module.state_dict()
    names = [key.removeprefix(prefix) for key in tensors if key.startswith(prefix)]
    mine = {name: placed(tensors[prefix + name], own.get(name)) for name in names}
    try:
        module.load_state_dict(mine)
    except RuntimeError:
        raise RunError(
            f"the checkpoint in {where} is of another network than its config.yaml: restore the folder"
        ) from None
