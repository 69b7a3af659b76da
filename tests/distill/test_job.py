"""Distillation of a run: an interrupted one ends as the uninterrupted one, and what cannot go on is refused."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from evenscore.checkpoint import load_checkpoint, pointed, weights_digest
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.denoisers.one_step import OneStep
from evenscore.distill import Distillation, DistillConfig, Distiller, distill
from evenscore.distill.job import without_heads
from evenscore.distilled import Distilled
from evenscore.errors import CheckpointError, Diverged, EvenscoreError, RunError, UsageError
from evenscore.networks.heads import ClassHeads, last_layers
from evenscore.run import Run
from evenscore.sampling import ONE_STEP, Sampler, generate
from evenscore.training import Progress, train

SETTINGS: dict[str, Any] = {"steps": 4, "batch_size": 8, "score_steps": 1, "checkpoint_every": 2, "previews": 0}
KILLED = """
import os, signal, sys
from pathlib import Path
from evenscore.distill import DistillConfig, distill
from evenscore.run import Run
settings = dict(steps=4, batch_size=8, score_steps=1, checkpoint_every=2, previews=0)
for progress in distill(Run.open(Path(sys.argv[1])), Path(sys.argv[2]), DistillConfig(**settings)):
    if progress.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def config(**changed: Any) -> DistillConfig:
    return DistillConfig(**{**SETTINGS, **changed})


def parts(teacher: Path, out: Path, how: DistillConfig, events: int) -> list[Progress]:
    """That many events of a distillation, as a process that is then killed."""
    work = distill(Run.open(teacher), out, how)
    seen = [next(work) for _ in range(events)]
    work.close()
    return seen


def whole(teacher: Path, out: Path, how: DistillConfig) -> list[Progress]:
    return list(distill(Run.open(teacher), out, how))


def log(path: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in Run.open(path).records()]


def assert_same(one: Path, other: Path) -> None:
    a, b = (load_checkpoint(path / "checkpoints") for path in (one, other))
    assert a.tensors.keys() == b.tensors.keys()
    assert [key for key in a.tensors if not torch.equal(a.tensors[key], b.tensors[key])] == []
    assert log(one) == log(other)


