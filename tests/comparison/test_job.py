"""The engine, with a judge of weights: nothing is lost, nothing is done twice, and one folder holds one job."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from evenscore.comparison import Budget, ComparisonConfig, Recipe, Stage, compare
from evenscore.comparison import trial as trial_module
from evenscore.comparison.page import rewrite
from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.errors import DataError, EvenscoreError, RunError, UsageError
from evenscore.labels import LabelDistribution
from evenscore.lock import hold
from evenscore.objectives import Denoising, Noised
from evenscore.report import quality_page
from evenscore.report.quality import QualityReport
from tests.comparison.conftest import WeightJudge, settings

Play = Callable[..., list[Stage]]


@dataclass(frozen=True)
class Breaks(Denoising):
    """Plain denoising that fails late, as code of a third party may."""

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: Any
    ) -> Mapping[str, Tensor]:
        if batch.progress > 0.6:
            raise ValueError("the third party\nis out")
        return super().__call__(denoiser, batch, labels, generator)


BREAKS = Recipe("breaks", {"objective": f"{__name__}:Breaks"})


def result(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    return found


def parts(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}


def test_every_method_has_its_seeds_and_the_baseline_is_trained_once(play: Play, tmp_path: Path) -> None:
    stages = play(tmp_path / "out", "cbdm")
    assert stages[0].text == "cbdm against plain (added); 2 seeds; 4 steps of the baseline"
    assert (stages[-1].name, stages[-1].fraction) == ("done", 1.0)
    assert not list((tmp_path / "out" / "runs").iterdir())
    found = result(tmp_path / "out")
    compute, updates = found["sections"]
    assert [compute["equal"], updates["equal"]] == ["compute", "updates"]
    assert [row["method"] for row in compute["methods"]] == ["plain", "cbdm"]
    assert updates["methods"][1]["steps"] == 4
    cost = found["timing"]["cost of a step"]["cbdm"]
    assert compute["methods"][1]["steps"] == max(1, round(4 / cost))
    assert all(row["seeds"] == [0, 1] for section in found["sections"] for row in section["methods"])
    assert compute["methods"][0] == updates["methods"][0]
    assert len([name for name in parts(tmp_path / "out") if name.startswith("plain")]) == 2
    assert compute["methods"][0]["differences"] == {}
    seeds = [[row["by_seed"][seed]["energy"][0] for seed in "01"] for row in updates["methods"]]
    by_seed = [ours - theirs for theirs, ours in zip(*seeds, strict=True)]
    assert updates["methods"][1]["differences"]["energy"][0]["value"] == pytest.approx(sum(by_seed) / 2)
    ours, theirs = (updates["methods"][i]["figures"]["energy"][0]["value"] for i in (1, 0))
    assert updates["methods"][1]["differences"]["energy"][0]["value"] == pytest.approx(ours - theirs)
    assert "was not among the recipes and was added" in found["notes"][0]
    assert "| cbdm |" in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")


def test_a_comparison_that_was_stopped_goes_on_to_the_same_table(play: Play, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    play(whole, "cbdm", equal="updates")
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked % 5 == 0

    stages = 0
    while (last := play(broken, "cbdm", equal="updates", stop=stop)[-1]).name == "stopped":
        stages += 1
        assert last.text == "the same command goes on from here"
    assert stages > 2
    assert {**result(broken), "timing": None} == {**result(whole), "timing": None}


def test_recipes_and_seeds_may_be_added_and_nothing_is_done_again(play: Play, tmp_path: Path) -> None:
    play(tmp_path, "cbdm", equal="updates", seeds=1)
    before = parts(tmp_path)
    play(tmp_path, "cbdm", "resampled", equal="updates", seeds=2)
    after = parts(tmp_path)
    assert {name: after[name] for name in before} == before
    assert (len(before), len(after)) == (2, 6)
    assert [row["seeds"] for row in result(tmp_path)["sections"][0]["methods"]] == [[0, 1]] * 3
    play(tmp_path, "resampled", equal="both", seeds=2)
    assert {name: parts(tmp_path)[name] for name in after} == after


@pytest.mark.parametrize(
    ("recipe", "changes", "words"),
    [
        ("cbdm", {"budget": Budget(steps=5)}, "with budget=4 steps, now budget=5 steps was asked"),
        ("cbdm", {"common": {"batch_size": 5}}, r"with set=\{"),
        ("cbdm", {"grid": {"lr": ("1e-3",)}}, r"with grid=\{\}, now grid="),
        ("cbdm=cbdm:tau=2", {}, "with 'cbdm' as objective=.*'tau': 1.0.*, now objective=.*'tau': 2.0"),
        ("plain=resampled", {"baseline": "cbdm"}, "with baseline=plain, now baseline=cbdm was asked"),
    ],
)
def test_another_job_is_refused_by_its_difference(
    play: Play, tmp_path: Path, recipe: str, changes: dict[str, Any], words: str
) -> None:
    play(tmp_path, "cbdm", stop=lambda: True)
    with pytest.raises(RunError, match=words):
        play(tmp_path, recipe, **changes)
    assert json.loads((tmp_path / "job.json").read_text(encoding="utf-8"))["budget"] == "4 steps"


def test_other_data_another_folder_and_a_folder_in_use_are_refused(play: Play, digits: Dataset, tmp_path: Path) -> None:
    fewer = digits.select(range(1, len(digits)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and holds no comparison: choose a new folder"):
        play(tmp_path / "other", "cbdm")
    play(tmp_path / "out", "cbdm", stop=lambda: True)
    with hold(tmp_path / "out", "lock"), pytest.raises(RunError, match="in use by another process"):
        play(tmp_path / "out", "cbdm")
    with pytest.raises(RunError, match="holds a comparison on other data"):
        list(compare(fewer, ["cbdm"], tmp_path / "out", settings(), judge=WeightJudge()))
    for damaged in ("{", "[]", '{"network": "tiny"}'):
        (tmp_path / "out" / "measured.json").write_text(damaged)
        with pytest.raises(RunError, match="measured.json cannot be understood: remove it"):
            play(tmp_path / "out", "cbdm")


def test_a_method_that_fails_does_not_lose_the_others_and_is_tried_again(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = play(tmp_path, BREAKS, "cbdm", equal="updates")
    assert [stage.text for stage in stages if stage.name == "failed"] == [
        f"breaks, 4 steps, seed {seed}: ValueError: the third party is out" for seed in (0, 1)
    ]
    assert "2 failures, the same command tries these again" in stages[-1].text
    found = result(tmp_path)
    _, breaks, cbdm = found["sections"][0]["methods"]
    assert breaks["failures"] == [f"seed {seed}: ValueError: the third party is out" for seed in (0, 1)]
    assert "breaks cannot be compared with plain: seed 0: ValueError" in breaks["verdict"]["text"]
    assert len(found["failures"]) == 2
    assert cbdm["seeds"] == [0, 1]
    monkeypatch.setattr(Breaks, "__call__", Denoising.__call__)
    play(tmp_path, BREAKS, "cbdm", equal="updates")
    assert result(tmp_path)["failures"] == []
    assert not list((tmp_path / "failures").iterdir())
    assert result(tmp_path)["sections"][0]["methods"][1]["seeds"] == [0, 1]


def test_a_method_whose_cost_cannot_be_measured_fails_alone(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evenscore.comparison.cost.PARTS", (0.7,))
    stages = play(tmp_path, BREAKS, "cbdm", equal="updates")
    assert [stage.text for stage in stages if stage.name == "failed"] == ["breaks: ValueError: the third party is out"]
    _, breaks, cbdm = result(tmp_path)["sections"][0]["methods"]
    assert "the cost of a step could not be measured: ValueError" in breaks["failures"][0]
    assert (breaks["steps"], cbdm["seeds"]) == (None, [0, 1])


def test_a_baseline_that_fails_leaves_the_figures_without_differences(play: Play, tmp_path: Path) -> None:
    play(tmp_path, BREAKS, "cbdm", baseline="breaks", equal="updates")
    found = result(tmp_path)
    assert found["sections"][0]["methods"][1]["differences"] == {}
    assert found["sections"][0]["methods"][1]["figures"]["energy"][0]["value"] > 0
    assert "cbdm cannot be compared with breaks" in found["sections"][0]["words"][2]


def test_a_baseline_that_cannot_train_ends_the_comparison(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such layer")

    monkeypatch.setattr(Breaks, "__call__", broken)
    with pytest.raises(EvenscoreError, match="the baseline 'breaks' cannot train .ValueError: no such layer.: mend it"):
        play(tmp_path, BREAKS, "cbdm", baseline="breaks")


def test_every_method_chooses_its_place_and_guidance_on_a_seed_that_is_not_judged(play: Play, tmp_path: Path) -> None:
    asked = {"grid": {"lr": ("1e-3", "2e-3")}, "guidance_grid": (2.0, 1.0), "equal": "updates"}
    stages = play(tmp_path, "cbdm", **asked)
    assert {"choose", "compare"} <= {stage.name for stage in stages}
    for row in result(tmp_path)["sections"][0]["methods"]:
        assert row["chosen"] == {"lr": "2e-3", "guidance": 1.0}
        assert row["seeds"] == [0, 1]
    choosing = [name for name in parts(tmp_path) if "seed-1000000" in name]
    assert len(choosing) == 4
    assert "choice" in result(tmp_path)["protocol"]


def test_a_place_that_diverges_is_not_chosen_and_is_no_failure(play: Play, tmp_path: Path) -> None:
    stages = play(tmp_path, "cbdm", grid={"lr": ("1e-3", "1e30")}, equal="updates", seeds=1)
    assert "failed" not in {stage.name for stage in stages}
    found = result(tmp_path)
    assert [row["chosen"]["lr"] for row in found["sections"][0]["methods"]] == ["1e-3", "1e-3"]
    assert any("cbdm at lr 1e30 came to a loss that is not finite" in note for note in found["notes"])
    assert found["failures"] == []


def test_a_run_that_diverges_is_a_failure(play: Play, tmp_path: Path) -> None:
    play(tmp_path, "wild=cbdm:lr=1e30", equal="updates", seeds=1)
    (failure,) = result(tmp_path)["failures"]
    assert failure.startswith("wild: seed 0: the ")
    assert "start a new run with a smaller --set lr" in failure


def test_a_grid_of_nothing_but_divergence_is_said(play: Play, tmp_path: Path) -> None:
    play(tmp_path, "cbdm", grid={"lr": ("1e30",)}, equal="updates", seeds=1)
    assert all(
        "every place of the grid came to a loss that is not finite" in text for text in result(tmp_path)["failures"]
    )
    assert result(tmp_path)["measures"] == []


def test_runs_are_kept_where_that_is_asked(play: Play, tmp_path: Path) -> None:
    play(tmp_path, "cbdm", keep_runs=True, seeds=1, equal="updates")
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_the_page_says_what_the_result_says_and_can_be_written_again(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[QualityReport] = []

    def draw(records: QualityReport) -> str:
        seen.append(records)
        return quality_page(records)

    monkeypatch.setattr("evenscore.comparison.page.quality_page", draw)
    play(tmp_path, "cbdm", seeds=1, equal="updates")
    assert "cbdm" in (tmp_path / "index.html").read_text()
    (records,) = seen
    plain, cbdm = records.sections[0].methods
    assert (records.baseline, plain.name, cbdm.name) == ("plain", "plain", "cbdm")
    assert cbdm.facts["steps"] == "4"
    assert cbdm.settings["objective"] == "cbdm"
    assert [p.name for p in cbdm.pictures] == [f"{k}" for k in range(10)]
    assert cbdm.pictures[3].synthetic.shape == cbdm.pictures[3].nearest.shape == (2, 8, 8, 1)
    assert cbdm.curves["loss by group"]["head"]
    assert len(records.real["0"]) == 12
    (tmp_path / "index.html").unlink()
    assert rewrite(tmp_path) == tmp_path / "index.html"
    assert seen[1].sections[0].methods[1].figures == cbdm.figures
    assert len(seen[1].real["0"]) == 12


def test_a_full_disk_is_no_failure_of_a_method(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DataError("the disk is full")

    monkeypatch.setattr(trial_module.Folder, "finish", full)
    monkeypatch.setattr(trial_module.Folder, "fail", full)
    with pytest.raises(DataError, match="the disk is full"):
        play(tmp_path, "cbdm")


def test_what_cannot_be_trained_is_refused_before_anything_is_written(digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="recipe 'plain': unknown key 'tau'"):
        list(compare(digits, ["cbdm"], tmp_path / "out", ComparisonConfig(Budget(steps=1), grid={"tau": ("1", "2")})))
    assert not (tmp_path / "out").exists()
