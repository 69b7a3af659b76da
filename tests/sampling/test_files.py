"""Samples as files: the asked numbers, jobs that go on where they stopped, and nothing written over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenscore.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from evenscore.commands.sample import wanted
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.errors import CheckpointError, DataError, NotFinite, RunError, UsageError
from evenscore.lock import hold
from evenscore.run import Run
from evenscore.sampling import Sampler
from evenscore.sampling.files import LOCK, STATE, SampleJob, sample_files
from evenscore.training import train
from evenscore.writing import ImageFolder, folder_names

COUNTS = (3, 0, 2, 1, 0, 0, 0, 0, 0, 4)


@pytest.fixture
def job() -> SampleJob:
    return SampleJob(COUNTS, Sampler(nfe=3, guidance=2.0), seed=1, batch_size=4)


def images(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.png"))}


def test_there_are_exactly_the_asked_numbers(trained: Path, tmp_path: Path, job: SampleJob) -> None:
    run, out = Run.open(trained), tmp_path / "out"
    assert list(sample_files(run, out, job)) == [(4, 10), (8, 10), (10, 10)]
    found = [len(list((out / name).glob("*.png"))) for name in run.card.class_names]
    assert tuple(found) == COUNTS
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(10))
    assert [line["label"] for line in lines] == [n for n, c in zip("0123456789", COUNTS, strict=True) for _ in range(c)]
    assert all(line["synthetic"] is True and line["seed"] == 1 and line["run"] == "run" for line in lines)
    assert all(Image.open(out / line["file_name"]).size == (8, 8) for line in lines)


def test_an_interrupted_job_goes_on_to_the_same_bytes(trained: Path, tmp_path: Path, job: SampleJob) -> None:
    run = Run.open(trained)
    list(sample_files(run, tmp_path / "whole", job))
    assert list(sample_files(run, tmp_path / "parts", job, stop=lambda: True)) == [(4, 10)]
    with (tmp_path / "parts" / "metadata.jsonl").open("a") as file:
        file.write('{"file_name": "0/torn')  # the process was killed while it wrote
    (tmp_path / "parts" / "2" / "synthetic-0000004.png").write_bytes(b"half")
    assert list(sample_files(run, tmp_path / "parts", job)) == [(8, 10), (10, 10)]
    assert images(tmp_path / "parts") == images(tmp_path / "whole")
    one, other = ((tmp_path / name / "metadata.jsonl").read_bytes() for name in ("whole", "parts"))
    assert one == other


def test_a_finished_job_is_left_alone(trained: Path, tmp_path: Path, job: SampleJob) -> None:
    run = Run.open(trained)
    list(sample_files(run, tmp_path / "out", job))
    before = images(tmp_path / "out")
    assert list(sample_files(run, tmp_path / "out", job)) == [(10, 10)]
    assert images(tmp_path / "out") == before


@pytest.mark.parametrize("other", ["seed", "sampler", "counts"])
def test_another_job_in_the_folder_is_refused(trained: Path, tmp_path: Path, job: SampleJob, other: str) -> None:
    run = Run.open(trained)
    list(sample_files(run, tmp_path / "out", job, stop=lambda: True))
    changed = {
        "seed": SampleJob(COUNTS, job.sampler, 2, batch_size=4),
        "sampler": SampleJob(COUNTS, Sampler(nfe=4, guidance=2.0), 1, batch_size=4),
        "counts": SampleJob((1,) * 10, job.sampler, 1, batch_size=4),
    }[other]
    before = images(tmp_path / "out")
    with pytest.raises(RunError, match="holds samples of another job: give the same command to go on"):
        list(sample_files(run, tmp_path / "out", changed))
    assert images(tmp_path / "out") == before


def test_a_run_that_was_trained_further_is_another_job(
    trained: Path, tmp_path: Path, job: SampleJob, digits: Dataset, quick: Callable[..., TrainConfig]
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    list(sample_files(Run.open(tmp_path / "run"), tmp_path / "out", job, stop=lambda: True))
    list(train(digits, tmp_path / "run", quick(steps=5)))
    with pytest.raises(RunError, match="holds samples of another job"):
        list(sample_files(Run.open(tmp_path / "run"), tmp_path / "out", job))


def test_a_second_process_and_a_damaged_state_are_refused(trained: Path, tmp_path: Path, job: SampleJob) -> None:
    run, out = Run.open(trained), tmp_path / "out"
    list(sample_files(run, out, job, stop=lambda: True))
    with hold(out, LOCK), pytest.raises(RunError, match="is in use by another process"):
        list(sample_files(run, out, job))
    for content in ("", "[]", "{}", '{"job": 1, "done": "x"}'):
        (out / STATE).write_text(content)
        with pytest.raises(RunError, match="cannot be understood: remove"):
            list(sample_files(run, out, job))


def test_an_archive_is_read_back_as_data(trained: Path, tmp_path: Path) -> None:
    job = SampleJob((2,) * 10, Sampler(nfe=3), 0, "npz", batch_size=8)
    assert list(sample_files(Run.open(trained), tmp_path / "out", job))[-1] == (20, 20)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["samples.npz"]
    data = load(str(tmp_path / "out" / "samples.npz"))
    assert data.distribution.counts == (2,) * 10
    assert (data.shape, data.class_names) == ((1, 8, 8), tuple("0123456789"))
    png = SampleJob((2,) * 10, Sampler(nfe=3), 0, "png", batch_size=8)
    list(sample_files(Run.open(trained), tmp_path / "png", png))
    again = load(str(tmp_path / "png"))
    assert np.array_equal(again.values, data.values), "both formats hold the same samples"
    assert np.array_equal(again.labels, data.labels)


def test_nothing_is_written_when_the_request_or_the_run_is_bad(trained: Path, tmp_path: Path, job: SampleJob) -> None:
    with pytest.raises(UsageError, match="2 counts were given for 10 classes"):
        list(sample_files(Run.open(trained), tmp_path / "out", SampleJob((1, 1), job.sampler)))
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-000000004.safetensors").write_bytes(b"x")
    for kind in ("png", "npz"):
        with pytest.raises(CheckpointError, match="is damaged"):
            list(sample_files(Run.open(tmp_path / "run"), tmp_path / "out", SampleJob(COUNTS, job.sampler, 0, kind)))
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    for kind in ("png", "npz"):
        with pytest.raises(DataError, match="exists and is not empty: choose a new folder, nothing is overwritten"):
            list(sample_files(Run.open(trained), tmp_path / "full", SampleJob(COUNTS, job.sampler, 0, kind)))
    with pytest.raises(UsageError, match="held-out data, which must stay real"):
        list(sample_files(Run.open(trained), tmp_path / "Test", job))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "run"]


def test_jobs_without_meaning_are_refused() -> None:
    with pytest.raises(UsageError, match="no sample was asked for"):
        SampleJob((0, 0), Sampler())
    with pytest.raises(UsageError, match="unknown format 'pgn': did you mean 'png'"):
        SampleJob((1,), Sampler(), format="pgn")


def test_counts_come_from_a_number_or_a_file(tmp_path: Path) -> None:
    names = ("cat", "dog", "7")
    (tmp_path / "counts.yaml").write_text("dog: 2\ncat: 1\n7: 0\n")
    (tmp_path / "100").write_text("dog: 2\ncat: 1\n7: 0\n")
    (tmp_path / "few.json").write_text('{"dog": 2, "cat": 1}')
    (tmp_path / "more.json").write_text('{"dog": 2, "cats": 1, "7": 1}')
    assert wanted(4, None, names) == (4, 4, 4)
    assert wanted(None, None, names) == (100, 100, 100)
    assert wanted(None, tmp_path / "counts.yaml", names) == wanted(None, tmp_path / "100", names) == (1, 2, 0)
    for per_class, counts, words in (
        (1, tmp_path / "counts.yaml", "were both given: give one of them"),
        (0, None, "--per-class 0 cannot be used: give at least 1"),
        (None, tmp_path / "none.yaml", "does not exist: give a JSON or YAML file"),
        (None, tmp_path / "few.json", "class '7' is given None: give every class a whole number"),
        (None, tmp_path / "more.json", "unknown class 'cats': did you mean 'cat'"),
    ):
        with pytest.raises(UsageError, match=words):
            wanted(per_class, counts, names)


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (("cat", "dog"), ("cat", "dog")),
        (("../up", "..", "/abs", "a/b", "a\\b"), ("_up", "class", "_abs", "a_b", "a_b 2")),
        (("Cat", "cat", "CAT "), ("Cat", "cat 2", "CAT 3")),
        (("test", "Val", "metadata.jsonl"), ("class test", "class Val", "metadata.jsonl 2")),
        (("日本", "a\nb", ""), ("日本", "a_b", "class")),
        (("x" * 300,), ("x" * 60,)),
        (("caf\u00e9", "cafe\u0301", "CAF\u00c9"), ("caf\u00e9", "cafe_", "CAF\u00c9 2")),
        (("stra\u00dfe", "STRASSE", "\ufb01n", "fin"), ("stra\u00dfe", "STRASSE 2", "\ufb01n", "fin 2")),
        (("fin", "fin\u200b", "fi\u202en"), ("fin", "fin_", "fi_n")),
    ],
)
def test_class_names_become_safe_folder_names(names: tuple[str, ...], folders: tuple[str, ...]) -> None:
    assert folder_names(names) == folders


def test_a_taken_over_file_is_the_file_itself_also_behind_a_link_and_after_a_torn_copy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real.png").write_bytes(b"content")
    (tmp_path / "data" / "link.png").symlink_to("real.png")
    folder = ImageFolder.at(tmp_path / "out", ["a"])
    (tmp_path / "out" / "a" / "torn.png").write_bytes(b"con")
    for name, source in (("torn.png", "real.png"), ("linked.png", "link.png")):
        folder.link(0, name, tmp_path / "data" / source)
        assert (tmp_path / "out" / "a" / name).read_bytes() == b"content"
    folder.put(0, "torn.png", b"new")
    assert (tmp_path / "data" / "real.png").read_bytes() == b"content", "the source is never written through a link"
    with pytest.raises(DataError, match="cannot be read any more"):
        folder.link(0, "gone.png", tmp_path / "data" / "gone.png")


LINE = {"file_name": "a/0.png", "label": "a", "synthetic": True}


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "[1]",
        json.dumps({**LINE, "file_name": "../0.png"}),
        json.dumps({**LINE, "file_name": "a/../../0.png"}),
        json.dumps({**LINE, "file_name": "/etc/passwd"}),
        json.dumps({**LINE, "file_name": "b/0.png"}),
        json.dumps({**LINE, "file_name": 5}),
        json.dumps({**LINE, "label": "b"}),
        json.dumps({**LINE, "synthetic": "yes"}),
    ],
)
def test_metadata_that_are_not_ours_are_refused(tmp_path: Path, line: str) -> None:
    folder = ImageFolder.at(tmp_path / "out", ["a"])
    folder.record([LINE])
    assert [found.record for found in folder.found()] == [LINE]
    with (tmp_path / "out" / "metadata.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=r"metadata\.jsonl cannot be understood: remove .*out and start again"):
        list(folder.found())


def test_samples_that_are_not_finite_are_never_written(trained: Path, tmp_path: Path, job: SampleJob) -> None:
    shutil.copytree(trained, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    kept = load_checkpoint(folder)
    spoilt = {key: value.clone() for key, value in kept.tensors.items()}
    next(value for key, value in spoilt.items() if key.startswith("ema.") and value.ndim == 4)[0] = float("nan")
    save_checkpoint(folder, int(kept.state["step"]), Checkpoint(spoilt, kept.state))
    with pytest.raises(NotFinite, match="sample 0 became NaN or infinite, 4 of 4 in its batch: give a guidance scale"):
        list(sample_files(Run.open(tmp_path / "run"), tmp_path / "out", job))
    assert list((tmp_path / "out").rglob("*.png")) == []
    assert list(ImageFolder.at(tmp_path / "out", Run.open(trained).card.class_names).found()) == []
