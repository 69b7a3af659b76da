"""What the page is told of a run's log."""

from __future__ import annotations

from pathlib import Path

from evenscore.run import Run
from evenscore.training.curves import game_curves, loss_curves


def test_the_game_of_a_run(trained: Path, tmp_path: Path) -> None:
    run = Run.open(trained)
    assert game_curves(run) == {}
    losses = loss_curves(run)
    assert [step for step, _ in losses["head"]] == [record["step"] for record in run.records() if "by_group" in record]
    assert [value for _, value in losses["head"]] == [r["by_group"]["head"] for r in run.records() if "by_group" in r]
    own = Run(tmp_path, run.config, run.card)
    for step in (2, 4):
        game = {"disagreement": 0.1 * step, "gradient_proxy": 1 / step, "last_layer_gap": 0.5, "more": {"0": 1}}
        own.log({"step": step, "probe": 1.0, "game": game})
    own.log({"step": 5, "probe": 1.0})
    assert game_curves(own) == {
        "disagreement": [(2, 0.2), (4, 0.4)],
        "gap proxy": [(2, 0.5), (4, 0.25)],
        "last-layer gap": [(2, 0.5), (4, 0.5)],
    }