@pytest.fixture(scope="module")
def quick_run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-step generator of the shared run; tests must not change it."""
    path = tmp_path_factory.mktemp("distilled") / "quick"
    events = [(p.step, p.event) for p in whole(trained, path, config())]
    assert events == [(1, "step"), (2, "saved"), (3, "step"), (4, "saved"), (4, "done")]
    return path


def test_a_killed_distillation_ends_as_the_uninterrupted_one(trained: Path, quick_run: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(trained), str(tmp_path / "parts")]
    done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert pointed(tmp_path / "parts" / "checkpoints", "last") == "step-000000002"
    assert [p.step for p in whole(trained, tmp_path / "parts", config())] == [3, 4, 4]
    assert_same(tmp_path / "parts", quick_run)


def test_before_the_first_checkpoint_it_begins_anew(trained: Path, quick_run: Path, tmp_path: Path) -> None:
    parts(trained, tmp_path / "parts", config(), 1)
    whole(trained, tmp_path / "parts", config())
    assert_same(tmp_path / "parts", quick_run)


def test_a_stop_saves_and_more_steps_may_be_asked_later(trained: Path, tmp_path: Path) -> None:
    events = list(distill(Run.open(trained), tmp_path / "out", config(), stop=lambda: True))
    assert [(p.step, p.event) for p in events] == [(1, "stopped")]
    assert [(p.step, p.event) for p in whole(trained, tmp_path / "out", config(steps=2))][-1] == (2, "done")
    assert Run.open(tmp_path / "out").distilled.settings["steps"] == 2  # type: ignore[union-attr]
    with pytest.raises(RunError, match="has 2 steps already, 1 were asked: ask for more"):
        whole(trained, tmp_path / "out", config(steps=1))


def test_the_generator_begins_as_the_teacher_at_one_level(trained: Path, quick_run: Path, tmp_path: Path) -> None:
    run, teacher = Run.open(quick_run), Run.open(trained).denoiser()
    assert run.distilled is not None
    job = Distiller(dataclasses.replace(run, path=tmp_path), teacher)
    z, y = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 4, 9])
    t = teacher.process.time(torch.tensor(run.distilled.log_snr, dtype=torch.float64)).float().expand(3)
    with torch.no_grad():
        expected = teacher.predict(teacher.process.sigma(t)[0] * z, t, y).x0
        torch.testing.assert_close(job.averaged.draw(z, y), expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(Run.open(quick_run).model().draw(z, y), expected), "it has learned something"  # type: ignore[operator]


def test_a_sample_is_one_evaluation_and_the_same_alone(quick_run: Path) -> None:
    model = Run.open(quick_run).model()
    assert isinstance(model, OneStep)
    seen: list[int] = []
    model.network.register_forward_hook(lambda module, given, found: seen.append(len(given[0])))
    (many,) = generate(model, [3, 4, 5, 6], seed=2, sampler=ONE_STEP)
    (alone,) = generate(model, [5], seed=2, sampler=ONE_STEP, indices=[2])
    assert seen == [4, 1]
    torch.testing.assert_close(alone.x[0], many.x[2], rtol=1e-5, atol=1e-5)


def test_what_cannot_be_drawn_is_refused(quick_run: Path, trained: Path) -> None:
    model, teacher = Run.open(quick_run).model(), Run.open(trained).model()
    with pytest.raises(UsageError, match="has no noise levels at which a solver or guidance could act"):
        generate(model, [0], seed=0, sampler=Sampler())
    with pytest.raises(UsageError, match="has no noise levels at which a solver or guidance could act"):
        generate(model, [0], seed=0, sampler=ONE_STEP, guide=lambda base, rows: base)
    with pytest.raises(UsageError, match="knows no null label: give classes of the model"):
        generate(model, [10], seed=0, sampler=ONE_STEP)
    with pytest.raises(UsageError, match="is for generators that `evenscore distill` made: choose another solver"):
        generate(teacher, [0], seed=0, sampler=ONE_STEP)
    with pytest.raises(UsageError, match="a generator is asked once, without grid, guidance or settings"):
        Sampler(solver="one-step", nfe=2)


def test_a_folder_goes_on_with_the_same_teacher_and_settings_only(
    trained: Path, quick_run: Path, tmp_path: Path, digits: Dataset, quick: Callable[..., TrainConfig]
) -> None:
    with pytest.raises(RunError, match="was started with method=kl, now method=fisher was asked"):
        whole(trained, quick_run, config(method="fisher"))
    with pytest.raises(RunError, match="is a run that was trained, and is left as it is: choose another --out"):
        whole(trained, trained, config())
    list(train(digits, tmp_path / "other", quick(steps=1)))
    with pytest.raises(RunError, match="learns from .* with other weights than .* has now: give that run as it was"):
        whole(tmp_path / "other", quick_run, config())
    with pytest.raises(RunError, match="knows no score and is trained by `evenscore distill` only"):
        whole(quick_run, tmp_path / "third", config())
    assert not (tmp_path / "third").exists()
    with pytest.raises(RunError, match="knows no score and is trained by `evenscore distill` only"):
        list(train(digits, quick_run, quick(steps=9)))
    with Run.open(quick_run).lock(), pytest.raises(RunError, match="is in use by another process"):
        whole(trained, quick_run, config())


def test_a_damaged_checkpoint_is_never_used(trained: Path, quick_run: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(quick_run, tmp_path / "quick"))
    tensors = path / "checkpoints" / "step-000000004.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"!")
    for work in (lambda: whole(trained, path, config(steps=5)), Run.open(path).model):
        with pytest.raises(CheckpointError, match="do not match the checksum"):
            work()


def test_what_diverges_is_taken_back_with_half_the_rates(
    trained: Path, quick_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, step = [], Distillation.step

    def spoiled(self: Distillation, k: int, fraction: float, rate: float = 1.0) -> Any:
        rates.append((k, rate))
        if k == 2 and rate == 1:
            raise Diverged("the gradient became nan", k + 1)
        return step(self, k, fraction, rate)

    monkeypatch.setattr(Distillation, "step", spoiled)
    events = whole(trained, tmp_path / "out", config())
    assert [(p.step, p.event) for p in events][2] == (2, "rolled back")
    assert "back to step 2, with 0.5 times the learning rate (rescue 1 of 3)" in events[2].text
    assert rates == [(0, 1.0), (1, 1.0), (2, 1.0), (2, 0.5), (3, 0.5)]
    assert load_checkpoint(tmp_path / "out" / "checkpoints").state["rescues"] == 1


def test_both_rates_are_halved(trained: Path, quick_run: Path, tmp_path: Path) -> None:
    run = dataclasses.replace(Run.open(quick_run), path=tmp_path)
    moved = []
    for rate in (1.0, 0.5):
        core = Distiller(run, Run.open(trained).denoiser()).core
        core.step(0, 0.0, rate)
        moved.append([group["lr"] for o in (core.optimiser, core.own_optimiser) for group in o.param_groups])
    assert moved[1] == [lr / 2 for lr in moved[0]]


def test_samples_that_explode_are_never_kept(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(EvenscoreError, match="became .* at step .*, and the learning rate was halved 3 times already"):
        whole(trained, tmp_path / "out", config(lr=1e4, clip=1e30, warmup=0, ema=0.0))
    assert pointed(tmp_path / "out" / "checkpoints", "last") is None


def test_heads_are_left_to_the_teacher(trained: Path) -> None:
    denoiser = Run.open(trained).denoiser()
    plain = last_layers(denoiser.backbone, torch.tensor([0]))  # type: ignore[arg-type]
    denoiser.backbone = ClassHeads(denoiser.backbone, torch.zeros(11, *plain.shape[1:]))
    mine = without_heads(denoiser)
    assert weights_digest(mine) == weights_digest(Run.open(trained).denoiser())
    assert isinstance(denoiser.backbone, ClassHeads)
    assert all(p.requires_grad for p in mine.parameters())


def test_vectors_can_be_distilled_too(tmp_path: Path, quick: Callable[..., TrainConfig]) -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).numpy()
    list(train(Dataset.from_arrays(x, [0, 1] * 20), tmp_path / "run", quick(steps=2)))
    assert whole(tmp_path / "run", tmp_path / "out", config(method="fisher", previews=2))[-1].event == "done"
    (batch,) = generate(Run.open(tmp_path / "out").model(), [0, 1], seed=0, sampler=ONE_STEP)
    assert batch.x.shape == (2, 3)


def test_the_record_is_read_as_written_and_nothing_else(quick_run: Path, tmp_path: Path) -> None:
    mine = Run.open(quick_run).distilled
    assert mine is not None
    assert Distilled.from_mapping(mine.to_mapping()) == mine
    changes: list[tuple[dict[str, Any], str]] = [
        ({"weights": "abc"}, "must be a SHA-256"),
        ({"log_snr": 60.0}, "must be from -50 to 50"),
        ({"teacher": 3}, "takes a word"),
        ({"settings": {"lr": [1]}}, "must be a plain value"),
        ({"techer": "x"}, "did you mean 'teacher'"),
    ]
    path = Path(shutil.copytree(quick_run, tmp_path / "quick")) / "config.yaml"
    record = yaml.safe_load(path.read_text())
    for change, words in changes:
        with pytest.raises(UsageError, match=words):
            Distilled.from_mapping({**mine.to_mapping(), **change})
        path.write_text(yaml.safe_dump({**record, "distilled": {**record["distilled"], **change}}))
        with pytest.raises(RunError, match=r"config.yaml cannot be understood"):
            Run.open(path.parent)
    path.write_text(yaml.safe_dump({**record, "distilled": 3}))
    with pytest.raises(RunError, match=r"config.yaml cannot be understood"):
        Run.open(path.parent)
