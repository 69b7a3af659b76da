"""Checkpoints: written whole or not at all, verified before use, never pickle."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from evenscore.checkpoint import (
    Checkpoint,
    complete,
    load_checkpoint,
    point,
    pointed,
    read_checkpoint,
    save_checkpoint,
    write_atomic,
)
from evenscore.errors import CheckpointError, DataError


def checkpoint(value: float = 1.0) -> Checkpoint:
    tensors = {"a.weight": torch.full((3, 2), value), "step": torch.tensor(7), "half": torch.ones(2).bfloat16()}
    return Checkpoint(tensors, {"step": 7, "seconds": 0.1, "best": float("inf"), "text": "tail"})


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_checkpoint_survives_exactly(tmp_path: Path) -> None:
    name = save_checkpoint(tmp_path / "new" / "folder", 7, checkpoint(1 / 3))
    found = load_checkpoint(tmp_path / "new" / "folder")
    assert name == "step-000000007"
    assert found.state == checkpoint().state
    assert found.tensors.keys() == checkpoint().tensors.keys()
    for key, value in checkpoint(1 / 3).tensors.items():
        assert torch.equal(found.tensors[key], value)
        assert found.tensors[key].dtype == value.dtype


def test_last_best_and_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in range(1, 7):
        name = save_checkpoint(tmp_path, step, checkpoint(step))
        if step == 2:
            point(tmp_path, "best", name)
    assert complete(tmp_path) == ["step-000000002", "step-000000005", "step-000000006"]
    assert (pointed(tmp_path, "last"), pointed(tmp_path, "best")) == ("step-000000006", "step-000000002")
    assert float(load_checkpoint(tmp_path, "best").tensors["a.weight"][0, 0]) == 2
    assert len(files(tmp_path)) == 8


def test_halves_of_checkpoints_and_unfinished_files_are_cleared_away(tmp_path: Path) -> None:
    for left in (".last.123.part", "step-000000003.safetensors", "step-000000004.json"):
        (tmp_path / left).write_bytes(b"half")
    assert complete(tmp_path) == []
    save_checkpoint(tmp_path, 9, checkpoint())
    assert files(tmp_path) == {"last", "step-000000009.json", "step-000000009.safetensors"}


def test_a_pointer_without_its_file_falls_back_to_the_newest(tmp_path: Path) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, checkpoint(step))
    for content in (b"step-000000009", b"", b"../../etc", b"\xff\xfe"):
        (tmp_path / "last").write_bytes(content)
        assert pointed(tmp_path, "last") is None
        assert float(load_checkpoint(tmp_path).tensors["a.weight"][0, 0]) == 2
    (tmp_path / "last").unlink()
    assert float(load_checkpoint(tmp_path).tensors["a.weight"][0, 0]) == 2


def test_an_empty_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint: train the run first"):
        load_checkpoint(tmp_path)


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "flipped byte":
        content[-3] ^= 1
    if how == "flipped byte in the header":
        content[20] ^= 1
    path.write_bytes(content[: len(content) // 2] if how == "truncated" else b"" if how == "empty" else content)


@pytest.mark.parametrize("how", ["flipped byte", "flipped byte in the header", "truncated", "empty"])
def test_damage_is_found_and_the_older_checkpoint_named(tmp_path: Path, how: str) -> None:
    save_checkpoint(tmp_path, 1, checkpoint())
    damage(tmp_path / "step-000000001.safetensors", how)
    with pytest.raises(CheckpointError, match="is damaged .*: delete the run folder and train again"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, 2, checkpoint())
    damage(tmp_path / "step-000000002.safetensors", how)
    with pytest.raises(CheckpointError, match="step-000000002.*do not match.*delete it to go on from step-000000001"):
        load_checkpoint(tmp_path)


def test_doing_what_the_message_says_helps(tmp_path: Path) -> None:
    for step in (1, 2):
        save_checkpoint(tmp_path, step, checkpoint(step))
    damage(tmp_path / "step-000000002.safetensors", "truncated")
    (tmp_path / "step-000000002.safetensors").unlink()
    assert float(load_checkpoint(tmp_path).tensors["a.weight"][0, 0]) == 1


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}"])
def test_without_its_checksum_a_checkpoint_is_not_used(tmp_path: Path, content: bytes | None) -> None:
    save_checkpoint(tmp_path, 1, checkpoint())
    note = tmp_path / "step-000000001.json"
    note.unlink() if content is None else note.write_bytes(content)
    with pytest.raises(CheckpointError, match="checksum file is missing or unreadable"):
        load_checkpoint(tmp_path)


class Trap:
    """Unpickling it would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("kind", ["torch", "torch legacy", "pickle 2", "pickle 5"])
def test_a_pickle_is_refused_unopened(tmp_path: Path, kind: str) -> None:
    path, trap = tmp_path / "step-000000001.safetensors", {"model": Trap(tmp_path / "trace")}
    if kind.startswith("torch"):
        torch.save(trap, path, _use_new_zipfile_serialization=kind == "torch")
    else:
        path.write_bytes(pickle.dumps(trap, protocol=int(kind[-1])))
    with pytest.raises(CheckpointError, match="is a pickle, which can run any code when it is read: give a .safetens"):
        read_checkpoint(path)
    assert not (tmp_path / "trace").exists()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert files(tmp_path) == {"file"}


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full while writing .*: free some space"), (errno.EIO, "cannot be")],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_when_writing_fails_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, call: str
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(DataError, match=words):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == {"file"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB, where the system allows one to be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    except OSError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_checkpoint_before_intact(small_disk: Path) -> None:
    save_checkpoint(small_disk, 1, checkpoint())
    large = Checkpoint({"weight": torch.zeros(2**19)}, {"step": 2})
    with pytest.raises(DataError, match="the disk is full .*what was complete before is intact"):
        save_checkpoint(small_disk, 2, large)
    assert load_checkpoint(small_disk).state["step"] == 7
    assert not [name for name in files(small_disk) if name.endswith(".part")]


@pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be removed there")
def test_what_was_read_is_the_reader_s_own(tmp_path: Path) -> None:
    """Tensors lie in the file until they are used: changing them must not change it, nor removing it them."""
    save_checkpoint(tmp_path, 1, checkpoint(2.0))
    expected = {key: value.clone() for key, value in load_checkpoint(tmp_path).tensors.items()}
    changed = load_checkpoint(tmp_path).tensors
    for value in changed.values():
        value.zero_()
    kept = load_checkpoint(tmp_path).tensors
    for path in tmp_path.iterdir():
        path.unlink()
    assert any(value.any() for value in expected.values())
    assert all(torch.equal(kept[key], value) for key, value in expected.items())
    assert not any(value.any() for value in changed.values())
