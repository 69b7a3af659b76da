"""Writing images to a folder of classes: safe names, complete files, one metadata line for each image.

Law: nothing is written outside the folder that was named, whatever the classes are called; nothing that exists is
overwritten by another thing; ``metadata.jsonl`` names complete files only.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.checkpoint import PARTIAL, clear_partials, make_folder, new_file, unwritable
from evenscore.confined import inside
from evenscore.data import Dataset, parse_spec
from evenscore.data.pixels import png_bytes
from evenscore.errors import DataError, RunError, UsageError
from evenscore.reading import parse_json, read_bytes

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
        return cls(root, tuple(class_names), names)

    def save(self, label: int, name: str, image: NDArray[np.uint8]) -> str:
        """Write a PNG (H, W, C); returns its name relative to the root."""
        return self.put(label, name, png_bytes(image))

    def put(self, label: int, name: str, content: bytes) -> str:
        """Write the bytes of an image file; returns its name relative to the root."""
        relative = f"{self.folders[label]}/{name}"
        target = self.root / relative
        partial = target.with_name(f".{os.getpid()}{PARTIAL}")
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
            return self.put(label, name, _content(source))
        return relative

    def record(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """Append metadata lines and flush them to the disk; returns the size of the file after them.

        Raises:
            DataError: the disk is full.
        """
        path = self.root / METADATA
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(_text(line) for line in lines))
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except OSError as error:
            raise unwritable(path, error) from error

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

    def lines(self) -> list[dict[str, Any]]:
        """All metadata lines, each of a file inside and of one of the classes.

        Raises:
            RunError: one is not.
        """
        path = self.root / METADATA
        try:
            text = read_bytes(path).decode() if os.path.lexists(path) else ""
            found = [parse_json(line) for line in text.split("\n") if line]
        except (OSError, ValueError):
            found = [None]
        places, names = set(self.folders), set(self.class_names)
        if not all(isinstance(line, dict) and _is_ours(line, places, names) for line in found):
            raise RunError(f"{path} cannot be understood: remove {self.root} and start again")
        return found


def _text(line: Mapping[str, Any]) -> str:
    """One line of JSON; a file name that is not UTF-8 is escaped."""
    text = json.dumps(line, ensure_ascii=False)
    return (text if text.isprintable() else json.dumps(line)) + "\n"


def _is_ours(line: Mapping[str, Any], places: Collection[str], names: Collection[str]) -> bool:
    """Whether a line is one of those that :meth:`ImageFolder.record` writes: of a file in the folder of a class."""
    folder, _, file = str(line.get("file_name")).partition("/")
    inner = folder in places and bool(file) and not {"/", "\\", "\0"} & set(file) and file not in (".", "..")
    return inner and line.get("label") in names and isinstance(line.get("synthetic"), bool)


def _content(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError(
            f"{source} cannot be read any more ({error.strerror}): put it back and give the same command again"
        ) from error
