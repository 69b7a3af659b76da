"""Writing images to a folder of classes: safe names, complete files, one metadata line for each image.

Law: nothing is written outside the folder that was named, whatever the classes are called; nothing that exists is
overwritten by another thing; ``metadata.jsonl`` names complete files only.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evenscore.checkpoint import PARTIAL, clear_partials, make_folder, new_file, unwritable
from evenscore.confined import inside
from evenscore.data import Dataset, parse_spec
from evenscore.data.pixels import png_bytes
from evenscore.errors import DataError, RunError, UsageError
from evenscore.ranks import current
from evenscore.reading import open_regular, parse_json

HELD_OUT = frozenset({"test", "val", "valid", "validation"})
METADATA = "metadata.jsonl"
RESERVED = frozenset({METADATA, "readme.md", "index.html", "summary.json"})
LONGEST = 60
"""Characters of a safe name: at most 240 bytes, which every file system takes."""
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that stand for devices on Windows, whatever their ending."""


def safe_name(text: str, kind: str, taken: set[str]) -> str:
    """A name for a file or folder from any text: the text where it is a safe one, made safe and unique otherwise.

    Args:
        text: what it is to be called.
        kind: a word that is put before a name which would be understood as something else, or in place of an empty one.
        taken: names that are not free, as :func:`same_place` gives them; the new one is entered.
    """
    safe = re.sub(r"[^\w .+()-]", "_", text[:1000]).strip(" .")[:LONGEST].strip(" .")
    if not safe or safe.startswith("-") or DEVICES.fullmatch(safe) or safe.lower() in HELD_OUT:
        safe = f"{kind} {safe}".strip()
    unique, number = safe, 2
    while same_place(unique) in taken:
        unique, number = f"{safe} {number}", number + 1
    taken.add(same_place(unique))
    return unique


def same_place(name: str) -> str:
    """Equal for names that some file system takes for one: of other case, or composed of other characters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def folder_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each class: its own name where that is a safe one, made safe and unique otherwise."""
    taken: set[str] = set(RESERVED)
    return tuple(safe_name(name, "class", taken) for name in class_names)


def check_output(out: Path) -> None:
    """Refuse an output folder that is a held-out split, or that holds something already.

    Raises:
        UsageError: a folder named test or val.
        DataError: it exists and is not empty.
    """
    if out.resolve().name.lower() in HELD_OUT:
        raise UsageError(f"--out {out} is named like held-out data, which must stay real: choose another name")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"--out {out} exists and is not empty: choose a new folder, nothing is overwritten")


def check_outside(out: Path, data: Dataset) -> None:
    """Refuse an output folder inside the folder of images that is read: it would become a part of the data.

    Raises:
        UsageError: it lies inside.
    """
    if data.files is None:
        return
    root = Path(parse_spec(data.name).name).resolve()
    if root.is_dir() and out.resolve().is_relative_to(root):
        raise UsageError(
            f"--out {out} lies inside the data {root}, where it would be read as data: choose another folder"
        )


class Piece(NamedTuple):
    """An image on its way into a folder or a shard.

    Attributes:
        label: its class.
        key: name of its file without the suffix; no two images of a job share one.
        suffix: ``.png`` or that of the file it comes from.
        content: bytes of the file.
        record: what the metadata say of it, but for its place.
    """

    label: int
    key: str
    suffix: str
    content: bytes
    record: Mapping[str, Any]


