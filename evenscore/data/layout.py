"""Where the images of a folder are and what class each has, before any of them is opened.

Layouts: ``root/<class>/*``; ``root/train/<class>/*`` with an optional held-out ``root/test`` or ``root/val``; and a
``metadata.csv`` or ``metadata.jsonl`` in either root. Law: classes stand in natural order of their names (2 before 10),
files in natural order within their class; hidden files are invisible; a link that leaves the root is never followed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from evenscore.confined import inside
from evenscore.data.dataset import Skipped
from evenscore.data.metadata import find_metadata, read_metadata
from evenscore.data.pixels import many
from evenscore.errors import DataError

EXTENSIONS = frozenset({"png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm"})
HELD_OUT = ("test", "val", "valid", "validation")
DIGITS = 1000
"""Digits that are read as one number: longer ones are read part by part."""
LAYOUTS = "root/<class>/*, root/train/<class>/*, or a metadata.csv with file_name and label"


@dataclass(frozen=True)
class Listing:
    """Image files and their class names, in order; ``class_names`` in natural order."""

    root: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """A sort key by which numbers inside names count as numbers."""
    parts = re.split(rf"(\d{{1,{DIGITS}}})", name.casefold())
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts)), name


def find_splits(root: Path) -> tuple[Path, Path | None]:
    """The training folder and the held-out folder of ``root``.

    ``root/train`` is the training part when it holds folders or a label file and ``root`` itself has no label file; a
    folder ``train`` that holds images directly is a class of that name.

    Raises:
        DataError: ``root`` is missing or no folder, or one of the two is a link that leads out of it.
    """
    if not root.exists():
        raise DataError(f"data folder {str(root)!r} does not exist: give a folder laid out as {LAYOUTS}")
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is not a folder: give a folder or an .npz file")
    inside(root, "train", *HELD_OUT)
    train = root / "train"
    if find_metadata(root) or not train.is_dir() or not (find_metadata(train) or _entries(train)[0]):
        return root, None
    held_out = next((root / name for name in HELD_OUT if (root / name).is_dir() and _is_filled(root / name)), None)
    return train, held_out


def list_images(root: Path) -> Listing:
    """The images of one root and their classes.

    Raises:
        DataError: no image at all, no class folders, or a class folder without images.
    """
    metadata = find_metadata(root)
    if metadata is None:
        return _list_folders(root)
    labels, notes = read_metadata(metadata)
    names = tuple(sorted(set(labels.values()), key=natural))
    order = sorted(labels, key=lambda path: (natural(labels[path]), natural(str(path))))
    return Listing(root, tuple(order), tuple(labels[path] for path in order), names, notes, ())


def _is_filled(folder: Path) -> bool:
    return find_metadata(folder) is not None or bool(_entries(folder)[0])


def _entries(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """Folders and files in ``folder``, hidden ones left out, in natural order."""
    try:
        with os.scandir(folder) as entries:
            seen = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: natural(e.name))
            folders = [e for e in seen if _is_folder(e)]
            return folders, [e for e in seen if not _is_folder(e)]
    except OSError as error:
        raise DataError(
            f"folder {str(folder)!r} cannot be read ({error.strerror or error}): check its permissions"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1][1:].lower() in EXTENSIONS


def _list_folders(root: Path) -> Listing:
    folders, loose = _entries(root)
    if not folders:
        images = sum(_is_image(e.name) for e in loose)
        found = f"{images} images but no class folders" if images else "no images"
        raise DataError(f"{str(root)!r} holds {found}: lay it out as {LAYOUTS}")
    files: list[Path] = []
    classes: list[str] = []
    skipped: list[Skipped] = []
    ignored = [e.name for e in loose]
    nested = 0
    for folder in folders:
        inner, entries = _entries(root / folder.name)
        nested += len(inner)
        ignored += [e.name for e in entries if not _is_image(e.name)]
        images_here = [e for e in entries if _is_image(e.name)]
        if not images_here:
            raise DataError(
                f"class folder {str(root / folder.name)!r} has 0 images: "
                f"add images ({', '.join(sorted(EXTENSIONS))}) or remove the folder"
            )
        outside = _outside(root, folder, images_here)
        skipped += [
            Skipped(root / folder.name / e.name, "link that leaves the folder")
            for e in images_here
            if e.name in outside
        ]
        kept = [root / folder.name / e.name for e in images_here if e.name not in outside]
        files += kept
        classes += [folder.name] * len(kept)
    names = tuple(e.name for e in folders)
    return Listing(root, tuple(files), tuple(classes), names, _ignored_notes(ignored, nested), tuple(skipped))


def _outside(root: Path, folder: os.DirEntry[str], images: list[os.DirEntry[str]]) -> set[str]:
    """Names of the files whose real place is not below ``root``; only links are looked at."""
    base = Path(os.path.realpath(root))
    linked = [e for e in images if folder.is_symlink() or e.is_symlink()]
    return {e.name for e in linked if not Path(os.path.realpath(e.path)).is_relative_to(base)}


def _ignored_notes(ignored: list[str], nested: int) -> tuple[str, ...]:
    notes = []
    if ignored:
        kinds = Counter(os.path.splitext(name)[1].lower() or "no extension" for name in ignored)
        listed = ", ".join(kind for kind, _ in kinds.most_common(5))
        notes.append(f"ignored: {many(len(ignored), 'file')} outside the class folders or of other kinds ({listed})")
    if nested:
        notes.append(f"ignored: {many(nested, 'folder')} inside class folders")
    return tuple(notes)
