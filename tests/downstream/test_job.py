"""The whole comparison: exact counts, sharing of trainings, and going on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evenscore.data import Dataset
from evenscore.downstream import Found, Job, Progress, Settings, downstream, to_dict
from evenscore.downstream.images import ImageClassifier
from evenscore.downstream.methods import Recipe
from evenscore.downstream.parts import Parts
from evenscore.errors import DataError, RunError, UsageError
from evenscore.lock import hold


def finished(steps: Iterator[Progress]) -> Found:
    *_, last = steps
    assert last.event == "done"
    assert last.found is not None
    return last.found


def test_rows_have_exactly_the_planned_synthetic_samples(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    found = finished(downstream(real, synthetic, settings))
    used = {name: row.synthetic for name, row in found.rows.items()}
    assert used["synthetic x0.5"] == (0, 8, 10)
    assert used["synthetic x1"] == (0, 16, 12)
    assert {used[name] for name in used if "synthetic" not in name} == {(0, 0, 0)}
    job = Job.of(real, synthetic, settings)
    chosen = job.chosen(Recipe(ratio=1.0), 0)
    assert chosen is not None
    assert chosen.distribution.counts == (0, 16, 12)
    assert found.facts.notes == ("synthetic x1 wants 36 synthetic samples and there are 28: too few of cat",)


def test_no_figure_depends_on_what_is_measured_beside_it(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    every = finished(downstream(real, synthetic, settings))
    few = finished(downstream(real, synthetic, replace(settings, methods=("over-sampled",), ratios=(1.0,), seeds=1)))
    assert list(few.rows) == ["real", "over-sampled", "synthetic x1"]
    for name, row in few.rows.items():
        assert row.figures["mean"] == every.rows[name].figures["mean"][:1]


def test_weight_0_gives_the_figures_of_real(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    found = finished(downstream(real, synthetic, replace(settings, synthetic_weight=0.0)))
    assert found.rows["synthetic x1"].classes == found.rows["real"].classes


def test_logit_adjustment_of_strength_0_is_real_and_costs_no_training(
    real: Dataset, synthetic: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    plain = ImageClassifier.train

    def counted(self: ImageClassifier) -> Iterator[float]:
        trained.append(self.seed)
        return plain(self)

    monkeypatch.setattr(ImageClassifier, "train", counted)
    found = finished(downstream(real, synthetic, replace(settings, tau=0.0)))
    assert found.rows["logit-adjusted"].classes == found.rows["real"].classes
    assert len(found.rows) == 7
    assert trained == [0] * 6 + [1] * 6


def test_an_interrupted_comparison_goes_on_to_the_same_table(
    tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings
) -> None:
    whole = finished(downstream(real, synthetic, settings, tmp_path / "whole"))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 8

    events = [p.event for p in downstream(real, synthetic, settings, tmp_path / "part", stop)]
    assert events[-1] == "stopped"
    assert 0 < events.count("measured") < 12
    cut = downstream(real, synthetic, settings, tmp_path / "part")
    for progress in cut:
        if progress.event == "measured" and progress.fraction > 0.6:
            cut.close()  # type: ignore[attr-defined]
            break
    again = list(downstream(real, synthetic, settings, tmp_path / "part"))
    assert [p.event for p in again].count("kept") >= 7
    assert again[-1].found is not None
    assert to_dict(again[-1].found) == to_dict(whole)
    last = [p.event for p in downstream(real, synthetic, settings, tmp_path / "part")]
    assert last == ["kept"] * 12 + ["done"]


def test_a_damaged_part_is_measured_again(
    tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings
) -> None:
    whole = finished(downstream(real, synthetic, settings, tmp_path))
    path = tmp_path / "parts" / "synthetic-x0.5-seed-1.json"
    assert json.loads(path.read_text(encoding="utf-8"))["synthetic"] == [0, 8, 10]
    for content in ("{", "[]", '{"row": "real"}'):
        path.write_text(content, encoding="utf-8")
        events = list(downstream(real, synthetic, settings, tmp_path))
        assert [p.event for p in events].count("measured") == 1
        assert events[-1].found is not None
        assert to_dict(events[-1].found) == to_dict(whole)


def test_more_seeds_ratios_and_methods_may_be_added(
    tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings
) -> None:
    few = replace(settings, methods=("re-weighted",), ratios=(1.0,), seeds=1)
    finished(downstream(real, synthetic, few, tmp_path))
    events = [p.event for p in downstream(real, synthetic, settings, tmp_path)]
    assert events.count("kept") == 2  # re-weighted and x1; real lacks the part of logit-adjusted
    assert events.count("measured") == 10


def test_another_job_is_refused(tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    finished(downstream(real, synthetic, settings, tmp_path / "out"))
    with pytest.raises(RunError, match=r"another job \(steps=3 then, 4 now\): give the same command to go on"):
        next(downstream(real, synthetic, replace(settings, steps=4), tmp_path / "out"))
    other = synthetic.select(np.arange(len(synthetic) - 1))
    with pytest.raises(RunError, match=r"another job \(synthetic="):
        next(downstream(real, other, settings, tmp_path / "out"))
    (tmp_path / "out" / "job.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match=r"job.json cannot be understood: remove"):
        next(downstream(real, synthetic, settings, tmp_path / "out"))
    with pytest.raises(DataError, match="exists and is not empty"):
        next(downstream(real, synthetic, settings, tmp_path))


def test_a_folder_in_use_is_refused(tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    finished(downstream(real, synthetic, settings, tmp_path))
    with hold(tmp_path / "parts", "lock"), pytest.raises(RunError, match="in use by another process"):
        next(downstream(real, synthetic, settings, tmp_path))


def test_a_folder_inside_the_data_is_refused(
    tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings
) -> None:
    files = tuple(tmp_path / f"{i}.png" for i in range(len(real)))
    inside = replace(real, files=files, name=str(tmp_path))
    with pytest.raises(UsageError, match="lies inside the data"):
        next(downstream(inside, synthetic, settings, tmp_path / "out"))


def test_nothing_that_is_lacking_is_refused(real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    only_first = synthetic.select(synthetic.of_class(0))
    with pytest.raises(DataError, match="holds no synthetic samples of a class that lacks any: it lacks bee and cat"):
        Job.of(real, only_first, settings)
    with pytest.raises(DataError, match="class 'cat' has 0 samples"):
        Job.of(real.select(np.flatnonzero(real.labels < 2)), synthetic, settings)
    even = real.select(np.concatenate([real.of_class(k)[:4] for k in range(3)]))
    with pytest.raises(DataError, match="all classes of real are equally large"):
        Job.of(even, synthetic, settings)


def test_vectors_are_compared_by_trees(
    tmp_path: Path, real_vectors: Dataset, synthetic_vectors: Dataset, settings: Settings
) -> None:
    found = finished(downstream(real_vectors, synthetic_vectors, replace(settings, steps=20), tmp_path))
    assert "balanced-softmax" not in found.rows
    assert found.facts.notes[-1].startswith("balanced-softmax is left out: gradient boosting takes no offset")
    assert found.facts.classifier == "Histogram gradient boosting of 20 rounds on vectors"
    values = found.rows["real"].figures["mean"]
    assert values[0] != values[1]
    assert min(values) > 0.4
    assert found.rows["synthetic x1"].synthetic == (0, 30, 50)
    assert found.rows["synthetic x1"].figures["tail"][0] > found.rows["real"].figures["tail"][0]


def test_a_lost_part_is_said(tmp_path: Path, real: Dataset, synthetic: Dataset, settings: Settings) -> None:
    from evenscore.downstream.job import read_all

    job = Job.of(real, synthetic, settings)
    with pytest.raises(DataError, match="the part 'real' of .* cannot be read any more: give the same command again"):
        read_all(job, Parts(tmp_path, job.signature))
