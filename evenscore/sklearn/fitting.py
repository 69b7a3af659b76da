"""A table and its classes, fitted: what all three estimators hold once they were fitted.

Law: :class:`FittedTable` is a function of the table, the labels, the settings and the seed; it draws rows of the type
that it was fitted on, and its state is plain values and safetensors bytes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from evenscore.sklearn.parameters import fit_settings, table_settings
from evenscore.sklearn.progress import Teller, threads
from evenscore.tables import Frame, TableCode
from evenscore.vectors import FitSettings, VectorModel, fit_vectors
from evenscore.vectors.store import pack, unpack

FEW = 5
"""Rows of a class up to which a warning says how it was handled."""


@dataclass(frozen=True)
class FittedTable:
    """A fitted table.

    Attributes:
        code: of its columns.
        model: of its encoded rows.
        counts: rows of each class.
        how: settings of the model.
    """

    code: TableCode
    model: VectorModel
    counts: tuple[int, ...]
    how: FitSettings

    def draw(self, numbers: NDArray[np.int64], seed: int) -> Any:
        """Rows of the classes ``numbers`` (n,), as a table of the fitted type."""
        z = self.model.draw(torch.from_numpy(numbers), seed, self.how)
        return self.code.decode(z.numpy())

    def log_densities(self, frame: Frame) -> NDArray[np.float64]:
        """Log-density (N, K) of the encoded rows under each class, in nats."""
        x = torch.from_numpy(self.code.encode(frame))
        each = [self.model.log_density(x, torch.full((len(x),), k)) for k in range(len(self.counts))]
        return np.asarray(torch.stack(each, 1).numpy())

    def log_density(self, frame: Frame, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-density (N,) of the encoded rows, each under its class, in nats."""
        x = torch.from_numpy(self.code.encode(frame))
        return np.asarray(self.model.log_density(x, torch.from_numpy(numbers)).numpy())

    def __getstate__(self) -> dict[str, Any]:
        """Plain values and safetensors bytes."""
        tensors, plain = pack(self.model)
        content = safetensors.torch.save({key: value.contiguous() for key, value in tensors.items()})
        return {
            "tensors": content,
            "plain": json.dumps(plain),
            "code": json.dumps(self.code.to_mapping()),
            "counts": self.counts,
            "how": self.how,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = unpack(safetensors.torch.load(state["tensors"]), json.loads(state["plain"]))
        code = TableCode.from_mapping(json.loads(state["code"]))
        for name, value in (("code", code), ("model", model), ("counts", state["counts"]), ("how", state["how"])):
            object.__setattr__(self, name, value)


def fit_table(
    estimator: Any,
    frame: Frame,
    numbers: NDArray[np.int64],
    classes: NDArray[Any],
    seed: int,
    wanted: Sequence[int] | None = None,
) -> FittedTable:
    """Fit a table with the parameters of an estimator.

    Args:
        estimator: has the parameters.
        frame: the table.
        numbers: (N,) class of each row.
        classes: (K,) labels.
        seed: of everything random.
        wanted: classes that will be drawn; None for all.

    Raises:
        ValueError: values or settings that cannot be used.
    """
    how = fit_settings(estimator, seed)
    code = TableCode.fit(frame, numbers, table_settings(estimator))
    vectors = code.encode(frame, seed)
    counts = tuple(np.bincount(numbers, minlength=len(classes)).tolist())
    warn_of_small([(classes.tolist()[k], counts[k]) for k in (range(len(classes)) if wanted is None else wanted)])
    names = [f"{k}: {label}" for k, label in enumerate(classes.tolist())]
    with threads(estimator.n_jobs):
        model = fit_vectors(vectors, numbers, names, how, wanted, Teller(estimator.verbose))
    return FittedTable(code, model, counts, how)


def warn_of_small(classes: Sequence[tuple[Any, int]]) -> None:
    """Say which classes are so small that they lean on the others."""
    small = [f"{label!r} ({count})" for label, count in classes if count <= FEW]
    if small:
        warnings.warn(
            f"classes of at most {FEW} rows take their spread from all classes, and little can be known of them: "
            f"{', '.join(small)}",
            UserWarning,
            stacklevel=3,
        )
