"""Figures for the whole, groups, classes and the worst class; intervals; the guard; the order of samples."""

from __future__ import annotations

from statistics import mean

import pytest
import torch
from torch import Tensor

from evenscore.errors import DataError, UsageError
from evenscore.metrics.agreement import wilson
from evenscore.metrics.base import METRICS, find_metric
from evenscore.metrics.frechet import FeatureStatistics, frechet_distance
from evenscore.metrics.interval import (
    INTERVALS,
    Estimate,
    Resampling,
    difference,
    normal,
    paired_bootstrap,
    paired_student,
    share,
    stretched,
)
from evenscore.metrics.kernel import kernel_distance
from evenscore.metrics.measure import Grouping, Measured, Plan, Samples, content_key, measure
from evenscore.metrics.neighbourhood import neighbourhood
from evenscore.random import generator

GROUPING = Grouping((500, 60, 8))


def samples(n: int, key: str, wrong: int | None = None, d: int = 4) -> Samples:
    """Three classes in turn, far apart; class ``wrong`` is shifted."""
    draws = generator(0, key)
    labels = torch.arange(n) % 3
    x = torch.randn(n, d, generator=draws, dtype=torch.float64) + 5 * torch.nn.functional.one_hot(labels, d)
    if wrong is not None:
        x[labels == wrong] += 1.5
    return Samples(x, labels, torch.softmax(x[:, :3], 1))


def figures(n: int = 330, plan: Plan | None = None) -> Measured:
    return measure(list(METRICS), samples(n, "x", wrong=2), samples(n, "y"), GROUPING, plan or Plan(replicates=30))


def test_parts_are_measured_like_the_samples_they_hold() -> None:
    x, y, found = samples(330, "x", wrong=2), samples(330, "y"), figures()
    assert isinstance(x.features, Tensor)
    whole = frechet_distance(FeatureStatistics.of(x.features), FeatureStatistics.of(y.features))
    assert found.whole["frechet"].value == pytest.approx(whole, rel=1e-9)
    of_two = x.features[x.labels == 2], y.features[y.labels == 2]
    assert found.by_class[2]["kernel"].value == pytest.approx(kernel_distance(*of_two), rel=1e-9)
    assert found.by_class[2]["recall"].value == pytest.approx(neighbourhood(*of_two)["recall"], rel=1e-9)
    assert found.by_group["tail"]["kernel"].value == found.by_class[2]["kernel"].value
    assert set(found.by_group) == {"head", "medium", "tail"}
    assert (found.grouping.head, found.grouping.tail) == (100, 20)
    assert {name: worst.label for name, worst in found.worst.items() if name != "inception-score"} == dict.fromkeys(
        [name for name in METRICS if name != "inception-score"], 2
    )
    for part in (found.whole, found.by_class[1]):
        for figure in part.values():
            assert figure.value is not None
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low <= figure.value <= figure.high


def test_the_order_of_samples_changes_nothing() -> None:
    x, y = samples(330, "x", wrong=2), samples(330, "y")
    order = torch.randperm(330, generator=generator(1))
    moved = Samples(x.features[order], x.labels[order], x.probabilities[order])
    plan = Plan(replicates=10, most=100)
    first = measure(list(METRICS), x, y, GROUPING, plan)
    second = measure(list(METRICS), moved, Samples(y.features.flip(0), y.labels.flip(0)), GROUPING, plan)
    assert first.by_class == second.by_class
    assert first.whole == second.whole


def test_a_frechet_distance_of_too_few_is_replaced_by_the_kernel_distance() -> None:
    d = 20
    least = METRICS["frechet"].least_samples(d)
    assert least == 125
    for n, given in ((3 * least, True), (3 * least - 1, False)):
        found = measure(
            ["frechet", "precision"], samples(n, "x", d=d), samples(n, "y", d=d), GROUPING, Plan(replicates=2)
        )
        figure = found.by_class[2]["frechet"]
        assert (figure.value is not None) is given
        assert ("kernel" in found.by_class[2]) is not given
        assert found.whole["frechet"].value is not None
        assert found.by_class[0]["frechet"].value is not None
    assert figure.note.startswith(
        "124 samples are too few for a Frechet distance of 20 features: its bias would be above"
    )
    assert "below 125; see the kernel distance" in figure.note
    assert found.by_class[2]["kernel"].value is not None
    assert "frechet" in found.worst


def test_a_class_of_five_has_no_figure_and_says_so() -> None:
    found = measure(["kernel", "f8", "recall"], samples(300, "x"), samples(15, "y"), GROUPING, Plan(replicates=2))
    assert found.by_class[0]["kernel"].value is None
    assert found.by_class[0]["kernel"].note == "5 samples are too few for kernel: it is given from 20 on"
    assert found.worst == {}


def test_measures_of_pairs_see_a_subsample_and_say_so() -> None:
    found = figures(plan=Plan(replicates=2, most=90))
    assert found.whole["recall"].note == "on 90 generated and 90 reference samples"
    assert found.whole["recall"].n == 330
    assert found.whole["frechet"].note == ""


def test_without_replicates_there_are_no_intervals() -> None:
    found = measure(["frechet", "recall"], samples(330, "x"), samples(330, "y"), GROUPING, Plan(replicates=0))
    assert found.whole["frechet"].low is None
    assert found.whole["recall"].value is not None


