"""Figures of the game benchmarks, drawn from their values: one SVG file each (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenscore.errors import DataError

GROUPS = ("worst", "head", "tail")


def pyplot() -> Any:
    """matplotlib without a screen, with text kept as text.

    Raises:
        DataError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise DataError("figures need matplotlib, which is not installed: pip install 'evenscore[figures]'") from None
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "evenscore", "font.size": 9})
    import matplotlib.pyplot as plt

    return plt


def save(plt: Any, figure: Any, path: Path) -> None:
    """Write one figure, the same bytes for the same values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def draw(values: Mapping[str, Any], folder: Path) -> None:
    """One figure for each case of ``nash-paper``: paired differences from the game without coupling."""
    plt = pyplot()
    for name, case in values.items():
        if not isinstance(case, Mapping):
            continue
        methods = list(case["methods"])
        figure, axes = plt.subplots(1, 3, figsize=(10, 0.32 * len(methods) + 1), sharey=True)
        for axis, group in zip(axes, GROUPS, strict=True):
            for row, method in enumerate(methods):
                low, mean, high = case["methods"][method]["against beta 0"][group]
                axis.plot([low, high], [row, row], color="0.5")
                axis.plot([mean], [row], "o", color="C0" if mean <= 0 else "C3")
                axis.plot([case["methods"][method]["median difference"][group]], [row], "|", color="k", markersize=10)
            axis.axvline(0, color="0.8")
            axis.set_title(f"{group} class" if group == "worst" else f"{group} classes")
        axes[0].set_yticks(range(len(methods)), methods)
        axes[0].invert_yaxis()
        axes[1].set_xlabel("divergence minus that of beta 0, nats")
        figure.suptitle(f"{name}: means and 95 % intervals over {case['seeds']} seeds; bars: medians")
        save(plt, figure, folder / f"game-{name.replace(' ', '-')}.svg")


def draw_rate(values: Mapping[str, Any], folder: Path) -> None:
    """The figures of ``nash-rate``: gap against iterations, and the stability map."""
    plt = pyplot()
    figure, axes = plt.subplots(1, len(values["curves"]), figsize=(11, 3.4), sharey=True)
    for axis, (beta, curves) in zip(axes, values["curves"].items(), strict=True):
        for rule, curve in curves.items():
            axis.loglog([max(s, 0.7) for s in curve["steps"]], curve["relative gaps"], label=rule)
        axis.set_title(f"beta {beta}")
        axis.set_xlabel("iterations")
    axes[0].set_ylabel("gap / first gap")
    axes[0].legend(fontsize=7)
    save(plt, figure, folder / "game-rate.svg")
    figure, axis = plt.subplots(figsize=(6, 3.6))
    shown = values["stability map"]
    image = axis.imshow(shown["radius"], origin="lower", aspect="auto", cmap="coolwarm", vmin=0, vmax=2)
    axis.set_xticks(range(len(shown["distance"])), [f"{d:g}" for d in shown["distance"]])
    axis.set_yticks(range(len(shown["beta"])), [f"{b:g}" for b in shown["beta"]])
    axis.set_xlabel("distance of the two classes, standard deviations")
    axis.set_ylabel("beta")
    figure.colorbar(image, label="radius; above 1 best responses diverge")
    save(plt, figure, folder / "game-stability.svg")
