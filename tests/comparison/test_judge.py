"""Who judges: what judges is seen by nothing else, and the figures are those of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evenscore.comparison import Budget, ComparisonConfig, HeldOutJudge, Judgement
from evenscore.comparison.judge import judgement
from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError
from evenscore.evaluation import Settings, evaluate, of_run
from evenscore.features import Cache
from evenscore.metrics.energy import energy_distance
from evenscore.run import Run
from evenscore.sampling import Sampler, generate, labels_for

PIXELS = Settings("pixels", ("kernel", "copies"), replicates=20)


def config(**changes: object) -> ComparisonConfig:
    given = {"evaluation": PIXELS, "per_class": 20, "sampler": Sampler(nfe=2, guidance=1.5), **changes}
    return ComparisonConfig(Budget(steps=1), **given)  # type: ignore[arg-type]


def rows(data: Dataset | None) -> set[bytes]:
    assert data is not None
    return {value.tobytes() + bytes([label]) for value, label in zip(data.values, data.labels, strict=True)}


def test_the_halves_share_nothing_and_neither_is_trained_on(digits: Dataset) -> None:
    judge = HeldOutJudge.of(digits, config())
    assert judge.halved
    choosing, judging = rows(judge.chooses.test), rows(judge.judges.test)
    assert choosing | judging == rows(digits.test)
    assert not choosing & judging
    assert rows(judge.chooses) == rows(digits)
    assert rows(judge.judges) == rows(digits) | choosing
    assert judge.judges.test is not None
    assert min(np.bincount(judge.judges.test.labels)) >= 20


def few(digits: Dataset, each: int) -> Dataset:
    """The digits with so many held-out samples of each class."""
    assert digits.test is not None
    kept = np.concatenate([digits.test.of_class(k)[:each] for k in range(10)])
    return replace(digits, test=digits.test.select(kept))


def test_few_held_out_samples_all_judge_where_nothing_is_chosen(digits: Dataset) -> None:
    judge = HeldOutJudge.of(few(digits, 39), config())
    assert not judge.halved
    assert judge.judges.test is not None
    assert len(judge.judges.test) == 390
    assert HeldOutJudge.of(few(digits, 39), config(grid={"lr": ("1e-3",)})).halved
    with pytest.raises(DataError, match="has a class of 3 held-out samples, and half of them would have to choose"):
        HeldOutJudge.of(few(digits, 3), config(guidance_grid=(1.0, 2.0)))


def test_data_without_a_held_out_part_are_refused(digits: Dataset) -> None:
    with pytest.raises(
        DataError, match="has no held-out data, and methods cannot be compared by what they learned from"
    ):
        HeldOutJudge.of(replace(digits, test=None), config())
    assert digits.test is not None
    lacking = digits.test.select(np.flatnonzero(digits.test.labels != 4))
    with pytest.raises(DataError, match="has no samples of class '4' in its test part"):
        HeldOutJudge.of(replace(digits, test=lacking), config())


def test_figures_are_those_of_an_evaluation(digits: Dataset, trained: Path, tmp_path: Path) -> None:
    judge, cache, run = HeldOutJudge.of(digits, config()), Cache(tmp_path), Run.open(trained)
    found = judge.judge(run, "cbdm, seed 3", 3, 1.5, cache)
    generated = replace(of_run(run, 20, Sampler(nfe=2, guidance=1.5), 3), name="cbdm, seed 3")
    direct = evaluate(generated, judge.judges, PIXELS, trained_on=digits, cache=cache)
    assert found == found
    assert found.to_json() == judgement(direct).to_json()
    assert Judgement.from_json(found.to_json()).figures == found.figures
    kinds = [part.kind for part in found.parts]
    assert kinds == ["all", "worst", "group", "group", "group", *["class"] * 10]
    assert found.figures["kernel"][0].value == direct.measured.whole["kernel"].value
    assert found.figures["kernel"][1].value == direct.measured.worst["kernel"].figure.value
    assert found.figures["kernel"][-1].value == direct.measured.by_class[9]["kernel"].value
    assert found.parts[-1].trained_on == 2
    assert found.record["protocol"]["settings"]["copies_among"] == digits.name
    assert {m.key: m.better for m in found.measures} == {"kernel": "lower", "copies": "lower"}


def test_the_choice_is_by_the_mean_distance_to_the_half_that_chooses(
    digits: Dataset, trained: Path, tmp_path: Path
) -> None:
    judge, run = HeldOutJudge.of(digits, config(guidance_grid=(1.0, 2.0))), Run.open(trained)
    labels, real = labels_for([20] * 10), judge.chooses.test
    assert real is not None
    x = torch.cat([b.x for b in generate(run.denoiser(), labels, seed=7, sampler=Sampler(nfe=2, guidance=2.0))])
    x = ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    apart = [energy_distance(x[labels == k].flatten(1), real.tensor(real.of_class(k)).flatten(1)) for k in range(10)]
    assert judge.distance(run, 7, 2.0, Cache(tmp_path)) == pytest.approx(np.mean(apart), rel=1e-3)


def test_fitted_features_see_neither_what_judges_nor_what_chooses(digits: Dataset, tmp_path: Path) -> None:
    settings = Settings("domain", ("kernel", "agreement"), replicates=0, fit_steps=3)
    judge = HeldOutJudge.of(digits, config(evaluation=settings, guidance_grid=(1.0, 2.0)))
    protocol = judge.prepare(Cache(tmp_path))
    assert "fitted once on the training data and the half that does not judge" in protocol["features"]
    assert "of the real samples that judge it gives" in protocol["features"]
    assert protocol["guidance"] == "each method chose from the common grid 1, 2"
    fitted = {path.name for path in tmp_path.glob("domain-*")}
    assert len(fitted) == 2, "one for the choice, one for the judgement"
    judge.prepare(Cache(tmp_path))
    assert {path.name for path in tmp_path.glob("domain-*")} == fitted


def test_measures_that_the_features_do_not_allow_are_refused_before_training(digits: Dataset, tmp_path: Path) -> None:
    judge = HeldOutJudge.of(digits, config(evaluation=Settings("pixels", ("agreement",))))
    with pytest.raises(UsageError, match="label agreement needs class probabilities"):
        judge.prepare(Cache(tmp_path))
