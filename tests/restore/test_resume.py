"""An interrupted restoration goes on where it stopped, in the same folder, and no other job does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenscore.cli import main
from evenscore.commands import restore as command
from evenscore.errors import RunError
from evenscore.lock import hold
from evenscore.restore import RePaint, SMCDiff, inpainting
from evenscore.run import Run
from evenscore.sampling.restored_files import LOCK, STATE, RestoreJob, Source, restore_files


@pytest.fixture
def job() -> RestoreJob:
    """Three pictures of random bytes whose left half is to be filled, three times each, four at once."""
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    known = torch.arange(8).expand(8, 8) >= 4
    sources = tuple(Source(f"image {i}", f"image {i}.png") for i in range(3))
    return RestoreJob(inpainting(images, known), sources, "inpaint", SMCDiff(2), 3, 3, 10, seed=1, batch_size=8)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_interrupted_job_goes_on_to_the_same_files(trained: Path, tmp_path: Path, job: RestoreJob) -> None:
    run, parts = Run.open(trained), tmp_path / "parts"
    assert list(restore_files(run, tmp_path / "whole", job)) == [(4, 9), (8, 9), (9, 9)]
    whole = files(tmp_path / "whole")
    assert sorted(whole) == sorted([f"image {i}-000{n}.png" for i in range(3) for n in (1, 2, 3)] + ["metadata.jsonl"])
    assert list(restore_files(run, parts, job, stop=lambda: True)) == [(4, 9)]
    assert (parts / STATE).is_file()
    with (parts / "metadata.jsonl").open("a") as file:
        file.write('{"file_name": "torn')  # the process was killed while it wrote
    (parts / "image 1-0002.png").write_bytes(b"half")
    assert list(restore_files(run, parts, job)) == [(8, 9), (9, 9)]
    assert files(parts) == whole


def test_a_job_killed_before_it_cleaned_up_only_cleans_up(trained: Path, tmp_path: Path, job: RestoreJob) -> None:
    steps = restore_files(Run.open(trained), tmp_path / "out", job)
    while next(steps) != (9, 9):
        pass
    steps.close()
    before = files(tmp_path / "out")
    assert list(restore_files(Run.open(trained), tmp_path / "out", job)) == [(9, 9)]
    assert files(tmp_path / "out") == {name: content for name, content in before.items() if name not in (STATE, LOCK)}


@pytest.mark.parametrize("other", ["seed", "method", "settings", "label", "pictures", "mask"])
def test_another_job_in_the_folder_is_refused(trained: Path, tmp_path: Path, job: RestoreJob, other: str) -> None:
    run, values, known = Run.open(trained), job.measurement.values, job.measurement.known
    list(restore_files(run, tmp_path, job, stop=lambda: True))
    changed = {
        "seed": replace(job, seed=2),
        "method": replace(job, method=RePaint(2)),
        "settings": replace(job, method=SMCDiff(2, threshold=0.4)),
        "label": replace(job, label=0),
        "pictures": replace(job, measurement=inpainting(values / 2, known)),
        "mask": replace(job, measurement=inpainting(values, ~known)),
    }[other]
    before = files(tmp_path)
    with pytest.raises(RunError, match="holds samples of another job: give the same command to go on"):
        list(restore_files(run, tmp_path, changed))
    assert files(tmp_path) == before


def test_a_folder_in_use_is_refused(trained: Path, tmp_path: Path, job: RestoreJob) -> None:
    run = Run.open(trained)
    list(restore_files(run, tmp_path, job, stop=lambda: True))
    with hold(tmp_path, LOCK), pytest.raises(RunError, match="in use by another process"):
        list(restore_files(run, tmp_path, job))


def test_the_command_stops_and_goes_on(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked:
        """Ctrl-C was pressed during the first batch."""

        def __call__(self) -> bool:
            return True

    @contextmanager
    def interrupted() -> Iterator[Asked]:
        yield Asked()

    def restore(out: str, *more: str) -> tuple[object, str]:
        words = [
            str(trained),
            "--task",
            "inpaint",
            "--input",
            str(tmp_path / "a.png"),
            "--mask",
            str(tmp_path / "m.png"),
        ]
        words += ["--samples", "3", "--steps", "2", "--method", "smcdiff", "--set", "particles=100", *more]
        with pytest.raises(SystemExit) as caught:
            main(["restore", *words, "--out", str(tmp_path / out)])
        return caught.value.code, capsys.readouterr().err

    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), 2)).save(tmp_path / "m.png")
    assert restore("whole")[0] in (0, None)
    with monkeypatch.context() as patch:
        patch.setattr(command, "stopping", interrupted)
        code, said = restore("parts")
    assert code == 130
    assert "stopped after 2 of 3 samples; the same command goes on from here" in said
    code, said = restore("parts", "--seed", "1")
    assert code == 3
    assert "holds samples of another job" in said
    assert restore("parts")[0] in (0, None)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    code, said = restore("parts")
    assert code == 3
    assert "exists and is not empty" in said
