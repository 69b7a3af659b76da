"""A fitted generator as a run folder, and back.

    config.yaml, checkpoints/   the network's run, which the other commands open too (where a network was trained)
    table.safetensors           everything: the laws in closed form, the weights of the correction, the network
    table.json                  columns, labels, parameters, and the SHA-256 of the tensors

Law: a loaded generator draws the same rows and gives the same densities as the one that was saved; nothing is read by pickle.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError

from evenscore.checkpoint import Checkpoint, make_folder, save_checkpoint, write_atomic
from evenscore.errors import CheckpointError, RunError
from evenscore.objectives import Objective
from evenscore.objectives.naming import write_objective
from evenscore.reading import STATE, parse_json, read_bytes, read_text
from evenscore.run import Run
from evenscore.sklearn.fitting import FittedTable
from evenscore.vectors import FitSettings, Trained, make_objective

T = TypeVar("T")
LONGEST = 2**16
"""Bytes of a class, at most."""
TABLE, TENSORS = "table.json", "table.safetensors"


def save_fitted(estimator: Any, path: Path) -> None:
    """Write a fitted estimator.

    Raises:
        RunError: the folder is not empty.
        DataError: it cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path} exists and is not an empty folder: choose another, or remove it")
    make_folder(path)
    fitted: FittedTable = estimator.fitted_
    if fitted.model.trained is not None:
        _write_run(fitted.model.trained, path)
    state = fitted.__getstate__()
    write_atomic(path / TENSORS, state["tensors"])
    note = {
        "sha256": hashlib.sha256(state["tensors"]).hexdigest(),
        "plain": json.loads(state["plain"]),
        "code": json.loads(state["code"]),
        "counts": fitted.counts,
        "seed": estimator._seed,
        "classes": {"dtype": estimator.classes_.dtype.str, "values": estimator.classes_.tolist()},
        "names": getattr(estimator, "feature_names_in_", np.array([])).tolist(),
        "features": estimator.n_features_in_,
        "parameters": {key: _plain(value) for key, value in estimator.get_params().items()},
    }
    write_atomic(path / TABLE, json.dumps(note).encode())


def load_fitted(kind: type[T], path: Path) -> T:
    """A fitted estimator of the class ``kind``.

    Raises:
        RunError: the folder holds none.
        CheckpointError: it is damaged.
    """
    try:
        note = parse_json(read_text(path / TABLE, STATE))
        content = read_bytes(path / TENSORS)
    except OSError as error:
        raise RunError(f"{path} holds no saved generator ({error.strerror}): give a folder that save() wrote") from None
    except ValueError:
        raise CheckpointError(f"{path / TABLE} is damaged: save the generator again") from None
    if not isinstance(note, dict):
        raise CheckpointError(f"{path / TABLE} is damaged: save the generator again")
    if hashlib.sha256(content).hexdigest() != note.get("sha256"):
        raise CheckpointError(
            f"{path / TENSORS} is damaged (its bytes do not match the checksum): save the generator again"
        )
    try:
        return _restored(kind, note, content)
    except (KeyError, TypeError, ValueError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path / TABLE} cannot be understood ({error}): save the generator again") from None


def _restored(kind: type[T], note: dict[str, Any], content: bytes) -> T:
    made: Any = kind(**note["parameters"])
    objective = make_objective(note["parameters"]["objective"])
    how = FitSettings(objective=objective, guidance=note["parameters"]["guidance"], seed=note["seed"])
    fitted = object.__new__(FittedTable)
    fitted.__setstate__(
        {
            "tensors": content,
            "plain": json.dumps(note["plain"]),
            "code": json.dumps(note["code"]),
            "counts": tuple(note["counts"]),
            "how": how,
        }
    )
    made.fitted_, made._seed = fitted, note["seed"]
    values, dtype = note["classes"]["values"], np.dtype(note["classes"]["dtype"])
    if dtype.itemsize > LONGEST:
        raise ValueError(f"classes of {dtype.itemsize} bytes each")
    made.classes_ = np.array(values, dtype=dtype)
    made.n_features_in_ = note["features"]
    if note["names"]:
        made.feature_names_in_ = np.array(note["names"], dtype=object)
    return made  # type: ignore[no-any-return]


def _write_run(trained: Trained, path: Path) -> None:
    """The network's own run: a configuration, and one checkpoint of its averaged weights."""
    run = Run.create(path, trained.config, trained.card)
    tensors = {
        key: value.float() if value.is_floating_point() else value
        for key, value in trained.denoiser.state_dict().items()
    }
    both = {f"{part}.{key}": value.clone() for part in ("model", "ema") for key, value in tensors.items()}
    step = trained.config.steps or 0
    state = {"step": step, "seconds": 0.0, "best": 0.0, "drawn": 0}
    save_checkpoint(run.checkpoints, step, Checkpoint(both, state), pointers=("best",))


def _plain(value: Any) -> Any:
    """A parameter as JSON has it; a random generator is left out, since the model is fitted already."""
    if isinstance(value, Objective):
        return write_objective(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.integer | np.floating):
        return value.item()
    return value if isinstance(value, str | int | float | bool | dict) else None
