"""What the folder of a one-step generator says beside what every run says: whose law it learned, and how.

Law: with the configuration of the run that it was distilled from, the record rebuilds the generator. It knows no score, and
whoever asks the run for one is told so in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.one_step import OneStep
from evenscore.errors import RunError

SETTING = str | int | float | None
"""What the value of a setting may be."""
FARTHEST = 50.0
"""Largest log SNR, and with a minus sign the smallest, at which a network can be asked."""


@dataclass(frozen=True)
class Distilled:
    """How a one-step generator was made.

    Attributes:
        teacher: the run whose law it learned, as it was named.
        weights: SHA-256 of that run's averaged weights.
        log_snr: log SNR of the level at which the network is asked.
        settings: the fields of :class:`~evenscore.distill.DistillConfig`, as plain values.

    Raises:
        UsageError: a value that cannot be one.
    """

    teacher: str
    weights: str
    log_snr: float
    settings: Mapping[str, SETTING] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        records.check("weights", self.weights, bool(re.fullmatch(r"[0-9a-f]{64}", self.weights)), "a SHA-256")
        expected = f"from {-FARTHEST:g} to {FARTHEST:g}"
        records.check("log_snr", self.log_snr, abs(self.log_snr) <= FARTHEST, expected)
        for key, value in self.settings.items():
            records.check(str(key), value, isinstance(key, str) and isinstance(value, SETTING), "a plain value")

    def to_mapping(self) -> dict[str, Any]:
        """Plain values."""
        return {**records.write(self), "settings": dict(self.settings)}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Distilled:
        """Read what :meth:`to_mapping` gave.

        Raises:
            UsageError: a key or value that is none.
            ValueError, TypeError: it is no mapping.
        """
        rest = dict(given)
        plain = records.read(_Plain, {key: value for key, value in rest.items() if key != "settings"})
        return cls(plain.teacher, plain.weights, plain.log_snr, dict(rest.get("settings", {})))

    def generator(self, network: Denoiser) -> OneStep:
        """The generator that a network with its weights is, in evaluation mode."""
        model = OneStep(network, self.log_snr)
        return model.eval()

    def refusal(self, path: Path) -> RunError:
        """The error for a command that needs a score."""
        return RunError(
            f"{path} is a one-step generator, which knows no score and is trained by `evenscore distill` only: give the run "
            f"that it was distilled from ({self.teacher})"
        )


@dataclass(frozen=True)
class _Plain:
    """The fields that every record has."""

    teacher: str
    weights: str
    log_snr: float
