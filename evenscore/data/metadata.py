"""Label files: ``metadata.csv`` or ``metadata.jsonl`` with the columns ``file_name`` and ``label``.

Law: every line names one image below the folder and one label; nothing outside the folder is ever opened.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from evenscore.confined import inside
from evenscore.data.pixels import many
from evenscore.errors import DataError, shown
from evenscore.reading import open_regular, parse_json

FILES = ("metadata.csv", "metadata.jsonl")
NAME_COLUMNS = ("file_name", "file")
"""Columns that name the image; the first that is there is meant."""
LABEL_COLUMN = "label"
LISTED = 10


def find_metadata(root: Path) -> Path | None:
    """The label file in ``root``, or None.

    Raises:
        DataError: both kinds are there, or it is a link that leads out of the folder.
    """
    inside(root, *FILES)
    found = [root / name for name in FILES if os.path.lexists(root / name) and not (root / name).is_dir()]
    if len(found) == 2:
        raise DataError(f"{str(root)!r} holds both metadata.csv and metadata.jsonl: keep one of them")
    return found[0] if found else None


def read_metadata(path: Path) -> tuple[dict[Path, str], tuple[str, ...]]:
    """The label of each image named in a label file, by image path, and notes.

    Raises:
        DataError: damaged file, missing column, missing label, path that leaves the folder, missing image, or one image
            with two labels.
    """
    root = Path(os.path.realpath(path.parent))
    labels: dict[Path, str] = {}
    seen: dict[str, Path] = {}
    repeated, missing = 0, []
    for line, row in _rows(path):
        where = f"{str(path)!r} line {line}"
        image, label = _image_path(path.parent, root, row, where), _label(row, where)
        real = os.path.realpath(image)
        if real in seen:
            if labels[seen[real]] != label:
                raise DataError(
                    f"{where}: image {str(image)!r} has the duplicate labels "
                    f"{labels[seen[real]]!r} and {label!r}: keep one line for it"
                )
            repeated += 1
            continue
        if not os.path.isfile(real):
            missing.append((where, image))
        seen[real] = image
        labels[image] = label
    if missing:
        where, image = missing[0]
        raise DataError(
            f"{where} names the missing image {str(image)!r} ({len(missing)} missing): add it or remove the line"
        )
    if not labels:
        raise DataError(f"{str(path)!r} names no image: give one line with file_name and label for each image")
    return labels, (f"ignored: {many(repeated, 'repeated line')} in {path.name}",) if repeated else ()


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
            yield from _csv_rows(file, path) if path.suffix == ".csv" else _json_rows(file, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"label file {str(path)!r} cannot be read ({reason}): give UTF-8 text with file_name and label"
        ) from error


def _csv_rows(file: Any, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(file)
    column, count = next(iter(Counter(reader.fieldnames or ()).most_common(1)), ("", 0))
    if count > 1:
        raise DataError(f"{str(path)!r}: the column {shown(column)} stands twice: keep one of them")
    for row in reader:
        yield reader.line_num, row


def _json_rows(file: Any, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        reason = ""
        try:
            row = parse_json(text)
        except ValueError as error:
            row, reason = None, f" ({str(error)[:200]})"
        if not isinstance(row, dict):
            raise DataError(
                f"{str(path)!r} line {line} is not a JSON object{reason}: "
                "give one object with file_name and label on each line"
            )
        yield line, row


def _image_path(folder: Path, root: Path, row: dict[str, Any], where: str) -> Path:
    column = next((c for c in NAME_COLUMNS if c in row), None)
    if column is None:
        raise DataError(
            f"{where}: no column 'file_name' among {_columns(row)}: "
            "name the image in 'file_name' and its class in 'label'"
        )
    name = row[column]
    if not isinstance(name, str) or not name.strip() or not _can_be_a_name(name):
        raise DataError(f"{where}: file_name {shown(name)} is no file name: give a path relative to the folder")
    inside = Path(os.path.realpath(root / name)).is_relative_to(root)
    if Path(name).is_absolute() or PureWindowsPath(name).drive or not inside:
        raise DataError(
            f"{where}: file_name {shown(name)} is absolute or leaves the folder: "
            f"give a path relative to {str(folder)!r}, inside it"
        )
    return folder / os.path.normpath(name)


def _can_be_a_name(text: str) -> bool:
    """Whether a file system can hold the name: no NUL, no half of a character."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _label(row: dict[str, Any], where: str) -> str:
    if LABEL_COLUMN not in row:
        raise DataError(
            f"{where}: no column 'label' among {_columns(row)}: name the image in 'file_name' and its class in 'label'"
        )
    label = row[LABEL_COLUMN]
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise DataError(f"{where}: label {shown(label)} is missing or no class: give a class name or number")
    return str(label).strip()


def _columns(row: dict[str, Any]) -> str:
    return ", ".join(shown(str(c)) for c in list(row)[:LISTED] if c is not None) or "none"
