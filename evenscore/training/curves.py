"""Curves of a run, read from its log: loss by group, and the classes' game, against the step."""

from __future__ import annotations

from evenscore.run import Run

Curves = dict[str, list[tuple[float, float]]]
"""Name of a line -> (step, value) pairs."""
GAME = {"disagreement": "disagreement", "gap proxy": "gradient_proxy", "last-layer gap": "last_layer_gap"}
"""What is shown of the classes' game, by the name for readers."""


def loss_curves(run: Run) -> Curves:
    """Mean training loss of each group at each report."""
    curves: Curves = {}
    for record in run.records():
        for group, loss in record.get("by_group", {}).items():
            curves.setdefault(group, []).append((record["step"], loss))
    return curves


def game_curves(run: Run) -> Curves:
    """What was logged of the classes' game at each checkpoint; empty where there was none."""
    found = [(record["step"], record["game"]) for record in run.records() if "game" in record]
    return {name: [(step, game[key]) for step, game in found] for name, key in GAME.items()} if found else {}
