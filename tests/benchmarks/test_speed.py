"""The speed benchmarks: both sides train one network, what is counted is right, and the paper's CBDM is the paper's."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from benchmarks import regulariser_cost, train_speed
from benchmarks.game_cost import on_noise
from benchmarks.plain_loop import plain_step, plain_unet
from benchmarks.regulariser_cost import PaperCBDM
from evenscore.configuration import TrainConfig
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.labels import LabelDistribution
from evenscore.networks import build_network
from evenscore.objectives import noised
from evenscore.process import VP


def arguments(module: object, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]
    return parser.parse_args(words)


def test_the_quick_form_measures_everything_that_it_bounds() -> None:
    found = train_speed.run(arguments(train_speed, "--quick", "--sizes", "tiny", "--also", "recomputed"))
    values = found.values["tiny"]
    assert values["times as fast"].keys() == found.bound["tiny"]["times as fast"].keys() == train_speed.RATIOS.keys()
    assert set(found.values) == {"tiny"}
    assert all(ms > 0 for ms in values["ms per step"].values())
    assert {"ours float32", "ours default", "ours recomputed", "plain float32"} <= values["ms per step"].keys()
    assert all(0 < share < 1.5 for share in values["share of that rate"].values())
    assert found.holds == all(
        values["times as fast"][name] >= least for name, (_, _, least) in train_speed.RATIOS.items()
    )


@pytest.mark.parametrize(("size", "side"), train_speed.SIZES.items())
def test_both_sides_train_the_same_network(size: str, side: int) -> None:
    """Parameter for parameter, but for the embedding of labels, which is as large under another name."""
    data = train_speed.images(side)
    theirs, patch = plain_unet(data, size)
    ours = build_network(size, data.shape, data.num_classes)
    assert patch == ours.patch
    own = {name.removeprefix("unet."): p.shape for name, p in ours.named_parameters()}
    own["class_embedding.weight"] = own.pop("label.weight")
    assert own == {name: p.shape for name, p in theirs.named_parameters()}


def test_the_plain_loop_learns() -> None:
    """The step moves the weights, and the loss on one batch of the loop's own kind falls."""
    data = train_speed.images(8)
    step, count = plain_step(data, "tiny", 16, "float32")
    assert count == sum(p.numel() for p in build_network("tiny", data.shape, data.num_classes).parameters())
    losses: list[float] = []
    real = F.mse_loss
    with pytest.MonkeyPatch.context() as patched:

        def kept(*given: torch.Tensor) -> torch.Tensor:
            losses.append(float(real(*given).detach()))
            return real(*given)

        patched.setattr(F, "mse_loss", kept)
        for _ in range(30):
            step()
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_operations_are_counted_forward_and_backward(tmp_path: Path) -> None:
    """Twice the batch costs twice the operations, and each weight of the first convolution counts at least twice."""
    counts = []
    for batch in (4, 8):
        config = TrainConfig(network="tiny", batch_size=batch, steps=10)
        counts.append(train_speed.flops_of(on_noise(config, 10, 8, tmp_path / str(batch))))
    assert counts[1] == pytest.approx(2 * counts[0], rel=0.02)
    assert counts[0] > 2 * 2 * 4 * 64 * 24 * 9


def test_kinds_take_turns_and_the_first_rounds_are_left_out() -> None:
    seen: list[str] = []
    steps = {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}
    found = train_speed.interleaved(steps, 2)
    assert seen == ["b", "a", "a", "b"] * 2
    assert len(found) == 2
    assert all(spent.keys() == steps.keys() and min(spent.values()) >= 0 for spent in found)


def test_the_quick_form_of_the_regularisers_has_every_ratio() -> None:
    found = regulariser_cost.run(arguments(regulariser_cost, "--quick", "--sizes", "tiny"))
    values = found.values["tiny"]
    assert values.keys() == {*regulariser_cost.RATIOS, "denoising, ms per step"}
    assert all(math.isfinite(value) and value > 0 for value in values.values())
    bounds = {name for name, (_, _, limit) in regulariser_cost.RATIOS.items() if limit is not None}
    assert found.bound["tiny"].keys() == bounds
    assert found.holds == all(values[name] <= found.bound["tiny"][name] for name in bounds)


def test_the_papers_cbdm_is_its_formula_by_hand() -> None:
    """On the exact denoiser of two Gaussians, whose noise predictions are known."""
    process, means = VP(), torch.tensor([[1.0], [-1.0]])
    denoiser = GaussianMixture.isotropic(process, means, [0.5, 0.5], [0, 1])
    y, t = torch.tensor([0, 0, 1]), torch.tensor([0.2, 0.5, 0.9])
    x0, eps = torch.tensor([[0.8], [1.3], [-0.7]]), torch.tensor([[0.3], [-1.0], [0.6]])
    batch, labels = noised(process, x0, y, y, t, eps), LabelDistribution((3, 1))
    other = labels.sample(3, torch.Generator().manual_seed(4), "train")
    terms = PaperCBDM(tau=2.0, gamma=0.5)(denoiser, batch, labels, torch.Generator().manual_seed(4))
    h, drawn = denoiser.predict(batch.x_t, t, y).eps, denoiser.predict(batch.x_t, t, other).eps
    torch.testing.assert_close(terms["denoising"], (h - eps).square()[:, 0])
    torch.testing.assert_close(terms["pull"], 2 * t * 1.5 * (h - drawn).square()[:, 0])
