"""Learning curves by hand, and on Gaussian classes whose curve is known: intervals contain it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evenscore.data import Dataset
from evenscore.learning_curve import CurveSettings, curve_of, learning_curve, sentences, to_dict
from evenscore.learning_curve.advice import advise
from evenscore.metrics.interval import paired_student

Cli = Callable[..., Any]
SIZES = (2, 8, 32)


def flat(*means: float, spread: float = 0.0) -> np.ndarray:
    """(4, m, 2) recalls with these means by size; four classes lie ``spread`` about them, alike at all sizes."""
    about = spread * np.array([-1.0, 0.0, 0.0, 1.0])
    return np.broadcast_to(np.array(means)[None, :, None] + about[:, None, None], (4, len(means), 2)).copy()


def test_points_are_means_over_classes_with_students_interval() -> None:
    values = flat(0.5, 0.7, 0.8, spread=0.1)
    values[0, 0] += (0.04, -0.04)
    curve = curve_of(values, SIZES, 4000, 0.05)
    assert curve.over == "classes"
    expected, interval = paired_student([0.4, 0.5, 0.5, 0.6], [0.0] * 4)
    first = curve.points[0]
    assert (first.n, first.value) == (2, pytest.approx(expected))
    assert (first.low, first.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (first.lowest, first.highest) == (pytest.approx(0.4), pytest.approx(0.6))
    assert curve.rise.value == pytest.approx(0.1)
    assert curve.rise.low == pytest.approx(0.1), (
        "classes that differ alike at both sizes leave no doubt of the difference"
    )
    assert curve.rises


def test_an_interval_is_never_narrower_than_the_judged_samples_allow() -> None:
    sure = curve_of(flat(1.0, 1.0, 1.0), SIZES, 60, 0.05).points[0]
    assert sure.high == 1.0
    assert sure.low == pytest.approx(60 / (60 + 1.959964**2), abs=1e-6)


def test_few_classes_have_their_interval_over_seeds() -> None:
    values = np.array([[[0.5, 0.6, 0.7], [0.8, 0.8, 0.8]]])
    curve = curve_of(values, (5, 50), 4000, 0.05)
    assert curve.over == "seeds"
    _, interval = paired_student([0.5, 0.6, 0.7], [0.0] * 3)
    assert curve.points[0].low == pytest.approx(interval.low)


def test_the_need_is_read_between_sizes_on_a_scale_of_logs() -> None:
    curve = curve_of(flat(0.5, 0.7, 0.8), SIZES, 10**6, 0.05)
    assert curve.need.n == 16, "0.75 lies in the middle between 0.7 at 8 and 0.8 at 32"
    assert (curve.need.low, curve.need.high) == (16, 16)
    assert curve_of(flat(0.78, 0.79, 0.8), SIZES, 10**6, 0.05).need.n == 2
    assert curve_of(flat(0.5, 0.8, 0.6, 0.8), (2, 4, 8, 16), 10**6, 0.05).need.n > 8, "a later fall counts"


def test_doubt_about_the_distance_to_the_end_is_doubt_about_the_need() -> None:
    values = flat(0.5, 0.7, 0.8)
    values[:2, 1] += 0.04
    values[2:, 1] -= 0.04
    need = curve_of(values, SIZES, 10**6, 0.05).need
    assert need.low < need.n == 16 < need.high <= 32


def test_between_sizes_is_read_beyond_them_is_not() -> None:
    curve = curve_of(flat(0.5, 0.7, 0.8), SIZES, 10**6, 0.05)
    assert curve.at(1) is None
    middle, far = curve.at(4), curve.at(10**6)
    assert middle is not None
    assert far is not None
    assert middle.value == pytest.approx(0.6)
    assert far.value == pytest.approx(0.8)


def test_advice_by_class() -> None:
    curve = curve_of(flat(0.5, 0.7, 0.8), SIZES, 10**6, 0.05)
    told = {count: advise(curve, "x", count) for count in (1, 4, 16, 32, 500)}
    assert told[1].agreement is None
    assert told[1].words.startswith("about 15 more (15 to 15): 1 sample, fewer than was measured; from about 16 on")
    assert (told[4].more, told[4].more_low, told[4].more_high) == (12, 12, 12)
    assert told[4].words.startswith("about 12 more (12 to 12): at 4 samples 0.60 (")
    assert told[16].more == told[500].more == 0
    assert told[16].words.startswith("enough: at 16 samples 0.75 (")
    assert told[32].words.endswith("within 0.05 of its value at 32")
    assert told[500].words.startswith("enough as far as was measured: beyond 32 nothing was, there 0.80 (")


DIMENSION, DISTANCE, CLASSES = 6, 1.6, 5


def nearest_mean(x: Tensor, y: Tensor, num_classes: int, seed: int, steps: int) -> Callable[[Tensor], Tensor]:
    """A classifier whose learning curve is known: the class whose mean of training samples is nearest."""
    means = torch.stack([x[y == k].mean(0) for k in range(num_classes)])
    return lambda z: torch.cdist(z, means).argmin(1)


def gaussians(seed: int, counts: tuple[int, ...], held_out: int) -> Dataset:
    """Round classes at the corners of a simplex."""
    random = np.random.default_rng(seed)

    def draw(n: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(CLASSES), n)
        centres = DISTANCE * np.eye(CLASSES, DIMENSION)
        return (centres[labels] + random.normal(size=(len(labels), DIMENSION))).astype(np.float32), labels

    return Dataset.from_arrays(*draw(counts), name="gaussians", test=draw((held_out,) * CLASSES))


def known(sizes: tuple[int, ...], draws: int = 3000) -> np.ndarray:
    """The recall of a class of each size by Monte Carlo: means of n samples are normal with variance 1/n about the corners."""
    random = np.random.default_rng(1)
    found = np.zeros(len(sizes))
    centres = DISTANCE * np.eye(CLASSES, DIMENSION)
    for _ in range(draws):
        place, turn = random.permutation(CLASSES), random.integers(len(sizes))
        n = np.array([sizes[(p + turn) % len(sizes)] for p in place])
        means = centres + random.normal(size=centres.shape) / np.sqrt(n)[:, None]
        x = centres[:, None] + random.normal(size=(CLASSES, 20, DIMENSION))
        right = np.square(x[:, :, None] - means).sum(3).argmin(2) == np.arange(CLASSES)[:, None]
        for k in range(CLASSES):
            found[sizes.index(int(n[k]))] += right[k].mean()
    return found / draws * len(sizes) / CLASSES


def test_intervals_contain_the_known_curve_of_gaussian_classes() -> None:
    sizes = (1, 3, 9, 27, 81)
    truth = known(sizes)
    assert np.all(np.diff(truth) > 0)
    covered = []
    for i in range(40):
        data, settings = gaussians(i, (120, 110, 100, 90, 85), 200), CurveSettings(sizes, seeds=3, seed=i)
        curve = learning_curve(data, settings, learner=nearest_mean).curve
        covered += [point.low <= value <= point.high for point, value in zip(curve.points, truth, strict=True)]
    assert 0.9 <= np.mean(covered) <= 1.0
    assert curve.points[0].value < curve.points[-1].value


def test_a_measured_curve_in_words_and_json(tmp_path: Path) -> None:
    data, told = gaussians(0, (120, 110, 100, 12, 1), 50), []
    settings = CurveSettings((3, 9, 81), seeds=2)
    found = learning_curve(data, settings, learner=nearest_mean, report=lambda done, total: told.append((done, total)))
    assert told == [(i, 6) for i in range(1, 7)]
    plain = json.loads(json.dumps(to_dict(found)))
    assert plain["measured_classes"] == ["0", "1", "2"]
    assert [c["count"] for c in plain["classes"]] == [120, 110, 100, 12, 1]
    assert plain["classes"][4]["agreement"] is None
    text = "\n".join(sentences(found))
    assert "large classes (0, 1, 2) on 150 samples of the held-out part: 6 trainings" in text
    assert "beyond 81 nothing was measured" in text


def test_the_network_learns_more_from_more(cli: Cli, tmp_path: Path) -> None:
    """The whole way on a command line, with the small classifier of vectors."""
    data = gaussians(0, (60, 60, 60, 8, 2), 40)
    assert data.test is not None
    arrays = {"train_images": data.values, "train_labels": data.labels}
    held = {"test_images": data.test.values, "test_labels": data.test.labels}
    np.savez(tmp_path / "data.npz", **arrays, **held)
    ask = ["inspect", tmp_path / "data.npz", "--learning-curve", "--sizes", "2,50", "--seeds", "2"]
    shown = cli(*ask)
    assert shown.code == 0, shown.err
    assert "how many samples does a class need?" in shown.out
    assert "  4: about " in shown.out
    assert "learning curve 100%  4 of 4 trainings" in shown.err
    found = json.loads(cli(*ask, "--json").out)
    first, last = found["learning_curve"]["points"]
    assert (first["n"], last["n"]) == (2, 50)
    assert first["value"] + 0.05 < last["value"]
    assert found["total"] == 190


def test_what_cannot_be_measured_is_one_sentence(cli: Cli) -> None:
    cli("inspect", "digits:max=6,factor=2", "--learning-curve").assert_refused(
        3, "is large enough for a learning curve"
    )
    cli("inspect", "digits", "--seeds", 3).assert_refused(2, "--seeds acts only with --learning-curve")
    cli("inspect", "digits", "--learning-curve", "--sizes", "2,a").assert_refused(2, "sizes takes a whole number")
    cli("inspect", "digits", "--learning-curve", "--seeds", 1).assert_refused(2, "1 seeds cannot be used")
