"""Archives (.npz) that hold objects, lie about sizes, expand without end, or are no archives."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile_cases.case import REFUSED, Place, hostile

INSPECT = "inspect {data}.npz"
EVALUATE = "evaluate {data}.npz --reference digits --features pixels"
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 0, 1])


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """The bytes of an array file with a header of one's own."""
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + content


def described(shape: str, descr: str = "'|u1'", order: str = "False") -> str:
    """The header of an array."""
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


def archive(place: Place, compression: int = zipfile.ZIP_STORED, **members: Any) -> Path:
    """An archive of arrays and of raw members; images and labels are good ones where not given."""
    path = place.root / "data.npz"
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, member in {"train_images": IMAGES, "train_labels": LABELS, **members}.items():
            if isinstance(member, np.ndarray):
                buffer = io.BytesIO()
                np.save(buffer, member)
                member = buffer.getvalue()
            if member is not None:
                file.writestr(f"{name}.npy", member)
    return path


@hostile(INSPECT, REFUSED, "never opened")
def images_of_objects(place: Place) -> None:
    """Pickled objects as images, which would leave a file when they are opened."""
    archive(place, train_images=npy(described("(6,)", "'|O'"), pickle.dumps([Trap(place.canary)] * 6)))


@hostile(INSPECT, REFUSED, "never opened")
def class_names_of_objects(place: Place) -> None:
    """Pickled objects as class names."""
    archive(place, class_names=npy(described("(2,)", "'|O'"), pickle.dumps([Trap(place.canary)] * 2)))


@hostile(INSPECT, REFUSED, "cannot be read")
def a_pickle_instead_of_an_archive(place: Place) -> None:
    """A member that is a bare pickle."""
    archive(place, train_images=pickle.dumps(Trap(place.canary)))


@hostile(INSPECT, REFUSED, "is not an .npz archive")
def a_pickle_named_npz(place: Place) -> None:
    """A file that is a bare pickle."""
    (place.root / "data.npz").write_bytes(pickle.dumps(Trap(place.canary)))


@hostile(INSPECT, REFUSED, "has no train_images")
def members_with_paths(place: Place) -> None:
    """Members that would be written elsewhere if they were unpacked."""
    path = place.root / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("../outside/evil.npy", f"{place.outside}/evil.npy", "C:\\evil.npy", "two\nlines\x1b[2J.npy"):
            file.writestr(name, b"evil")


@hostile(INSPECT, REFUSED, "GiB")
def shape_of_a_terabyte(place: Place) -> None:
    """A header that claims a terabyte, and no data."""
    archive(place, train_images=npy(described("(1048576, 1024, 1024, 1)")))


@hostile(INSPECT, REFUSED, "GiB")
def shape_beyond_all_integers(place: Place) -> None:
    """A header whose number of entries does not fit any integer."""
    archive(place, train_images=npy(described("(4611686018427387904, 4611686018427387904)")))


@hostile(INSPECT, REFUSED, "cannot be read")
def negative_shape(place: Place) -> None:
    """A header with a negative length."""
    archive(place, train_images=npy(described("(-6, 8, 8, 1)"), bytes(384)))


@hostile(INSPECT, REFUSED, "cannot be read")
def shape_larger_than_the_data(place: Place) -> None:
    """A header that claims more than the member holds."""
    archive(place, train_images=npy(described("(600, 8, 8, 1)"), bytes(384)))


