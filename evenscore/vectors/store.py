"""A model of vectors as named tensors and plain values, and back; nothing is read by pickle.

Law: ``unpack(*pack(model))`` draws the same vectors and gives the same densities as ``model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from evenscore import records
from evenscore.configuration import TrainConfig
from evenscore.denoisers.class_mixtures import ClassMixtures
from evenscore.process import PROCESSES
from evenscore.run import DataCard, Run
from evenscore.vectors.margins import Margins
from evenscore.vectors.model import Trained, VectorModel

PROCESS = "vp"
MARGINS = ("before", "after", "used")


def pack(model: VectorModel) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and plain values."""
    tensors = {f"base.{key}": value for key, value in model.base.state_dict().items()}
    tensors["weights"] = model.weights
    if model.margins is not None:
        tensors |= {f"margins.{key}": getattr(model.margins, key) for key in MARGINS}
    plain: dict[str, Any] = {"classes": model.base.num_classes, "run": None}
    if model.trained is not None:
        tensors |= {f"network.{key}": value for key, value in model.trained.denoiser.state_dict().items()}
        plain["run"] = {"train": model.trained.config.to_mapping(), "data": records.write(model.trained.card)}
    return tensors, plain


def unpack(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> VectorModel:
    """The model that :func:`pack` took apart."""
    margins = Margins(*(tensors[f"margins.{key}"] for key in MARGINS)) if "margins.used" in tensors else None
    return VectorModel(_base(tensors, plain["classes"]), tensors["weights"], _trained(tensors, plain["run"]), margins)


def _base(tensors: Mapping[str, Tensor], classes: int) -> ClassMixtures:
    mine = {key.removeprefix("base."): value for key, value in tensors.items() if key.startswith("base.")}
    return ClassMixtures.restored(PROCESSES[PROCESS](), classes, mine)


def _trained(tensors: Mapping[str, Tensor], run: Mapping[str, Any] | None) -> Trained | None:
    if run is None:
        return None
    config, card = TrainConfig.from_mapping(run["train"]), records.read(DataCard, run["data"])
    denoiser = Run(Path(), config, card).network().double()
    denoiser.load_state_dict(
        {key.removeprefix("network."): value for key, value in tensors.items() if key.startswith("network.")}
    )
    return Trained(denoiser.eval().requires_grad_(False), config, card)
