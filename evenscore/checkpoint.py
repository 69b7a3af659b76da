"""Checkpoints: safetensors files that are written atomically and verified before use; never pickle.

Law: at every instant, also after a power cut, a checkpoint folder holds complete checkpoints only, and its pointers name
complete checkpoints; ``best`` never names an older one than ``last`` knows of. A file is written under a temporary name,
flushed to the disk, and renamed; its SHA-256 is kept beside it and compared before a single tensor is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from evenscore.errors import CheckpointError, DataError, unknown
from evenscore.pieces import KINDS, pieces
from evenscore.reading import open_regular, parse_json, read_text

POINTERS = ("last", "best")
NAME = re.compile(r"step-\d+")
PARTIAL = ".part"
"""How the name of an unfinished file ends."""
LONGEST_POINTER = 100
"""Bytes of a pointer."""
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and the plain values that go with them."""

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]

    def content(self) -> Iterator[bytes]:
        """Its file, in pieces."""
        return pieces(self.tensors, {"state": json.dumps(dict(self.state))})


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the new one, complete, whatever happens.

    Raises:
        DataError: the disk is full or the folder cannot be written.
    """
    _write_pieces(path, [content])


def _write_pieces(path: Path, content: Iterable[bytes]) -> dict[str, Any]:
    """:func:`write_atomic` of pieces; the SHA-256 of them all, and how many bytes they are."""
    digest, size = hashlib.sha256(), 0
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with new_file(partial) as file:
            for piece in content:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    return {"sha256": digest.hexdigest(), "bytes": size}


def new_file(path: Path) -> BinaryIO:
    """Open a file for writing that is new: what stood there, a link too, is removed and not written through.

    Raises:
        OSError: it cannot be made.
    """
    path.unlink(missing_ok=True)
    return path.open("xb")


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that the system refused to write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"the disk is full while writing {path}: free some space and give the same command again; "
            "what was complete before is intact"
        )
    return DataError(f"{path} cannot be written ({error.strerror}): choose a folder that you may write to")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def checkpoint_name(step: int) -> str:
    """The name of the checkpoint of a step."""
    return f"step-{step:09d}"


def save_checkpoint(
    folder: Path, step: int, checkpoint: Checkpoint | Iterable[bytes], keep: int = 2, pointers: Sequence[str] = ()
) -> str:
    """Write a checkpoint, point at it, and prune all but the newest ``keep`` and those that pointers name.

    Args:
        folder: of the checkpoints.
        step: of training.
        checkpoint: what is kept, or the pieces of its file.
        keep: how many of the newest stay.
        pointers: that are moved to it, before ``last`` always is: a process that is killed between leaves a ``best``
            that is as good as the best of what ``last`` knows of, or better.

    Returns:
        The name of the checkpoint.

    Raises:
        DataError: it cannot be written; what was there before is intact.
    """
    make_folder(folder)
    name = checkpoint_name(step)
    _remove(folder / f"{name}.json")  # of an earlier try at this step: it would belie the new tensors
    content = checkpoint.content() if isinstance(checkpoint, Checkpoint) else checkpoint
    note = _write_pieces(folder / f"{name}.safetensors", content)
    write_atomic(folder / f"{name}.json", json.dumps(note | {"step": step}).encode())
    for pointer in (*pointers, "last"):
        point(folder, pointer, name)
    _prune(folder, keep)
    return name


def point(folder: Path, pointer: str, name: str) -> None:
    """Make ``last`` or ``best`` name a checkpoint."""
    write_atomic(folder / pointer, name.encode())


def pointed(folder: Path, pointer: str) -> str | None:
    """The checkpoint that a pointer names, or None when there is none."""
    try:
        name = read_text(folder / pointer, LONGEST_POINTER).strip()
    except (OSError, ValueError):
        return None
    return name if NAME.fullmatch(name) and (folder / f"{name}.safetensors").is_file() else None


def complete(folder: Path) -> list[str]:
    """Names of the checkpoints in a folder, oldest first."""
    return sorted(path.stem for path in folder.glob("step-*.safetensors") if path.with_suffix(".json").is_file())


def load_checkpoint(folder: Path, pointer: str = "last") -> Checkpoint:
    """Read the checkpoint that a pointer names (the newest one when the pointer ``last`` is gone), verified.

    Raises:
        UsageError: an unknown pointer.
        CheckpointError: there is none, or it is damaged.
    """
    if pointer not in POINTERS:
        raise unknown("checkpoint", pointer, POINTERS)
    there = complete(folder)
    name = pointed(folder, pointer) or (there[-1] if there and pointer == "last" else None)
    if name is None:
        what = (
            "no best checkpoint yet: give --checkpoint last, or train on"
            if there
            else "no checkpoint: train the run first"
        )
        raise CheckpointError(f"{folder} holds {what}")
    return read_checkpoint(folder / f"{name}.safetensors")


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint file and verify it against the SHA-256 beside it.

    Its tensors lie in the file until they are used: what is read of them takes no memory that the system could not take back.

    Raises:
        CheckpointError: unreadable, damaged, or a pickle.
    """
    try:
        _verify(path, _digest(path))
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read ({error.strerror}): give an existing file") from None
    try:
        tensors, metadata = _mapped(path)
        state = parse_json(metadata.get("state", "{}"))
    except ValueError as error:
        raise _damaged(path, f"not a safetensors file: {error}") from None
    if not isinstance(state, dict):
        raise _damaged(path, "its state is no mapping")
    return Checkpoint(tensors, state)


