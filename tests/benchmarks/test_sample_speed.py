"""The benchmark of sampling speed: what is compared with what, the jackknife's error, and batches that are not drawn twice."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import sample_speed as bench
from evenscore.run import Run
from evenscore.sampling import Sampler
from evenscore.sampling.speed import Speeds, Way

SECONDS = {
    "ancestral, 1000": (100.0, 110.0, 90.0),
    "dpm++2m, 12": (1.2, 1.1, 1.0),
    "dpm++2m, 16": (1.6, 1.6, 1.6),
    "evenscore sample": (1.7, 1.7, 1.7),
    "one-step": (0.1, 0.1, 0.2),
}
SPEEDS = Speeds(100, SECONDS)


def test_equal_is_the_quickest_way_that_is_as_near_as_the_ancestral_sampler() -> None:
    found = {name: {"FD-judge": 2.0} for name in SECONDS} | {"ancestral, 1000": {"FD-judge": 1.0}}
    found["evenscore sample"] = found["one-step"] = {"FD-judge": 0.1}
    assert bench.equal(found, SPEEDS) is None
    found["dpm++2m, 16"] = {"FD-judge": 0.9}
    assert bench.equal(found, SPEEDS) == "dpm++2m, 16"
    found["dpm++2m, 12"] = {"FD-judge": 1.0}
    assert bench.equal(found, SPEEDS) == "dpm++2m, 12"
    del found["ancestral, 1000"]
    assert bench.equal(found, SPEEDS) is None


def test_the_bound_asks_for_both_ratios() -> None:
    every = {name: {"FD-judge": 0.9} for name in SECONDS} | {"ancestral, 1000": {"FD-judge": 1.0}}
    found = bench.outcome(every, SPEEDS)
    assert found.holds
    assert found.values["quickest at equal distance without guidance"] == "dpm++2m, 12"
    far = every | {"evenscore sample": {"FD-judge": 1.1}}
    assert not bench.outcome(far, SPEEDS).holds
    assert not bench.outcome(every, Speeds(100, {**SECONDS, "evenscore sample": (2.4, 2.4, 2.4)})).holds
    assert not bench.outcome(every, Speeds(100, {**SECONDS, "one-step": (0.15, 0.15, 0.15)})).holds
    nowhere = {name: {"FD-judge": 2.0 if name != bench.SLOW else 1.0} for name in every}
    assert not bench.outcome(nowhere, SPEEDS).holds


def test_the_error_of_a_difference_is_that_of_the_jackknife() -> None:
    """For a mean, the jackknife gives the standard error of the mean."""
    values = np.array([0.3, 1.1, -0.4, 0.9, 2.0])
    out = [float(np.delete(values, b).mean()) for b in range(5)]
    both = {"a": {"FD-judge": 1.0, "left out": out}, bench.SLOW: {"FD-judge": 0.4, "left out": [0.0] * 5}}
    found = bench.against(both, Speeds(1, {"a": (1.0,), bench.SLOW: (2.0,)}), "a", 5)
    assert found["its standard error"] == pytest.approx(float(values.std(ddof=1)) / math.sqrt(5))
    assert found["FD-judge minus ancestral"] == pytest.approx(0.6)
    assert found["times as fast as ancestral"] == 2.0


def test_a_batch_that_is_there_is_read_and_not_drawn_again(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Run.open(trained).model()
    ways = {"a": Way(model, Sampler(nfe=4)), "b": Way(model, Sampler("ddim", "uniform", 4))}
    args = Namespace(batches=1, batch=10, out=tmp_path)
    bench.drawn(args, ways, 10)
    args.batches = 2
    speeds, images = bench.drawn(args, ways, 10)
    assert [len(times) for times in speeds.seconds.values()] == [2, 2]
    assert images["a"].shape == images["b"].shape == (20, 8, 8, 1)
    assert not np.array_equal(images["a"][:10], images["a"][10:])
    assert not np.array_equal(images["a"], images["b"])
    monkeypatch.setattr(bench, "timed", lambda *_: pytest.fail("drawn again"))
    again = bench.drawn(args, ways, 10)
    assert again[0] == speeds
    np.testing.assert_array_equal(again[1]["b"], images["b"])
