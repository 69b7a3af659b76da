"""Images in shards: tar files that webdataset reads, of some thousand images each, instead of a file for every image.

    OUT/shard-000000.tar     KEY.png (or as the image came), KEY.cls (number of the class), KEY.json (what is known of it)
    OUT/classes.json         the names of the classes, in the order of their numbers

Law: a shard is complete or it is not there, and a shard of the same images has the same bytes, whoever writes it and when. A
shard ends with the batch that fills it.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from evenscore.checkpoint import PARTIAL, clear_partials, make_folder, new_file, unwritable, write_atomic
from evenscore.confined import inside
from evenscore.errors import DataError, RunError
from evenscore.reading import parse_json
from evenscore.writing import Found, ImageFolder, Piece, Store

NAME = re.compile(r"shard-(\d{6,9})\.tar")
PER_SHARD = 10_000
"""Images of a shard, where not asked otherwise."""
CLASSES = "classes.json"
LARGEST_RECORD = 2**20
"""Bytes of the metadata of one image."""


def shard_name(number: int) -> str:
    """The name of a shard."""
    return f"shard-{number:06d}.tar"


def shards_in(root: Path) -> list[Path]:
    """The complete shards in a folder, in order."""
    return sorted(path for path in root.glob("shard-*.tar") if NAME.fullmatch(path.name))


def open_store(
    root: Path, class_names: Sequence[str], form: str, per_shard: int = PER_SHARD, mark: int | None = None
) -> Store:
    """A folder with a file for each image, or with shards where ``form`` is ``webdataset``.

    Args:
        root: the folder.
        class_names: names of the classes.
        form: how images are kept.
        per_shard: images after which a shard is full.
        mark: None to make the folder ready, once; else where a folder that is ready goes on, in any process.

    Raises:
        DataError: it cannot be written, or something in it is a link that leads out of it.
    """
    if form != "webdataset":
        return ImageFolder.at(root, class_names) if mark is None else ImageFolder.standing(root, class_names)
    return Shards.at(root, class_names, per_shard) if mark is None else Shards(root, class_names, per_shard, mark)


class Shards:
    """A folder of shards that is being written.

    Args:
        root: the folder, which exists.
        class_names: names of the classes.
        per_shard: images after which a shard is full.
        number: of the shard in hand.
    """

    def __init__(self, root: Path, class_names: Sequence[str], per_shard: int, number: int = 0) -> None:
        self.root, self.class_names, self.per_shard = root, tuple(class_names), per_shard
        self.number, self.held = number, 0
        self._file: BinaryIO | None = None
        self._tar: tarfile.TarFile | None = None

    @classmethod
    def at(cls, root: Path, class_names: Sequence[str], per_shard: int) -> Shards:
        """The shards at ``root``, ready for writing.

        Raises:
            DataError: it cannot be written, or something in it is a link that leads out of it.
        """
        inside(root, CLASSES)
        make_folder(root)
        clear_partials(root)
        write_atomic(root / CLASSES, json.dumps(list(class_names), ensure_ascii=False).encode("utf-8", "replace"))
        return cls(root, class_names, per_shard)

    def pack(self, pieces: Iterable[Piece]) -> bytes:
        """The images of a batch as bytes, for :meth:`take` in the process that writes."""
        whole = list(pieces)
        head = [[p.label, p.key, p.suffix, len(p.content), dict(p.record)] for p in whole]
        return json.dumps(head).encode() + b"\n" + b"".join(p.content for p in whole)

    def take(self, packed: bytes) -> int | None:
        """Write the images of a batch; returns the number of complete shards where that filled one, else None.

        Raises:
            DataError: the disk is full.
        """
        head, _, content = packed.partition(b"\n")
        start = 0
        for label, key, suffix, size, record in json.loads(head):
            self._put(Piece(label, key, suffix, content[start : start + size], record))
            start += size
        return self.close() if self.held >= self.per_shard else None

    def add(self, pieces: Iterable[Piece]) -> int:
        """Write images, as many as come; returns the number of complete shards, of which the last may be small."""
        for piece in pieces:
            self._put(piece)
            if self.held >= self.per_shard:
                self.close()
        self.close()
        return self.number

    def close(self) -> int | None:
        """Complete the shard in hand; returns the number of complete shards, None where nothing was in hand.

        Raises:
            DataError: the disk is full.
        """
        if self._tar is None or self._file is None:
            return None
        target = self.root / shard_name(self.number)
        partial = self._partial()
        try:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(partial, target)
        except OSError as error:
            self.drop()
            raise unwritable(target, error) from error
        self._tar, self._file = None, None
        self.number, self.held = self.number + 1, 0
        return self.number

    def truncate(self, number: int) -> None:
        """Go on after ``number`` shards; later ones, which an interrupted job has not counted, are written again.

        Raises:
            RunError: there are fewer.
        """
        there = shards_in(self.root)
        if [path.name for path in there[:number]] != [shard_name(i) for i in range(number)]:
            raise RunError(
                f"{self.root} holds fewer than the {number} shards that were written: remove {self.root} and start again"
            )
        for path in there[number:]:
            path.unlink(missing_ok=True)
        self.number = number

    def found(self) -> Iterator[Found]:
        """All images in the complete shards in order, one at a time."""
        for path in shards_in(self.root):
            yield from read_shard(path)

    def _put(self, piece: Piece) -> None:
        target = self.root / shard_name(self.number)
        record = {"file_name": f"{target.name}/{piece.key}{piece.suffix}", **piece.record}
        try:
            if self._tar is None:
                self._file = new_file(self._partial())
                self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)
            for suffix, content in (
                (piece.suffix, piece.content),
                (".cls", str(piece.label).encode()),
                (".json", json.dumps(record).encode()),
            ):
                member = tarfile.TarInfo(piece.key + suffix)
                member.size = len(content)
                self._tar.addfile(member, io.BytesIO(content))
            _forget(self._tar)
        except OSError as error:
            self.drop()
            raise unwritable(target, error) from error
        self.held += 1

    def _partial(self) -> Path:
        return self.root / f".{shard_name(self.number)}.{os.getpid()}{PARTIAL}"

    def drop(self) -> None:
        """Leave nothing of the shard in hand."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._partial().unlink(missing_ok=True)
        self._tar, self._file = None, None


def _forget(tar: tarfile.TarFile) -> None:
    """A tar file remembers every member that it has written or read."""
    tar.members = []  # type: ignore[attr-defined]


def read_shard(path: Path) -> Iterator[Found]:
    """The images of one shard, with the places of their bytes.

    Raises:
        DataError: it is no tar file, or an image lacks its record.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            image: tuple[str, int, int] | None = None
            while member := tar.next():
                _forget(tar)
                key, _, suffix = member.name.partition(".")
                if suffix == "json":
                    yield Found(*_located(tar, member, image, key, path))
                elif suffix != "cls":
                    image = key, member.offset_data, member.size
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DataError(f"shard {path} cannot be read ({error}): restore it, or write the folder again") from error


def _located(
    tar: tarfile.TarFile, member: tarfile.TarInfo, image: tuple[str, int, int] | None, key: str, path: Path
) -> tuple[dict[str, Any], Path, int, int]:
    """The record of a member, with the file and the bytes of the image before it.

    Raises:
        ValueError: it is no record, or of another image.
    """
    file = tar.extractfile(member) if member.size <= LARGEST_RECORD else None
    record = None if file is None else parse_json(file.read().decode())
    if not isinstance(record, dict) or image is None or image[0] != key:
        raise ValueError(f"{member.name} is no record of the image before it")
    return record, path, image[1], image[2]