def _digest(path: Path) -> str:
    """SHA-256 of a regular file that is no pickle.

    Raises:
        OSError: it cannot be read.
        CheckpointError: it is a pickle.
    """
    with open_regular(path) as file:
        if file.peek().startswith(PICKLE_STARTS):
            raise CheckpointError(
                f"checkpoint {path} is a pickle, which can run any code when it is read: give a .safetensors file"
            )
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mapped(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, which lie in it until they are used, and its text.

    Raises:
        ValueError: it is none, or its tensors are of kinds that no checkpoint holds.
    """
    with _ours(), safe_open(path, framework="pt") as file:
        names = list(file.keys())
        foreign = {file.get_slice(name).get_dtype() for name in names} - set(KINDS.values())
        if foreign:
            raise ValueError(f"tensors of kind {min(foreign)}")
        return {name: file.get_tensor(name) for name in names}, file.metadata() or {}


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of the weights and buffers of a module, with their names."""
    found = hashlib.sha256()
    for key, value in module.state_dict().items():
        found.update(key.encode() + value.cpu().numpy().tobytes())
    return found.hexdigest()


def tensors_of(content: bytes) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file.

    Raises:
        ValueError: they are none, or of kinds that torch does not have.
    """
    with _ours():
        return safetensors.torch.load(content)


@contextmanager
def _ours() -> Iterator[None]:
    """Whatever the library raises on what is no safetensors file, as a ValueError."""
    try:
        yield
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    except (KeyError, AttributeError, TypeError, RuntimeError) as error:  # kinds of numbers that torch does not have
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _verify(path: Path, found: str) -> None:
    try:
        note = parse_json(read_text(path.with_suffix(".json")))
        expected, size = note["sha256"], path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        raise _damaged(path, "its checksum file is missing or unreadable") from None
    if found != expected:
        raise _damaged(path, f"its {size} bytes do not match the checksum")


def _damaged(path: Path, reason: str) -> CheckpointError:
    older = [name for name in complete(path.parent) if name < path.stem]
    remedy = f"delete it to go on from {older[-1]}" if older else "delete the run folder and train again"
    return CheckpointError(f"checkpoint {path} is damaged ({reason}): {remedy}")


def _prune(folder: Path, keep: int) -> None:
    kept = {*complete(folder)[-keep:], *(pointed(folder, pointer) for pointer in POINTERS)}
    for path in [*folder.glob("step-*.json"), *folder.glob("step-*.safetensors")]:
        if path.stem not in kept:
            path.unlink(missing_ok=True)
    clear_partials(folder)


def clear_partials(folder: Path) -> None:
    """Remove what a killed process left unfinished in a folder; only where no other process may be writing."""
    for partial in folder.glob(f".*{PARTIAL}"):
        _remove(partial)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