def test_the_guard_is_at_the_stated_bias() -> None:
    """At the least number of samples the bias for one law is 5 % of tr C1 + tr C2."""
    d, n = 30, METRICS["frechet"].least_samples(30)
    draws = generator(5)
    found = [
        frechet_distance(
            *(FeatureStatistics.of(torch.randn(n, d, generator=draws, dtype=torch.float64)) for _ in range(2))
        )
        for _ in range(10)
    ]
    assert mean(found) / (2 * d) == pytest.approx(0.05, rel=0.1)
    assert METRICS["frechet"].least_samples(2) == 100


def test_names_for_readers() -> None:
    assert METRICS["frechet"].shown("domain") == "FD-domain"
    assert METRICS["frechet"].shown("inception-v3") == "FID"
    assert METRICS["frechet-limit"].shown("domain") == "FD-domain, unlimited samples"
    assert METRICS["recall"].shown("domain") == "recall-domain"
    assert METRICS["inception-score"].shown("domain") == "inception-score"
    with pytest.raises(UsageError, match="unknown metric 'recal': did you mean 'recall'"):
        find_metric("recal")


def test_what_does_not_fit_is_refused() -> None:
    x, y = samples(60, "x"), samples(60, "y")
    with pytest.raises(UsageError, match="inception-score needs class probabilities"):
        measure(["inception-score"], Samples(x.features, x.labels), y, GROUPING)
    with pytest.raises(DataError, match=r"60 samples with labels of shape \(59,\)"):
        measure(["kernel"], Samples(x.features, x.labels[1:]), y, GROUPING)
    with pytest.raises(DataError, match="labels from 0 to 2 do not fit 2 classes"):
        measure(["kernel"], x, y, Grouping((5, 5)))
    with pytest.raises(UsageError, match="1 replicates give no interval"):
        Resampling(replicates=1)


def test_counts_are_draws_with_replacement_and_a_reference_is_drawn_alike_for_all() -> None:
    first, second = Resampling(0, 5, "a"), Resampling(0, 5, "b")
    assert first.counts(40, "reference").sum(1).tolist() == [40] * 5
    assert torch.equal(first.counts(40, "reference"), second.counts(40, "reference"))
    assert not torch.equal(first.counts(40, "generated"), second.counts(40, "generated"))
    assert int(first.subset(40, "generated", 0).sum()) == 20


def test_intervals_by_hand() -> None:
    replicates = torch.arange(1001, dtype=torch.float64) / 1000 + 0.25
    estimate = Estimate(0.5, replicates)
    assert INTERVALS["percentile"](estimate) == pytest.approx((0.275, 1.225))
    assert INTERVALS["basic"](estimate) == pytest.approx((-0.225, 0.725))
    assert normal(estimate) == pytest.approx((0.5 - 1.96 * 0.289, 0.5 + 1.96 * 0.289), abs=1e-3)
    assert stretched(0.5, torch.tensor([0.0, 1.0], dtype=torch.float64)).replicates.tolist() == [0, 1]


def test_a_share_has_wilsons_interval_for_independent_samples() -> None:
    exact = Estimate(1.0, torch.ones(10, dtype=torch.float64))
    assert share(exact, 50) == pytest.approx(wilson(50, 50))
    draws = torch.randn(4000, generator=generator(6), dtype=torch.float64)
    spread = Estimate(0.5, 0.5 + 0.1 * draws)
    assert share(spread, 1000) == pytest.approx(wilson(25 // 2, 25), abs=0.03)


def test_paired_differences() -> None:
    x, worse, y = samples(330, "x"), samples(330, "z", wrong=1), samples(330, "y")
    found = [
        Estimate(e.value, e.replicates)
        for s, name in ((worse, "worse"), (x, "x"))
        for e in [_kernel(s.features, y.features, Resampling(0, 100, name))]
    ]
    apart = difference(*found)
    assert apart.value == found[0].value - found[1].value
    assert normal(apart).low > 0
    first, second = [3.0, 4.0, 6.0], [1.0, 2.5, 3.0]
    centre, interval = paired_student(first, second)
    assert centre == pytest.approx(13 / 6)
    assert interval == pytest.approx((centre - 4.3027 * 0.7638 / 3**0.5, centre + 4.3027 * 0.7638 / 3**0.5), rel=1e-3)
    many = torch.randn(2, 400, generator=generator(7), dtype=torch.float64)
    boot = paired_bootstrap((many[0] + 1).tolist(), many[1].tolist(), Resampling(0, 300))
    assert boot.deviation() == pytest.approx(2**0.5 / 20, rel=0.2)
    with pytest.raises(DataError, match="2 and 3 values cannot be paired"):
        paired_student([1.0, 2.0], second)
    with pytest.raises(DataError, match="100 and 0 replicates cannot be paired"):
        difference(found[0], Estimate(0.0, torch.empty(0)))


def _kernel(x: Tensor, y: Tensor, how: Resampling) -> Estimate:
    from evenscore.metrics.kernel import kernel_estimate

    return kernel_estimate(x, y, how)


def test_content_keys_tell_sets_apart() -> None:
    x = torch.zeros(4, 3)
    assert content_key(x) == content_key(x.numpy())
    assert len({content_key(x), content_key(x + 1), content_key(torch.zeros(3, 4))}) == 3
