"""A training that diverges goes back to its last checkpoint, with half the rate, a few times; interrupted, it ends the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from evenscore.checkpoint import load_checkpoint, pointed
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import Diverged, EvenscoreError
from evenscore.run import Run
from evenscore.training import Progress, train
from evenscore.training.loop import Trainer
from evenscore.training.rescue import rate_factor, require_sound
from tests.small import small

Quick = Callable[..., TrainConfig]


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, int]], None]:
    """``fragile({3: 1})``: after 3 steps gradients are NaN until the run was rescued once."""
    whole = Trainer._accumulate

    def make(places: dict[int, int]) -> None:
        def spoil(self: Trainer, draw: int) -> None:
            whole(self, draw)
            if self.rescues < places.get(self.step, 0):
                next(p for p in self.model.parameters() if p.grad is not None).grad.fill_(float("nan"))  # type: ignore[union-attr]

        monkeypatch.setattr(Trainer, "_accumulate", spoil)

    return make


def parts(data: Dataset, path: Path, config: TrainConfig, steps: int) -> list[Progress]:
    """Train that many events more, as a process that is then killed."""
    training, seen = train(data, path, config), []
    for _ in range(steps):
        seen.append(next(training))
    training.close()
    return seen


def log(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in Run.open(path).records()]


def assert_same(one: Path, other: Path) -> None:
    a, b = (load_checkpoint(path / "checkpoints") for path in (one, other))
    assert a.tensors.keys() == b.tensors.keys()
    assert [key for key in a.tensors if not torch.equal(a.tensors[key], b.tensors[key])] == []
    assert a.state["rescues"] == b.state["rescues"]
    assert log(one) == log(other)


def test_a_run_is_rolled_back_with_half_the_rate_and_says_so(
    tmp_path: Path, digits: Dataset, quick: Quick, fragile: Callable[[dict[int, int]], None]
) -> None:
    fragile({3: 1})
    seen = list(train(digits, tmp_path / "run", quick(steps=6, warmup=0, cooldown=0)))
    assert [(p.step, p.event) for p in seen] == [
        (1, "step"),
        (2, "saved"),
        (3, "step"),
        (2, "rolled back"),
        (3, "step"),
        (4, "saved"),
        (5, "step"),
        (6, "saved"),
        (6, "done"),
    ]
    words = "the gradient became nan at step 4: back to step 2, with 0.5 times the learning rate (rescue 1 of 3)"
    assert [p.text for p in seen if p.text] == [words]
    assert [p.lr for p in seen if p.event in ("step", "saved")] == [1e-3] * 3 + [5e-4] * 4
    (record,) = [record for record in log(tmp_path / "run") if "rescues" in record]
    assert record == {"step": 2, "rescues": 1, "rate": 0.5, "failed": 4, "text": words}
    assert load_checkpoint(tmp_path / "run" / "checkpoints").state["rescues"] == 1
    steps = [record["step"] for record in log(tmp_path / "run") if "loss" in record]
    assert steps == [1, 2, 3, 4, 5, 6], "what was rolled back is forgotten"


def test_before_the_first_checkpoint_it_begins_anew(
    tmp_path: Path, digits: Dataset, quick: Quick, fragile: Callable[[dict[int, int]], None]
) -> None:
    config = quick(steps=4)
    list(train(digits, tmp_path / "gentle", dataclasses.replace(config, lr=config.lr / 4)))
    fragile({1: 2})
    seen = list(train(digits, tmp_path / "run", config))
    assert [p.step for p in seen if p.event == "rolled back"] == [0, 0]
    one, other = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("gentle", "run"))
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
    assert [record["rescues"] for record in log(tmp_path / "run") if "rescues" in record] == [1, 2]


@pytest.mark.parametrize("cuts", [(1,), (3,), (4,), (5, 2), (2, 3, 1)])
def test_interrupted_it_ends_as_the_uninterrupted_one(
    tmp_path: Path, digits: Dataset, quick: Quick, fragile: Callable[[dict[int, int]], None], cuts: tuple[int, ...]
) -> None:
    fragile({3: 2, 5: 3})
    config = quick(steps=6)
    list(train(digits, tmp_path / "whole", config))
    for cut in cuts:
        parts(digits, tmp_path / "parts", config, cut)
    assert list(train(digits, tmp_path / "parts", config))[-1].event == "done"
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_after_three_rescues_it_stops_with_the_last_good_checkpoint(
    tmp_path: Path, digits: Dataset, quick: Quick, fragile: Callable[[dict[int, int]], None]
) -> None:
    fragile({3: 9})
    for _ in range(2):
        with pytest.raises(
            EvenscoreError,
            match="the gradient became nan at step 4, and the learning rate was halved 3 times already: the last "
            r"checkpoint in .*run is intact, start a new run with a smaller --set lr",
        ) as caught:
            list(train(digits, tmp_path / "run", quick(steps=6)))
        assert caught.value.exit_code == 1
        assert [record["rescues"] for record in log(tmp_path / "run") if "rescues" in record] == [1, 2, 3]
        assert pointed(tmp_path / "run" / "checkpoints", "last") == "step-000000002"
    assert Run.open(tmp_path / "run").denoiser().shape == (1, 8, 8)


def test_weights_that_explode_are_never_kept(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    config = quick(steps=8, lr=1e12, clip=1e30, warmup=0, ema=0.0)
    with pytest.raises(EvenscoreError, match="became .* at step .*, and the learning rate was halved 3 times already"):
        list(train(digits, tmp_path / "run", config))


def test_a_probe_that_is_no_number_or_far_above_the_best_is_unsound() -> None:
    require_sound(0.9, float("inf"), 1)
    require_sound(50.0, 0.6, 1)
    for probe in (float("nan"), float("inf"), 61.0):
        with pytest.raises(Diverged, match=r"the probe became .* at step 7: the last checkpoint is intact"):
            require_sound(probe, 0.6, 7)
    assert [rate_factor(n) for n in range(4)] == [1.0, 0.5, 0.25, 0.125]


def test_the_command_line_says_so(
    tmp_path: Path, cli: Callable[..., Any], fragile: Callable[[dict[int, int]], None]
) -> None:
    fragile({1: 1})
    done = cli("train", "digits:factor=50", "--out", tmp_path / "run", "--steps", 3, *small())
    assert done.code == 0
    assert "the gradient became nan at step 2: back to step 0, with 0.5 times the learning rate" in done.err


def test_balancing_says_so_and_goes_no_further_than_the_last_good_checkpoint(
    tmp_path: Path, cli: Callable[..., Any], fragile: Callable[[dict[int, int]], None]
) -> None:
    command = ["balance", "digits:factor=50", "--out", tmp_path / "out", "--target", "3", "--nfe", "2", "--steps", "3"]
    fragile({1: 9})
    cli(*command, *small()).assert_refused(1, "the learning rate was halved 3 times already")
    assert list((tmp_path / "out").rglob("*.png")) == []
    assert not (tmp_path / "out" / "index.html").exists()