@hostile(INSPECT, REFUSED, "times its size")
def deflate_bomb(place: Place) -> None:
    """Half a megabyte that expands to half a gigabyte of zeros, as the header says."""
    path = archive(place, train_images=None)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as file,
        file.open("train_images.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy(described("(512, 1024, 1024, 1)")))
        for _ in range(512):
            member.write(bytes(2**20))


@hostile(INSPECT, REFUSED, "")
def code_in_the_header(place: Place) -> None:
    """A header that is an expression."""
    archive(place, train_images=npy(f"__import__('os').mkdir({str(place.canary)!r})"))


@hostile(INSPECT, REFUSED, "cannot be read")
def deep_header(place: Place) -> None:
    """A header of nine thousand brackets."""
    archive(place, train_images=npy("(" * 9000))


@hostile(INSPECT, REFUSED, "cannot be read")
def long_header(place: Place) -> None:
    """A header of 50 megabytes."""
    archive(place, train_images=npy(described("(6, 8, 8, 1)") + " " * 50_000_000, bytes(384), b"\x02\x00"))


@hostile(INSPECT, REFUSED, "dtype")
def columns_first_and_complex(place: Place) -> None:
    """Complex numbers, stored by columns."""
    archive(place, train_images=np.asfortranarray(np.zeros((6, 8, 8), np.complex64)))


@hostile(INSPECT, REFUSED, "dtype")
def records_as_labels(place: Place) -> None:
    """Labels that are records."""
    archive(place, train_labels=np.zeros(6, dtype=[("label", "i4"), ("path", "U4")]))


@hostile(INSPECT, REFUSED, "labels")
def label_beyond_all_classes(place: Place) -> None:
    """A label that would need a million million million classes."""
    archive(place, train_labels=np.array([0, 1, 0, 1, 0, 2**62]))


@hostile(INSPECT, REFUSED, "labels")
def label_of_ten_million(place: Place) -> None:
    """A label that would need ten million classes for six images."""
    archive(place, train_labels=np.array([0, 1, 0, 1, 0, 10_000_000]))


@hostile(INSPECT, REFUSED, "class names")
def ten_million_class_names(place: Place) -> None:
    """Far more class names than images."""
    archive(place, zipfile.ZIP_DEFLATED, class_names=np.zeros(10_000_000, dtype="S1"))


@hostile(INSPECT, REFUSED, "")
def encrypted_member(place: Place) -> None:
    """A member marked as encrypted."""
    path = archive(place)
    content = bytearray(path.read_bytes())
    for start in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
        content[start] |= 1
    path.write_bytes(content)


@hostile(INSPECT, REFUSED, "")
def truncated_archive(place: Place) -> None:
    """The first half of an archive."""
    path = archive(place)
    path.write_bytes(path.read_bytes()[:300])


@hostile(INSPECT, REFUSED, "damaged")
def flipped_bits(place: Place) -> None:
    """An archive with a wrong checksum."""
    path = archive(place)
    content = bytearray(path.read_bytes())
    content[250] ^= 255
    path.write_bytes(content)


@hostile(INSPECT, REFUSED, "no regular file")
def pipe_as_archive(place: Place) -> None:
    """A named pipe called .npz."""
    os.mkfifo(place.root / "data")
    (place.root / "data.npz").symlink_to("data")


@hostile(EVALUATE, REFUSED, "cannot be read")
def samples_of_a_terabyte(place: Place) -> None:
    """Samples to evaluate whose rows claim a gigabyte each."""
    archive(place, train_images=npy(described("(6, 1048576, 1024, 1)"), bytes(384)))


@hostile(EVALUATE, REFUSED, "GiB")
def labels_of_a_terabyte(place: Place) -> None:
    """Samples to evaluate whose labels claim a terabyte."""
    archive(place, train_labels=npy(described("(1099511627776,)"), bytes(6)))


@hostile(EVALUATE, REFUSED, "do not fit")
def text_as_labels_of_samples(place: Place) -> None:
    """Samples to evaluate with words as labels."""
    archive(place, train_labels=np.array(["a", "b"] * 3))


@hostile(EVALUATE, REFUSED, "do not fit")
def sample_label_beyond_all_classes(place: Place) -> None:
    """Samples to evaluate with an enormous label."""
    archive(place, train_labels=np.array([0, 1, 0, 1, 0, 2**62]))


@hostile(EVALUATE, REFUSED, "class_names")
def class_names_without_length(place: Place) -> None:
    """Samples to evaluate with a single word as class names."""
    archive(place, class_names=np.array("cat"))


@hostile(EVALUATE, REFUSED, "never opened")
def samples_of_objects(place: Place) -> None:
    """Samples to evaluate that are pickled objects."""
    archive(place, train_images=npy(described("(6,)", "'|O'"), pickle.dumps([Trap(place.canary)] * 6)))