class Store(Protocol):
    """Where images of a job go: a folder with a file for each, or shards."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def root(self) -> Path:
        """The folder."""
        ...

    def pack(self, pieces: Iterable[Piece]) -> bytes:
        """A batch, ready for :meth:`take` in the process that keeps the books."""
        ...

    def take(self, packed: bytes) -> int | None:
        """Keep a batch; returns a mark for :meth:`truncate` where all until here is complete, else None."""
        ...

    def add(self, pieces: Iterable[Piece]) -> int:
        """Keep images as they come, and complete what was begun; returns a mark."""
        ...

    def close(self) -> int | None:
        """Complete what was begun; returns a mark where there was something."""
        ...

    def drop(self) -> None:
        """Leave nothing of what was begun and is not complete."""
        ...

    def truncate(self, mark: int) -> None:
        """Go on after a mark: what came later will be done again."""
        ...

    def found(self) -> Iterator[Found]:
        """All complete images in order, one at a time."""
        ...


@dataclass(frozen=True)
class ImageFolder:
    """A folder of images by class.

    Attributes:
        root: the folder.
        class_names: names as people know them; what ``label`` says in the metadata.
        folders: the sub-folder of each class.
    """

    root: Path
    class_names: tuple[str, ...]
    folders: tuple[str, ...]

    @classmethod
    def at(cls, root: Path, class_names: Sequence[str]) -> ImageFolder:
        """The folder at ``root``, with a sub-folder for each class.

        Raises:
            DataError: it cannot be written, or something in it is a link that leads out of it.
        """
        names = folder_names(class_names)
        inside(root, *names, METADATA)
        clear_partials(root)
        for name in names:
            make_folder(root / name)
            clear_partials(root / name)
        return cls.standing(root, class_names)

    @classmethod
    def standing(cls, root: Path, class_names: Sequence[str]) -> ImageFolder:
        """The folder at ``root`` that :meth:`at` has made, in another process too."""
        return cls(root, tuple(class_names), folder_names(class_names))

    def save(self, label: int, name: str, image: NDArray[np.uint8]) -> str:
        """Write a PNG (H, W, C); returns its name relative to the root."""
        return self.put(label, name, png_bytes(image))

    def put(self, label: int, name: str, content: bytes) -> str:
        """Write the bytes of an image file; returns its name relative to the root."""
        relative = f"{self.folders[label]}/{name}"
        target = self.root / relative
        partial = target.with_name(f".{os.getpid()}.{current().rank}{PARTIAL}")
        try:
            with new_file(partial) as file:
                file.write(content)
            os.replace(partial, target)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise unwritable(target, error) from error
        return relative

    def link(self, label: int, name: str, source: Path) -> str:
        """Take over an existing file by a hard link, or by a copy where links are not possible.

        Raises:
            DataError: the file cannot be read any more, or the folder not written.
        """
        relative = f"{self.folders[label]}/{name}"
        try:
            (self.root / relative).unlink(missing_ok=True)
            os.link(os.path.realpath(source), self.root / relative)
        except OSError:
            return self.put(label, name, content_of(source))
        return relative

    def record(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """Append metadata lines and flush them to the disk; returns the size of the file after them.

        Raises:
            DataError: the disk is full.
        """
        return self._append(text_of(line).encode() for line in lines)

    def pack(self, pieces: Iterable[Piece]) -> bytes:
        """Write the images of a batch; returns their lines, for :meth:`take` in the process that keeps the metadata."""
        return b"".join(self._lines(pieces))

    def _lines(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        """Write images; yields the line of each."""
        for piece in pieces:
            name = self.put(piece.label, piece.key + piece.suffix, piece.content)
            yield text_of({"file_name": name, **piece.record}).encode()

    def take(self, packed: bytes) -> int | None:
        """Append the lines of a batch; returns the size of the metadata after them, up to which all is complete.

        Raises:
            DataError: the disk is full.
        """
        return self._append([packed])

    def _append(self, parts: Iterable[bytes]) -> int:
        path = self.root / METADATA
        try:
            with path.open("ab") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except OSError as error:
            raise unwritable(path, error) from error

    def add(self, pieces: Iterable[Piece]) -> int:
        """Write images and their lines as they come; returns the size of the metadata after them."""
        return self._append(self._lines(pieces))

    def close(self) -> int | None:
        """Nothing is ever left open."""
        return None

    def drop(self) -> None:
        """Nothing is ever left open."""

    def truncate(self, size: int) -> None:
        """Forget metadata beyond ``size`` bytes: lines of an interrupted step that will be done again.

        Raises:
            RunError: there are fewer bytes than that: metadata that were complete have been lost.
            DataError: it cannot be written.
        """
        path = self.root / METADATA
        try:
            path.touch()
            if path.stat().st_size < size:
                raise RunError(
                    f"{path} is shorter than the {size} bytes that were written: remove {self.root} and start again"
                )
            os.truncate(path, size)
        except OSError as error:
            raise unwritable(path, error) from error

    def found(self) -> Iterator[Found]:
        """All metadata lines in order, one at a time, each of a file inside and of one of the classes.

        Raises:
            RunError: one is not.
        """
        path, places, names = self.root / METADATA, set(self.folders), set(self.class_names)
        if not os.path.lexists(path):
            return
        try:
            with open_regular(path) as file:
                for line in file:
                    record = parse_json(line.decode())
                    if not isinstance(record, dict) or not _is_ours(record, places, names):
                        raise ValueError
                    yield Found(record, self.root / record["file_name"])
        except (OSError, ValueError):
            raise RunError(f"{path} cannot be understood: remove {self.root} and start again") from None


class Found(NamedTuple):
    """An image that was written: its metadata, and where its bytes are.

    Attributes:
        record: what the metadata say.
        path: the file that holds it.
        start, size: which bytes of the file; all where ``size`` is None.
    """

    record: dict[str, Any]
    path: Path
    start: int = 0
    size: int | None = None

    def content(self) -> bytes:
        """The bytes of the image file."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read() if self.size is None else file.read(self.size)


def text_of(line: Mapping[str, Any]) -> str:
    """One line of JSON; a file name that is not UTF-8 is escaped."""
    text = json.dumps(line, ensure_ascii=False)
    return (text if text.isprintable() else json.dumps(line)) + "\n"


def _is_ours(line: Mapping[str, Any], places: Collection[str], names: Collection[str]) -> bool:
    """Whether a line is one of those that :meth:`ImageFolder.record` writes: of a file in the folder of a class."""
    folder, _, file = str(line.get("file_name")).partition("/")
    inner = folder in places and bool(file) and not {"/", "\\", "\0"} & set(file) and file not in (".", "..")
    return inner and line.get("label") in names and isinstance(line.get("synthetic"), bool)


def content_of(source: Path) -> bytes:
    """The bytes of an image of the data.

    Raises:
        DataError: it cannot be read any more.
    """
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError(
            f"{source} cannot be read any more ({error.strerror}): put it back and give the same command again"
        ) from error
