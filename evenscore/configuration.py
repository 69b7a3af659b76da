"""The configuration of a training run: one typed, complete, strict record.

Law: what a run folder stores is the whole record, with every ``auto`` resolved; reading it back gives an equal record,
and a misspelt key is an error that names the nearest key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.data.augment import AUGMENTATIONS
from evenscore.data.loader import POLICIES
from evenscore.errors import DataError, RunError, UsageError
from evenscore.networks import MEMORY_FORMATS, NETWORKS, PLAYERS
from evenscore.objectives import Denoising, Objective
from evenscore.objectives.levels import NOISE_LAWS
from evenscore.objectives.naming import objective_name, read_objective, write_objective
from evenscore.process import PROCESSES
from evenscore.reading import parse_yaml, read_text

PRECISIONS = ("auto", "float32", "bfloat16")
__all__ = ["PRECISIONS", "TrainConfig", "objective_name", "parse_settings", "read_config_file"]
BUDGET = ("steps", "minutes", "previews")
"""How long a run is, and how often it is looked at."""
CHANGEABLE = (*BUDGET, "shard")
"""Settings that may change when a run goes on."""
COUNT = ("rank", "batch_size", "accumulate", "checkpoint_every")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a training run computes.

    Attributes:
        objective: how the denoiser learns, with its own settings.
        network: size of the backbone: ``tiny``, ``small``, ``medium``, ``base``, ``large``, or ``auto`` (by the image size).
        players: how much of the network is one label's alone: ``shared`` (nothing), ``trunk`` (a low-rank correction of
            the last layer), or ``separate`` (a network for each label, the null label included).
        rank: rank of the correction under ``trunk``.
        process: noise process: a name in ``evenscore list processes``, such as ``vp``, ``sub-vp``, ``ve``.
        noise: law of the noise levels of a batch: ``lognormal``, ``uniform``, ``log-snr`` or ``ncsn``.
        policy: how the loader draws: ``as-found``, ``uniform`` over classes, ``sqrt``, or ``capped``.
        augmentation: ``none``, ``flip``, ``crop-shift`` or ``flip+crop-shift``; the network is told, so it does not leak.
        label_dropout: probability with which a sample is shown without its label (needed for guidance).
        batch_size: samples per forward pass.
        accumulate: forward passes per optimiser step.
        lr: learning rate of AdamW after the warm-up.
        weight_decay: decay of AdamW.
        warmup: optimiser steps of linear warm-up.
        cooldown: last share of the budget, in which the rate falls linearly to a hundredth.
        clip: largest gradient norm.
        ema: decay per step of the averaged weights (lower in the first steps).
        dropout: dropout rate inside the network; none for the size's own.
        precision: ``float32``, ``bfloat16`` (autocast) or ``auto`` (bfloat16 where a step gains at least 15 % by it here).
        memory_format: how images lie inside the network: ``channels_last``, ``contiguous``, or ``auto`` (whichever is
            quicker here, measured together with the precision).
        checkpoint_activations: whether most activations are computed again in the backward pass instead of kept: less memory,
            more time, the same gradients.
        compile: whether the network is compiled by torch before the first step, which takes a C++ compiler and, on a
            processor, a minute or more.
        shard: whether several processes divide parameters, gradients, averages and the optimiser's moments among them: less
            memory for each, more to exchange, the same training.
        steps: optimiser steps; none when the budget is in minutes.
        minutes: minutes of training; none when the budget is in steps.
        checkpoint_every: steps between checkpoints under a budget in steps; at least one a minute is written anyway.
        previews: preview grids drawn over the whole run.
        seed: seed of everything random.

    Raises:
        UsageError: a value outside its range, an unknown name, or not exactly one budget.
    """

    objective: Objective = field(default_factory=Denoising)
    network: str = "auto"
    players: str = "shared"
    rank: int = 4
    process: str = "vp"
    noise: str = "lognormal"
    policy: str = "capped"
    augmentation: str = "none"
    label_dropout: float = 0.1
    batch_size: int = 64
    accumulate: int = 1
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 100
    cooldown: float = 0.4
    clip: float = 1.0
    ema: float = 0.999
    dropout: float | None = None
    precision: str = "auto"
    memory_format: str = "auto"
    checkpoint_activations: bool = False
    compile: bool = False
    shard: bool = False
    steps: int | None = None
    minutes: float | None = None
    checkpoint_every: int = 500
    previews: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        records.check_name("network", self.network, ("auto", *NETWORKS))
        records.check_name("form of players", self.players, PLAYERS)
        records.check_name("process", self.process, PROCESSES)
        records.check_name("noise law", self.noise, NOISE_LAWS)
        if getattr(self.objective, "weighting", None) == "likelihood":
            records.check(
                "noise",
                self.noise,
                self.noise == "uniform",
                "uniform with weighting=likelihood (or give noise=log-snr with weighting=simple, which is less noisy)",
            )
        for what in ("latents", "reserve"):
            if self.objective.needs(what):
                expected = f"shared or trunk with objective {objective_name(self.objective)}, which needs one network"
                records.check("players", self.players, self.players != "separate", expected)
        if self.objective.needs("null"):
            expected = (
                f"above 0 with objective {objective_name(self.objective)}, which uses predictions without a label"
            )
            records.check("label_dropout", self.label_dropout, self.label_dropout > 0, expected)
        records.check_name("policy", self.policy, POLICIES)
        records.check_name("augmentation", self.augmentation, AUGMENTATIONS)
        records.check_name("precision", self.precision, PRECISIONS)
        records.check_name("memory format", self.memory_format, ("auto", *MEMORY_FORMATS))
        for key in COUNT:
            records.check(key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        for key in ("label_dropout", "cooldown", "ema"):
            records.check(key, getattr(self, key), 0 <= getattr(self, key) <= 1, "between 0 and 1")
        for key in ("lr", "clip"):
            records.check(key, getattr(self, key), getattr(self, key) > 0, "above 0")
        for key in ("weight_decay", "warmup", "previews"):
            records.check(key, getattr(self, key), getattr(self, key) >= 0, "at least 0")
        if self.dropout is not None:
            records.check("dropout", self.dropout, 0 <= self.dropout < 1, "from 0 to below 1")
        self._check_shard()
        self._check_budget()

    def _check_shard(self) -> None:
        if self.shard:
            records.check("players", self.players, self.players != "separate", "shared or trunk with shard=on")
            records.check("compile", self.compile, not self.compile, "off with shard=on")

    def _check_budget(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            given = "both steps and minutes" if self.steps is not None else "neither steps nor minutes"
            raise UsageError(f"{given} given: set exactly one of steps=N and minutes=M")
        budget = self.steps if self.steps is not None else self.minutes
        records.check("steps" if self.steps is not None else "minutes", budget, (budget or 0) > 0, "above 0")

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, the objective as a mapping with its ``name``."""
        plain = {key: value for key, value in vars(self).items() if key != "objective"}
        return {"objective": write_objective(self.objective), **plain}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> TrainConfig:
        """Read a configuration; the keys of the objective may stand under ``objective`` or beside the others.

        Raises:
            UsageError: an unknown key, objective or value.
        """
        own = records.fields_of(cls)
        beside = {str(key): value for key, value in given.items() if key not in own}
        objective = read_objective(given.get("objective", {}), beside, own)
        return records.read(cls, {key: given[key] for key in own if key in given} | {"objective": objective})


def require_same(path: Path, mine: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to go on in a run folder under other settings than its own, but for :data:`CHANGEABLE`.

    Raises:
        RunError: one differs, and is not left to ``auto``.
    """
    for key in mine:
        if key not in CHANGEABLE and asked[key] not in (mine[key], "auto"):
            raise RunError(
                f"{path} was started with {key}={mine[key]}, now {key}={asked[key]} was asked: "
                "give the same settings to resume, or another --out"
            )


def read_config_file(path: Path) -> dict[str, Any]:
    """Keys and values of a YAML (or JSON) configuration file.

    Raises:
        DataError: the file is missing, unreadable, or not a mapping.
    """
    try:
        given = parse_yaml(read_text(path))
    except OSError as error:
        raise DataError(f"configuration {path} cannot be read ({error.strerror}): give an existing file") from None
    except ValueError as error:
        raise DataError(f"configuration {path} is not valid YAML ({error}): write it as `key: value` lines") from None
    if not isinstance(given, dict):
        raise DataError(f"configuration {path} holds no keys: write it as `key: value` lines")
    return given


def parse_settings(settings: list[str]) -> dict[str, str]:
    """``["lr=3e-4", ...]`` as a mapping.

    Raises:
        UsageError: an entry without ``=``, or a key that stands twice.
    """
    out: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key or key in out:
            reason = "stands twice" if key in out else "has no key=value form"
            raise UsageError(f"--set {setting!r} {reason}: write for example --set lr=3e-4, each key once")
        out[key] = value.strip()
    return out
