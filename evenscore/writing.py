"""Writing images to a folder of classes: safe names, complete files, one metadata line for each image.

Law: nothing is written outside the folder that was named, whatever the classes are called; nothing that exists is
overwritten by another thing; ``metadata.jsonl`` names complete files only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.checkpoint import make_folder, unwritable
from evenscore.data.pixels import png_bytes
from evenscore.errors import DataError, UsageError

HELD_OUT = frozenset({"test", "val", "valid", "validation"})
METADATA = "metadata.jsonl"


def folder_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each class: its own name where that is a safe one, made safe and unique otherwise."""
    taken: set[str] = set()
    out = []
    for name in class_names:
        safe = re.sub(r"[^\w .+()-]", "_", name).strip(" .")[:100] or "class"
        safe = f"class {safe}" if safe.lower() in HELD_OUT else safe
        unique, number = safe, 2
        while unique.lower() in taken:
            unique, number = f"{safe} {number}", number + 1
        taken.add(unique.lower())
        out.append(unique)
    return tuple(out)


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
            DataError: it cannot be written.
        """
        names = folder_names(class_names)
        for name in names:
            make_folder(root / name)
        return cls(root, tuple(class_names), names)

    def save(self, label: int, name: str, image: NDArray[np.uint8]) -> str:
        """Write a PNG (H, W, C); returns its name relative to the root."""
        return self.put(label, name, png_bytes(image))

    def put(self, label: int, name: str, content: bytes) -> str:
        """Write the bytes of an image file; returns its name relative to the root."""
        relative = f"{self.folders[label]}/{name}"
        try:
            (self.root / relative).write_bytes(content)
        except OSError as error:
            raise unwritable(self.root / relative, error) from error
        return relative

    def link(self, label: int, name: str, source: Path) -> str:
        """Take over an existing file by a hard link, or by a copy where links are not possible."""
        relative = f"{self.folders[label]}/{name}"
        try:
            os.link(source, self.root / relative)
        except FileExistsError:
            pass
        except OSError:
            return self.put(label, name, source.read_bytes())
        return relative

    def record(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """Append metadata lines and flush them to the disk; returns the size of the file after them.

        Raises:
            DataError: the disk is full.
        """
        path = self.root / METADATA
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except OSError as error:
            raise unwritable(path, error) from error

    def truncate(self, size: int) -> None:
        """Forget metadata beyond ``size`` bytes: lines of an interrupted step that will be done again."""
        path = self.root / METADATA
        path.touch()
        os.truncate(path, size)

    def lines(self) -> list[dict[str, Any]]:
        """All metadata lines."""
        path = self.root / METADATA
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
