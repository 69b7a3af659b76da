"""evenscore: class-conditional score networks that are as good on the rarest class as on the most common one.

Names are imported on first use, so that ``import evenscore`` and ``evenscore --help`` cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenscore.balancing import BalanceConfig, balance
    from evenscore.checks import check_objective
    from evenscore.comparison import ComparisonConfig, compare
    from evenscore.configuration import TrainConfig
    from evenscore.data import Dataset, load
    from evenscore.errors import EvenscoreError
    from evenscore.inspection import inspect
    from evenscore.labels import LabelDistribution
    from evenscore.likelihood import Likelihood, decode, encode, interpolate, log_prob
    from evenscore.run import Run
    from evenscore.sampling.generate import Sampler, generate
    from evenscore.training import train

__version__ = "0.1.0"

_HOME = {
    "BalanceConfig": "evenscore.balancing",
    "ComparisonConfig": "evenscore.comparison",
    "Dataset": "evenscore.data",
    "EvenscoreError": "evenscore.errors",
    "LabelDistribution": "evenscore.labels",
    "Likelihood": "evenscore.likelihood",
    "Run": "evenscore.run",
    "Sampler": "evenscore.sampling",
    "TrainConfig": "evenscore.configuration",
    "balance": "evenscore.balancing",
    "check_objective": "evenscore.checks",
    "compare": "evenscore.comparison",
    "decode": "evenscore.likelihood",
    "encode": "evenscore.likelihood",
    "generate": "evenscore.sampling",
    "inspect": "evenscore.inspection",
    "interpolate": "evenscore.likelihood",
    "load": "evenscore.data",
    "log_prob": "evenscore.likelihood",
    "train": "evenscore.training",
}

__all__ = [
    "BalanceConfig",
    "ComparisonConfig",
    "Dataset",
    "EvenscoreError",
    "LabelDistribution",
    "Likelihood",
    "Run",
    "Sampler",
    "TrainConfig",
    "__version__",
    "balance",
    "check_objective",
    "compare",
    "decode",
    "encode",
    "generate",
    "inspect",
    "interpolate",
    "load",
    "log_prob",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evenscore' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
