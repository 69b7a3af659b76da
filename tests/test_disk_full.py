"""A disk that is full at any write: one sentence, nothing broken, and the same command ends as if there had been space."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.interrupted import corrupt, differences_of_folders, differences_of_runs
from tests.judges import brief_judges
from tests.small import small

TRAIN = [*small(1), "--steps", "4", "--set", "warmup=2", "--set", "checkpoint_every=2"]
LEAST = 4
"""Times that the disk is full before a command may come to its end."""
Cli = Callable[..., Any]


class Torn:
    """A file in which writing stops in the middle once the disk is full."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, content: Any) -> int:
        """Half of the content and an error, where no space is left."""
        self.disk.writes += 1
        if self.disk.writes > self.disk.space:
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(content))


class Disk:
    """A disk with room for ``space`` writes below ``root``; with room for all when it is None."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.opened = str(root), io.open
        self.space, self.writes = float("inf"), 0
        monkeypatch.setattr(io, "open", self.open)

    def open(self, file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        """``io.open``, by which every path opens its file."""
        made = self.opened(file, mode, *given, **named)
        writing = mode[0] in "wax" and os.path.abspath(file).startswith(self.root)
        return Torn(made, self) if writing else made

    def leave(self, space: float) -> None:
        """So many writes are left."""
        self.space, self.writes = space, 0


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The disk that holds ``tmp_path / "broken"``."""
    brief_judges(monkeypatch)
    return Disk(tmp_path / "broken", monkeypatch)


def goes_on(
    cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, root: Path, command: list[str], spaces: list[int]
) -> None:
    """The command on the whole, then with the disk full after each of ``spaces`` writes, then with space again."""
    for name in ("whole", "broken"):
        (root / name).mkdir()
    monkeypatch.chdir(root / "whole")
    assert cli(*command).code == 0
    monkeypatch.chdir(root / "broken")
    for tried, space in enumerate(spaces):
        disk.leave(space)
        refused = cli(*command)
        if refused.code == 0 and tried >= LEAST:
            break  # what was left to write fitted
        refused.assert_refused(3, "the disk is full while writing")
        assert "free some space and give the same command again" in refused.err
        assert corrupt(root / "broken") == []
    disk.leave(float("inf"))
    again = cli(*command)
    assert again.code == 0, again.err


def test_training(cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = ["train", "digits:factor=50", "--out", "run", *TRAIN]
    goes_on(cli, disk, monkeypatch, tmp_path, command, [0, 2, 3, 4, 5, 6, 7, 5, 9, 8, 4])
    assert differences_of_runs(tmp_path / "whole" / "run", tmp_path / "broken" / "run") == []


def test_sampling(cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: Path) -> None:
    monkeypatch.setattr("evenscore.sampling.files.SampleJob.batch_size", 4)
    command = ["sample", str(trained), "--out", "out", "--per-class", "1", "--nfe", "2"]
    goes_on(cli, disk, monkeypatch, tmp_path, command, [0, 1, 2, 5, 6, 7, 3])
    assert differences_of_folders(tmp_path / "whole", tmp_path / "broken") == []


def test_balancing(cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: Path) -> None:
    command = ["balance", "digits:factor=50", "--run", str(trained), "--out", "out", "--target", "3", "--nfe", "2"]
    goes_on(cli, disk, monkeypatch, tmp_path, command, [0, 3, 29, 30, 31, 33, 3, 4])
    assert differences_of_folders(tmp_path / "whole", tmp_path / "broken") == []


def test_balancing_a_table(cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("imblearn")
    table = tmp_path / "table.csv"
    rows = [f"{i % 7},{'ab'[i % 2]},{'rare' if i % 5 == 0 else 'common'}" for i in range(40)]
    table.write_text("\n".join(["size,place,kind", *rows]) + "\n")
    command = [
        "balance",
        str(table),
        "--label",
        "kind",
        "--folds",
        "0",
        "--out",
        "out.csv",
        "--set",
        "correction=never",
    ]
    goes_on(cli, disk, monkeypatch, tmp_path, command, [0, 1])
    assert differences_of_folders(tmp_path / "whole", tmp_path / "broken") == []


def test_comparing(cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("evenscore.comparison.cost.STEPS", 1)
    command = ["compare", "cbdm", "--data", "digits:factor=50", "--seeds", "1", "--budget", "2", "--equal", "updates"]
    command += ["--features", "pixels", "--metrics", "kernel", "--per-class", "10", "--nfe", "2", "--guidance", "1"]
    command += ["--set", "network=tiny", "--set", "batch_size=8", "--set", "precision=float32", "--out", "out"]
    command += ["--set", "memory_format=channels_last"]
    goes_on(cli, disk, monkeypatch, tmp_path, command, [0, 1, 3, 2, 5, 4, 7, 3])
    assert differences_of_folders(tmp_path / "whole", tmp_path / "broken") == []


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    cli: Cli, disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: Path
) -> None:
    cache = tmp_path / "broken" / "cache"
    cache.mkdir(parents=True)
    monkeypatch.setenv("EVENSCORE_CACHE", str(cache))
    ask = ["evaluate", trained, "--reference", "digits:factor=50", "--metrics", "kernel", "--per-class", "4"]
    ask += ["--nfe", "2"]
    disk.leave(0)
    full = cli(*ask, "--json")
    assert full.code == 0, full.err
    assert list(cache.iterdir()) == [], "nothing is left half-written"
    disk.leave(float("inf"))
    first, again = cli(*ask, "--json"), cli(*ask, "--json")
    assert list(cache.glob("*.safetensors"))
    assert full.out == first.out == again.out
    out = tmp_path / "broken" / "found.json"
    disk.leave(0)
    cli(*ask, "--out", out).assert_refused(3, "the disk is full while writing")
    assert not out.exists()
