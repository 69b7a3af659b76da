"""What the studies reckon with: energy distance, paired intervals, names of parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.balance_study import EVERY, SETTINGS, Study, paired, part
from benchmarks.eye import Eye
from benchmarks.study_table import markdown
from evenscore.data import load
from evenscore.metrics.energy import energy_distance as energy
from evenscore.sampling import labels_for


def test_the_energy_distance_is_unbiased_and_that_of_two_normal_laws() -> None:
    """Between N(0, 1) and N(m, 1): 2 E|X - Y| - E|X - X'| - E|Y - Y'| with the means of folded normal laws."""
    random = np.random.default_rng(0)
    same = [energy(random.normal(size=(40, 1)), random.normal(size=(30, 1))) for _ in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / math.sqrt(300)
    apart = [energy(random.normal(size=(40, 1)), 1 + random.normal(size=(30, 1))) for _ in range(300)]

    def folded(mean: float, std: float) -> float:
        turned = mean / (std * math.sqrt(2))
        return std * math.sqrt(2 / math.pi) * math.exp(-(turned**2)) + mean * math.erf(turned)

    exact = 2 * folded(1.0, math.sqrt(2)) - 2 * folded(0.0, math.sqrt(2))
    assert np.mean(apart) == pytest.approx(exact, abs=4 * np.std(apart) / math.sqrt(300))


def test_paired_intervals_are_students() -> None:
    low, mean, high = paired([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert low == pytest.approx(4.0 - high)
    assert paired([1.0])[0] == -math.inf


def test_parts_have_names_that_are_files_and_differ() -> None:
    names = {part(method, 1e-3, 0.1, 0) for method in EVERY}
    assert len(names) == len(EVERY)
    assert not any(set(name) & set(" /+,") for name in names)


def test_every_method_is_a_configuration() -> None:
    for method in EVERY:
        study = Study("digits", SETTINGS["digits"], None, None, "out", 2.0)
        assert study.config(method, 1e-3, 0.0, 0, 10).objective is not None


def test_held_out_samples_judge_themselves_well() -> None:
    eye, test = Eye.of_digits(), load("digits").test
    assert test is not None
    order = np.argsort(test.labels, kind="stable")
    labels = test.labels[order]
    found = eye.judge(test.tensor(order), labels, ("head",) * 10)
    assert found["agreement"]["mean"] > 0.97
    assert found["energy"]["mean"] < 0.05
    noise = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert eye.judge(noise, labels_for([20] * 10).numpy(), ("head",) * 10)["energy"]["mean"] > 0.5


def test_the_tables_say_what_differs() -> None:
    row = {
        "steps": 10,
        "energy": dict.fromkeys(("mean", "worst", "head", "medium", "tail"), 0.5),
        "agreement": dict.fromkeys(("mean", "worst", "head", "medium", "tail"), 0.9),
        "energy against plain": {key: [-0.3, -0.2, -0.1] for key in ("mean", "worst", "tail")},
    }
    study = {"cost of a step": {"cbdm": 2.0}, "chosen": {"cbdm": {"lr": 1e-3, "dropout": 0.0}}, "table": {"cbdm": row}}
    text = markdown({"digits": study})
    assert "-0.200 [-0.300, -0.100]*" in text
    assert "| cbdm | 0.001 | 0 | 10 | 2.00 |" in text
