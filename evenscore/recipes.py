"""Published settings as complete configurations: ``evenscore train DATA --recipe NAME``.

Each is what a paper, or its released code, says of long-tailed CIFAR-10 or CIFAR-100; what they leave out is listed in
``left_out`` and taken from the network that these papers share (:data:`COMMON`), or from the objective's own defaults.

Law: a recipe gives every setting of training but those of the machine; a setting given beside it goes before it. Two
differences remain for all: time is continuous where the papers have 1000 steps, and labels are dropped row by row where
released codes drop those of a whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evenscore.errors import unknown

COMMON: Mapping[str, Any] = {
    "network": "base",
    "process": "vp",
    "noise": "uniform",
    "policy": "as-found",
    "augmentation": "flip",
    "label_dropout": 0.1,
    "batch_size": 64,
    "lr": 2e-4,
    "weight_decay": 0.0,
    "warmup": 5000,
    "cooldown": 0.0,
    "clip": 1.0,
    "ema": 0.9999,
    "dropout": 0.1,
    "precision": "float32",
    "steps": 300_000,
    "checkpoint_every": 5000,
}
"""The U-Net of DDPM for 32 x 32 pixels and how class-balancing diffusion trains it, with plain denoising too."""
SHARED_LEFT_OUT = "network, optimiser, averaging and flips (as in class-balancing diffusion)"


@dataclass(frozen=True)
class Recipe:
    """A published way to train.

    Attributes:
        about: what it is, in a few words.
        objective: name and settings of the objective.
        changes: settings that differ from :data:`COMMON`.
        guidance: scale at which it was judged, in the convention of ``--guidance`` (omega + 1); None where not published.
        sampler: further options of ``evenscore sample`` with which it was judged.
        left_out: what was not published and is chosen here, in words.
    """

    about: str
    objective: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    guidance: float | None = None
    sampler: str = "--solver ancestral --nfe 1000"
    left_out: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Keys and values of the configuration, as from a file; a copy."""
        return {**COMMON, **self.changes, "objective": {**self.objective, "weighting": "simple"}}

    def sentences(self, name: str, run: str) -> tuple[str, ...]:
        """What a person should know before training: what it is, what is chosen here, how it was sampled."""
        guidance = "" if self.guidance is None else f" --guidance {self.guidance:g}"
        chosen = f"; not published, chosen here: {', '.join(self.left_out)}" if self.left_out else ""
        judged = f"it was judged with: evenscore sample {run} --out samples {self.sampler}{guidance}"
        return (f"recipe {name}: {self.about}{chosen}", judged)


ENUMERATED = {"name": "mutual", "coupling": "uniform-enumerated", "time_weight": "reference", "rows": 1.0}
MUTUAL = {"policy": "uniform", "batch_size": 40, "lr": 1e-4, "steps": 60_000}
DDPM, CBDM = {"name": "denoising"}, {"name": "cbdm", "tau": 1.0, "gamma": 0.25, "law": "from-scratch"}
T2H = {"name": "oriented-calibration", "gate": "t2h"}
CORAL = {"name": "coral", "strength": 0.5, "tau_r": 0.3, "temperature": 0.1, "width": 128, "average": "batch"}
CAPACITY = {
    "name": "oriented-calibration+capacity-manipulation",
    "oriented-calibration": {"gate": "t2h"},
    "capacity-manipulation": {"strength": 1.0, "w_con": 1.0, "w_div": 0.2, "ratio": 0.1, "scale": 0.5, "where": "up"},
}
CCUA, DIFFROP = {"name": "ccua", "gamma": 1.0, "alpha": 1.0}, {"name": "diffrop"}
ELSEWHERE = "all settings for this data (those of CIFAR-100-LT)"


def _both(method: str, recipe: Mapping[str, Any], words: str) -> dict[str, Recipe]:
    """The same settings for both data sets."""
    named = {"cifar10lt": "CIFAR-10-LT", "cifar100lt": "CIFAR-100-LT"}
    return {f"{method}-{key}": Recipe(f"{words} on {data}", **recipe) for key, data in named.items()}


RECIPES: Mapping[str, Recipe] = {
    "ddpm-cifar10lt": Recipe(
        "plain denoising on CIFAR-10-LT (Qin et al. 2023, baseline)", DDPM, guidance=1.8, left_out=(ELSEWHERE,)
    ),
    "ddpm-cifar100lt": Recipe(
        "plain denoising on CIFAR-100-LT (Qin et al. 2023, baseline), judged at step 200,000", DDPM, guidance=1.8
    ),
    "cbdm-cifar10lt": Recipe(
        "class-balancing diffusion on CIFAR-10-LT (Qin et al. 2023)",
        CBDM,
        {"batch_size": 48},
        guidance=2.6,
        left_out=(ELSEWHERE,),
    ),
    "cbdm-cifar100lt": Recipe(
        "class-balancing diffusion on CIFAR-100-LT (Qin et al. 2023)", CBDM, {"batch_size": 48}, guidance=2.6
    ),
    **_both(
        "t2h",
        {
            "objective": T2H,
            "changes": {"batch_size": 128, "steps": 200_000},
            "guidance": 2.5,
            "left_out": (SHARED_LEFT_OUT,),
        },
        "oriented calibration from tail to head (ICLR 2024)",
    ),
    **_both(
        "coral",
        {
            "objective": CORAL,
            "changes": {"batch_size": 128, "steps": 150_000},
            "left_out": (SHARED_LEFT_OUT, "guidance", "a batch law that gives small classes positives (as found)"),
        },
        "contrast of latents (CORAL, NeurIPS 2025; steps and batch at second hand)",
    ),
    **_both(
        "cm",
        {
            "objective": CAPACITY,
            "guidance": 2.5,
            "sampler": "--solver ddim --nfe 50",
            "left_out": (SHARED_LEFT_OUT, "the margin of the reserve"),
        },
        "capacity manipulation with oriented calibration (ICLR 2026; at second hand)",
    ),
    **_both(
        "ccua",
        {
            "objective": CCUA,
            "left_out": (SHARED_LEFT_OUT, "steps, batch and guidance", "which side is stopped", "the temperature"),
        },
        "alignment to no label and repulsion of latents (CCUA, arXiv 2507.09052)",
    ),
    **_both(
        "diffrop",
        {
            "objective": DIFFROP,
            "left_out": (SHARED_LEFT_OUT, "steps, batch and guidance", "strength, margin and pairs: derived here"),
        },
        "parted classes after DiffROP (arXiv 2402.10821), not a reproduction",
    ),
    "mutual-cifar10lt-paper": Recipe(
        "mutual learning on CIFAR-10-LT as the paper states it (Das et al. 2025, best row: beta 0.1, which was not compared "
        "with beta 0 at this rate: add --set strength=0 for that)",
        {**ENUMERATED, "strength": 0.1},
        MUTUAL,
        guidance=2.6,
        left_out=(SHARED_LEFT_OUT, "batch", "how the pull depends on time (t/T, as released)"),
    ),
    "mutual-cifar10lt-released": Recipe(
        "mutual learning on CIFAR-10-LT as the released code computes it (beta 1 whatever is asked, mean over the 9 other "
        "classes); its steps take the classes one after the other, 4 images each, here all 40 at once",
        {**ENUMERATED, "strength": 10 / 9},
        MUTUAL,
        guidance=2.6,
    ),
}
"""By name."""


def recipe(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
