"""The papers behind what a run used, as BibTeX: ``evenscore cite RUN``.

What is cited follows from the configuration: the objective and its parts, the noise process and law, the weighting, the
network, dropped labels, finished heads and one-step generators. Of evenscore itself: the file ``CITATION.cff``.

Law: whatever a configuration can name is here, or is ours and has no paper; every key has an entry in ``citations.bib``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from evenscore.configuration import TrainConfig
from evenscore.objectives.naming import objective_name, write_objective


class Citation(NamedTuple):
    """A paper, and what of the run it stands for.

    Attributes:
        reason: what was used.
        key: of the BibTeX entry.
    """

    reason: str
    key: str

    @property
    def bibtex(self) -> str:
        """The entry."""
        return entries()[self.key]


ENTRIES = "citations.bib"
"""File beside this one: entries with a line for each field, an empty line between two."""
OURS: tuple[str, ...] = ()
OBJECTIVES: Mapping[str, tuple[str, ...]] = {
    "denoising": ("ho2020denoising",),
    "reweighting": ("cui2019class",),
    "cbdm": ("qin2023class",),
    "mutual": ("das2025principled",),
    "alignment": OURS,
    "worst-class": ("sagawa2020distributionally",),
    "oriented-calibration": ("zhang2024long",),
    "class-noise": OURS,
    "diffrop": ("yan2024training",),
    "ccua": ("chen2025contrastive",),
    "coral": ("rodriguez2025coral", "khosla2020supervised"),
    "capacity-manipulation": ("hong2026improving",),
}
PROCESSES: Mapping[str, tuple[str, ...]] = {
    "vp": ("song2021score",),
    "vp-cosine": ("nichol2021improved",),
    "sub-vp": ("song2021score",),
    "ve": ("song2021score",),
    "ve-power": ("song2021score",),
    "ou": ("das2025principled",),
    "rectified-flow": ("liu2023flow", "lipman2023flow"),
}
NOISE: Mapping[str, tuple[str, ...]] = {
    "lognormal": ("karras2022elucidating",),
    "uniform": OURS,
    "log-snr": ("song2021maximum",),
    "ncsn": ("song2019generative",),
}
WEIGHTING: Mapping[str, tuple[str, ...]] = {
    "simple": ("ho2020denoising",),
    "edm": ("karras2022elucidating",),
    "min-snr": ("hang2023efficient",),
    "likelihood": ("song2021maximum",),
}


@cache
def entries() -> dict[str, str]:
    """Every BibTeX entry, by its key."""
    text = files("evenscore").joinpath(ENTRIES).read_text(encoding="utf-8")
    return {block.partition("{")[2].partition(",")[0]: block for block in text.strip().split("\n\n")}


def citations(config: TrainConfig, one_step: bool = False, finished: bool = False) -> list[Citation]:
    """What a run with this configuration rests on, each paper once, with all reasons that name it.

    Args:
        config: of the run.
        one_step: whether it is a one-step generator.
        finished: whether its last layers were fitted as an equilibrium.
    """
    reasons: dict[str, list[str]] = {}
    for reason, keys in _used(config, one_step, finished):
        for key in keys:
            reasons.setdefault(key, []).append(reason)
    return [Citation(", ".join(dict.fromkeys(found)), key) for key, found in reasons.items()]


def _used(config: TrainConfig, one_step: bool, finished: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in objective_name(config.objective).split("+"):
        yield f"objective {name}", OBJECTIVES.get(name, OURS)
    yield f"weighting {_weighting(config)}", WEIGHTING.get(_weighting(config), OURS)
    yield f"process {config.process}", PROCESSES[config.process]
    yield f"noise law {config.noise}", NOISE[config.noise]
    yield "preconditioned network", ("karras2022elucidating",)
    yield "network after that of DDPM", ("ho2020denoising",)
    if config.label_dropout > 0:
        yield "labels dropped for classifier-free guidance", ("ho2022classifier",)
    if config.players != "shared" or finished:
        yield "classes as players", ("das2025principled",)
    if one_step:
        yield "one-step generator", ("luo2023entropy",)
    else:
        yield "default solver of evenscore sample", ("lu2022dpmpp",)


def _weighting(config: TrainConfig) -> Any:
    """The weighting of the denoising loss; parts of a composed objective share it."""
    written = write_objective(config.objective)
    inside = [part for part in written.values() if isinstance(part, Mapping)]
    return next((part["weighting"] for part in [written, *inside] if "weighting" in part), None)
