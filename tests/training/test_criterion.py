"""Which checkpoint is best: a value that a person can compute, the same after any interruption, never mixed with another's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evenscore.checkpoint import Checkpoint, load_checkpoint, point, pointed, save_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import CheckpointError
from evenscore.objectives.denoising import denoising_loss
from evenscore.run import Run
from evenscore.training import train
from evenscore.training.criterion import Criterion, Standing
from evenscore.training.meters import probe_batch

Quick = Callable[..., TrainConfig]
Cli = Callable[..., Any]


def held_out(data: Dataset, counts: dict[int, int]) -> Dataset:
    """The data with so many held-out samples of each class."""
    assert data.test is not None
    rows = np.concatenate([data.test.of_class(k)[:n] for k, n in counts.items()])
    return replace(data, test=data.test.select(rows))


def checkpoints(path: Path) -> list[dict[str, Any]]:
    return [record for record in Run.open(path).records() if "criterion" in record]


def test_a_rare_class_counts_like_a_common_one(digits: Dataset, trained: Path) -> None:
    run, data = Run.open(trained), held_out(digits, {0: 40, 3: 1, 9: 2})
    denoiser, criterion = run.denoiser(), Criterion.of(data)
    found = criterion.measure(denoiser, run.config)
    assert data.test is not None
    batch = probe_batch(denoiser, data.test, run.config, [0, 3, 9])
    assert [int((batch.y == k).sum()) for k in (0, 3, 9)] == [40, 1, 2]
    with torch.no_grad():
        loss = denoising_loss(denoiser, denoiser.predict(batch.x_t, batch.t, batch.y), batch, "edm")
    means = [float(loss[batch.y == k].mean()) for k in (0, 3, 9)]
    assert found.mean == pytest.approx(sum(means) / 3)
    assert [found.by_class[k] for k in (0, 3, 9)] == pytest.approx(means)
    assert found.by_class[1] is None
    assert criterion.words == "mean over 3 of 10 classes of the denoising loss on held-out samples"


def test_the_probe_is_bounded_however_many_samples_are_held_out(digits: Dataset, trained: Path) -> None:
    assert digits.test is not None
    many = digits.test.select(np.tile(np.arange(len(digits.test)), 4))
    assert len(probe_batch(Run.open(trained).denoiser(), many, Run.open(trained).config).y) <= 256


def test_the_best_checkpoint_has_the_smallest_held_out_loss(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    path = tmp_path / "run"
    list(train(digits, path, quick(steps=6, lr=0.3, ema=0.0)))
    found = checkpoints(path)
    assert [record["step"] for record in found] == [2, 4, 6]
    for record in found:
        assert record["held_out"] == pytest.approx(np.mean(record["held_out_by_class"]))
        assert record["probe"] != record["held_out"]
        so_far = [r for r in found if r["step"] <= record["step"]]
        best = min(so_far, key=lambda r: float(r["held_out"]))
        assert (record["best_step"], record["best"]) == (best["step"], best["held_out"])
    assert pointed(path / "checkpoints", "best") == f"step-{found[-1]['best_step']:09d}"
    again = Criterion.of(digits).measure(Run.open(path).denoiser("best"), Run.open(path).config)
    assert again.mean == pytest.approx(found[-1]["best"], rel=1e-5)


def test_without_a_held_out_part_the_training_samples_are_used_and_it_says_so(
    tmp_path: Path, digits: Dataset, quick: Quick
) -> None:
    list(train(replace(digits, test=None), tmp_path / "run", quick()))
    record = checkpoints(tmp_path / "run")[-1]
    assert "held_out" not in record
    assert record["criterion"] == "mean over classes of the denoising loss on training samples"
    standing = Standing.of(Run.open(tmp_path / "run"))
    assert standing is not None
    assert standing.last == record["probe"]
    assert "no samples are held out: it says nothing of unseen ones" in standing.sentence()


def stopped(data: Dataset, path: Path, config: TrainConfig, steps: int) -> None:
    seen: list[str] = []
    for progress in train(data, path, config, stop=lambda: len(seen) >= steps - 1):
        seen.append(progress.event)
    assert seen[-1] == "stopped"


def test_an_interrupted_run_has_the_same_best_checkpoint(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    """A stop between regular checkpoints saves one more, which is no candidate."""
    config = quick(steps=6, lr=0.3, ema=0.0)
    list(train(digits, tmp_path / "whole", config))
    stopped(digits, tmp_path / "parts", config, 1)
    assert pointed(tmp_path / "parts" / "checkpoints", "best") is None
    with pytest.raises(CheckpointError, match="holds no best checkpoint yet: give --checkpoint last, or train on"):
        Run.open(tmp_path / "parts").denoiser("best")
    assert Standing.of(Run.open(tmp_path / "parts")) is None
    stopped(digits, tmp_path / "parts", config, 2)
    list(train(digits, tmp_path / "parts", config))
    whole, parts = (Run.open(tmp_path / name) for name in ("whole", "parts"))
    assert pointed(whole.checkpoints, "best") == pointed(parts.checkpoints, "best")
    assert Standing.of(whole) == Standing.of(parts)
    one, other = (load_checkpoint(run.checkpoints, "best").tensors for run in (whole, parts))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_kill_before_the_pointer_was_moved_is_mended(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    best = pointed(folder, "best")
    assert best == "step-000000004"
    point(folder, "best", "step-000000002")
    list(train(digits, tmp_path / "run", quick(steps=5)))
    found = checkpoints(tmp_path / "run")
    assert pointed(folder, "best") == f"step-{found[-1]['best_step']:09d}"
    (folder / "best").unlink()
    list(train(digits, tmp_path / "run", quick(steps=5)))
    assert pointed(folder, "best") == f"step-{found[-1]['best_step']:09d}"


@pytest.fixture
def of_before(tmp_path: Path, trained: Path) -> Path:
    """The trained run as an older evenscore would have left it: a best value by another criterion, records without one."""
    shutil.copytree(trained, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    held = load_checkpoint(folder)
    state = {key: held.state[key] for key in ("step", "seconds", "drawn")}
    save_checkpoint(folder, 4, Checkpoint(held.tensors, {**state, "best": 1e-9}))
    point(folder, "best", "step-000000002")
    log = tmp_path / "run" / "metrics.jsonl"
    kept = ("step", "seconds", "loss", "lr", "by_group", "by_class", "probe", "probe_by_class")
    lines = [{k: r[k] for k in kept if k in r} for r in Run.open(tmp_path / "run").records()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "run"


def test_a_run_of_before_goes_on_and_its_best_checkpoint_is_measured_anew(
    of_before: Path, digits: Dataset, quick: Quick
) -> None:
    assert Standing.of(Run.open(of_before)) is None
    run = Run.open(of_before)
    second = Criterion.of(digits).measure(run.denoiser("best"), run.config).mean
    list(train(digits, of_before, quick(steps=6)))
    (found,) = checkpoints(of_before)
    assert found["best"] == pytest.approx(min(second, found["held_out"]), rel=1e-5)
    assert found["best_step"] == (2 if second < found["held_out"] else 6)
    assert pointed(run.checkpoints, "best") == f"step-{found['best_step']:09d}"


def test_values_under_other_held_out_samples_are_not_compared(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    data, run = held_out(digits, dict.fromkeys(range(10), 3)), Run.open(tmp_path / "run")
    fourth = Criterion.of(data).measure(run.denoiser("best"), run.config).mean
    list(train(data, tmp_path / "run", quick(steps=5)))
    found = checkpoints(tmp_path / "run")[-1]
    assert found["best"] == pytest.approx(min(fourth, found["held_out"]), rel=1e-5)


def test_training_says_which_checkpoint_is_best(cli: Cli, tmp_path: Path) -> None:
    quick = ["--network", "tiny", "--set", "batch_size=8", "--set", "previews=0", "--set", "checkpoint_every=1"]
    command = ["train", "digits:factor=50", "--out", tmp_path / "run", "--steps", 2, *quick]
    said = cli(*command).err
    assert "best: step " in said
    assert "mean over classes of the denoising loss on held-out samples" in said
    assert "; last: step 2, " in said
    standing = json.loads(cli(*command, "--json").out)["standing"]
    assert standing["last_step"] == 2
    assert standing["best"] <= standing["last"]


def test_the_best_checkpoint_is_sampled_and_judged(
    cli: Cli, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENSCORE_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    point(run / "checkpoints", "best", "step-000000002")
    ask = ["--per-class", 1, "--nfe", 2, "--format", "npz", "--json"]
    said = {c: cli("sample", run, "--out", tmp_path / c, *ask, "--checkpoint", c) for c in ("last", "best")}
    assert {c: json.loads(done.out)["checkpoint"] for c, done in said.items()} == {
        "last": "step-000000004",
        "best": "step-000000002",
    }
    images = [np.load(tmp_path / c / "samples.npz")["train_images"] for c in ("last", "best")]
    assert not np.array_equal(*images)
    judged = ["--reference", "digits", "--features", "pixels", "--metrics", "kernel", "--per-class", 1, "--nfe", 2]
    found = json.loads(cli("evaluate", run, *judged, "--checkpoint", "best", "--json").out)
    assert found["protocol"]["settings"]["checkpoint"] == "step-000000002"


def test_a_job_on_another_checkpoint_is_another_job(cli: Cli, tmp_path: Path, trained: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(trained, run)
    point(run / "checkpoints", "best", "step-000000002")
    ask = ["sample", run, "--out", out, "--per-class", 1, "--nfe", 2]
    assert cli(*ask).code == 0
    cli(*ask, "--checkpoint", "best").assert_refused(3, "holds samples of another job")
    point(run / "checkpoints", "best", "step-000000004")
    assert cli(*ask, "--checkpoint", "best").code == 0, "the same checkpoint under another name is the same job"


def test_a_checkpoint_that_is_not_there_is_refused(cli: Cli, tmp_path: Path, trained: Path) -> None:
    cli("sample", trained, "--out", tmp_path / "o", "--checkpoint", "bset").assert_refused(2, "did you mean 'best'")
    (tmp_path / "images").mkdir()
    judge = ["evaluate", tmp_path / "images", "--reference", "digits"]
    cli(*judge, "--checkpoint", "best").assert_refused(2, "--checkpoint belongs to a run")
    judge[1] = trained
    cli(*judge, "--checkpoint", "newest").assert_refused(2, "unknown checkpoint 'newest'")
    bits = ["likelihood", trained, "digits:factor=50", "--per-class", 1]
    cli(*bits, "--checkpoint", "first").assert_refused(2, "unknown checkpoint 'first'")
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "best").unlink()
    judge[1] = tmp_path / "run"
    cli(*judge, "--checkpoint", "best").assert_refused(3, "holds no best checkpoint yet")
