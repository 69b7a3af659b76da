from __future__ import annotations

import json
import os
from io import BufferedReader
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenscore.data.folder import read_folder
from evenscore.data.pixels import UnreadableImage
from evenscore.errors import DataError, UsageError
from evenscore.reading import open_regular


def assert_refused(root: Path, *says: str, **options: object) -> None:
    with pytest.raises(DataError) as caught:
        read_folder(root, **options)  # type: ignore[arg-type]
    for part in says:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_and_files_stand_in_natural_order(make_folder) -> None:
    root = make_folder({"class10": 2, "class2": 11})
    data = read_folder(root)
    assert data.class_names == ("class2", "class10")
    assert data.distribution.counts == (11, 2)
    assert [f.name for f in data.files[:11]] == [f"{i}.png" for i in range(11)]
    np.testing.assert_array_equal(data.values[10], np.asarray(Image.open(root / "class2" / "10.png")))
    assert (data.shape, data.notes, data.skipped, data.name) == ((3, 6, 8), (), (), str(root))


def test_train_and_held_out_folders(make_folder) -> None:
    make_folder({"train/a": 3, "train/b": 4}, mode="L")
    root = make_folder({"val/b": 2}, mode="RGB", size=(9, 9))
    data = read_folder(root)
    assert data.shape == data.test.shape == (1, 6, 8)
    assert len(data) == 7
    assert data.test.labels.tolist() == [1, 1]
    assert data.test.class_names == ("a", "b")
    assert any("converted to grey" in n for n in data.test.notes)


def test_held_out_class_unknown_to_training(make_folder) -> None:
    root = make_folder({"train/a": 2, "train/b": 2, "test/c": 1})
    assert_refused(root, "'c'", "training part lacks")


def test_train_may_be_a_class_name(make_folder) -> None:
    assert read_folder(make_folder({"train": 2, "car": 2})).class_names == ("car", "train")


def test_mixed_sizes_come_to_the_most_common_one(make_folder) -> None:
    make_folder({"a": 4}, size=(6, 8))
    root = make_folder({"b": 3}, size=(30, 20))
    data = read_folder(root)
    assert data.shape == (3, 6, 8)
    assert data.notes == ("3 images of another size centre-cropped to the aspect ratio and resized to 6x8",)
    assert read_folder(root, size=(5, 4)).shape == (3, 5, 4)


def test_grey_only_stays_grey_and_mixed_becomes_colour(make_folder) -> None:
    root = make_folder({"a": 3, "b": 2}, mode="L")
    grey = read_folder(root)
    assert grey.shape[0] == 1
    make_folder({"c": 1}, mode="RGB")
    mixed = read_folder(root)
    assert mixed.shape[0] == 3
    np.testing.assert_array_equal(mixed.values[:5], np.repeat(grey.values, 3, axis=-1))
    assert "5 grey images repeated to RGB because others have colour" in mixed.notes


def test_other_files_are_counted_and_hidden_ones_invisible(make_folder) -> None:
    root = make_folder({"a": 2, "b": 2})
    for name in ("a/readme.txt", "b/x.csv", ".DS_Store", "a/.hidden.png", "license"):
        (root / name).write_text("x")
    (root / ".git").mkdir()
    (root / "a" / "nested").mkdir()
    os.rename(root / "b" / "1.png", root / "b" / "1.PNG")
    data = read_folder(root)
    assert len(data) == 4
    assert any(n.startswith("ignored: 3 files") and ".txt" in n for n in data.notes)
    assert "ignored: 1 folder inside class folders" in data.notes


def damage(root: Path) -> None:
    png = (root / "a" / "0.png").read_bytes()
    (root / "a" / "0.png").write_bytes(png[: len(png) // 2])
    (root / "a" / "text.png").write_text("no image")
    Image.new("1", (20000, 20000)).save(root / "b" / "bomb.png")
    Image.new("RGB", (90, 90)).save(root / "b" / "cut.jpg")
    os.truncate(root / "b" / "cut.jpg", 700)


def test_unreadable_images_are_skipped_and_listed(make_folder) -> None:
    root = make_folder({"a": 3, "b": 2})
    damage(root)
    data = read_folder(root)
    assert data.distribution.counts == (2, 2)
    reasons = {skipped.path.name: skipped.reason for skipped in data.skipped}
    assert set(reasons) == {"0.png", "text.png", "bomb.png", "cut.jpg"}
    assert "truncated" in reasons["0.png"]
    assert "not a PNG" in reasons["text.png"]
    assert "pixels" in reasons["bomb.png"]
    assert_refused(root, "a/0.png", "4 in all", strict="strict")


def test_permission_denied_is_skipped(make_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder({"a": 2, "b": 2})

    def guarded(path: Path) -> BufferedReader:
        if Path(path).match("b/0.png"):
            raise PermissionError(13, "Permission denied")
        return open_regular(path)

    monkeypatch.setattr("evenscore.data.pixels.open_regular", guarded)
    assert [s.reason for s in read_folder(root).skipped] == ["permission denied"]


def test_folders_that_cannot_be_used(make_folder, tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", "does not exist")
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", "holds no images")
    (tmp_path / "file").touch()
    assert_refused(tmp_path / "file", "is not a folder")
    flat = make_folder({".": 2}, root="flat")
    assert_refused(flat, "2 images but no class folders")
    assert_refused(make_folder({"only": 3}, root="single"), "only 1 class")
    hollow = make_folder({"a": 3, "b": 3}, root="hollow")
    (hollow / "c").mkdir()
    assert_refused(hollow, "hollow/c", "0 images", "remove the folder")


def test_a_class_without_readable_images(make_folder) -> None:
    root = make_folder({"a": 3, "b": 1})
    (root / "b" / "0.png").write_text("text")
    assert_refused(root, "class 'b'", "0 readable images", "b/0.png")
    (root / "a" / "0.png").write_text("text")
    for path in (root / "a").iterdir():
        path.write_text("text")
    assert_refused(root, "class 'a'")


def test_strictness_is_a_named_value(make_folder) -> None:
    with pytest.raises(UsageError, match="strict"):
        read_folder(make_folder({"a": 1, "b": 1}), strict="strickt")


def test_links_that_leave_the_folder_are_not_followed(make_folder, tmp_path: Path) -> None:
    root = make_folder({"a": 2, "b": 2})
    make_folder({"secret": 1}, root="outside")
    (root / "a" / "leak.png").symlink_to(tmp_path / "outside" / "secret" / "0.png")
    (root / "a" / "inside.png").symlink_to(root / "b" / "0.png")
    data = read_folder(root)
    assert [(s.path.name, s.reason) for s in data.skipped] == [("leak.png", "link that leaves the folder")]
    assert len(data) == 5
    (root / "c").symlink_to(tmp_path / "outside" / "secret")
    assert_refused(root, "class 'c'", "link that leaves the folder")


def test_more_than_memory_holds_is_refused_before_decoding(make_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenscore.data.folder.MAX_BYTES", 100)
    assert_refused(make_folder({"a": 2, "b": 2}), "size=64")


def with_metadata(root: Path, rows: list[dict[str, object]], kind: str) -> Path:
    if kind == "csv":
        keys = list(rows[0])
        text = "\n".join([",".join(keys), *(",".join(str(r[k]) for k in keys) for r in rows)])
    else:
        text = "\n".join(json.dumps(r) for r in rows) + "\n\n"
    (root / f"metadata.{kind}").write_text(text, encoding="utf-8-sig")
    return root


ROWS: list[dict[str, object]] = [
    {"file_name": "images/2.png", "label": "dog"},
    {"file_name": "images/0.png", "label": "cat"},
    {"file_name": "./images/1.png", "label": "dog"},
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata(make_folder, kind: str) -> None:
    root = with_metadata(make_folder({"images": 3}), [*ROWS, ROWS[0]], kind)
    data = read_folder(root)
    assert data.class_names == ("cat", "dog")
    assert [f.name for f in data.files] == ["0.png", "1.png", "2.png"]
    assert data.labels.tolist() == [0, 1, 1]
    assert data.notes == (f"ignored: 1 repeated line in metadata.{kind}",)


def test_a_balanced_folder_can_be_read_again(make_folder) -> None:
    rows = [{"file": r["file_name"], "label": r["label"], "synthetic": True} for r in ROWS]
    assert read_folder(with_metadata(make_folder({"images": 3}), rows, "jsonl")).distribution.counts == (1, 2)


def test_numbers_as_labels_and_metadata_below_train(make_folder) -> None:
    root = make_folder({"train/images": 3, "test/10": 1, "test/9": 1})
    with_metadata(root / "train", [r | {"label": n} for r, n in zip(ROWS, (10, 9, 9), strict=True)], "jsonl")
    data = read_folder(root)
    assert data.class_names == ("9", "10")
    assert data.test.distribution.counts == (1, 1)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"file_name": "images/9.png", "label": "cat"}, "missing image"),
        ({"file_name": "images/0.png", "label": "dog"}, "duplicate labels 'cat' and 'dog'"),
        ({"file_name": "/etc/passwd", "label": "cat"}, "absolute or leaves the folder"),
        ({"file_name": "../data2/0.png", "label": "cat"}, "absolute or leaves the folder"),
        ({"file_name": "C:\\0.png", "label": "cat"}, "absolute or leaves the folder"),
        ({"file_name": "", "label": "cat"}, "is no file name"),
        ({"file_name": "images/1.png", "label": ""}, "label '' is missing"),
    ],
)
def test_bad_metadata_lines(make_folder, kind: str, row: dict[str, object], says: str) -> None:
    assert_refused(with_metadata(make_folder({"images": 3}), [*ROWS, row], kind), says, f"metadata.{kind}", "line ")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("metadata.csv", b"file_name,class\nimages/0.png,a\n", "no column 'label' among 'file_name', 'class'"),
        ("metadata.csv", b"path,label\nimages/0.png,a\n", "no column 'file_name'"),
        ("metadata.csv", b"file_name,label\n", "names no image"),
        ("metadata.csv", b"", "names no image"),
        ("metadata.csv", b"file_name,label\n\xff\xfe,a\n", "cannot be read"),
        ("metadata.csv", b"file_name,label\nimages/0.png\n", "label None is missing"),
        ("metadata.jsonl", b'{"file_name": "images/0.png", "label": "a"}\n{oops\n', "line 2 is not a JSON object"),
        ("metadata.jsonl", b"[1, 2]\n", "line 1 is not a JSON object"),
        ("metadata.jsonl", b'{"file_name": "images/0.png", "label": null}\n', "label None is missing"),
        ("metadata.jsonl", b'{"file_name": "images/0.png", "label": "a"}\n', "only 1 class"),
    ],
)
def test_bad_metadata_files(make_folder, name: str, content: bytes, says: str) -> None:
    root = make_folder({"images": 1})
    (root / name).write_bytes(content)
    assert_refused(root, says)


def test_both_kinds_of_metadata(make_folder) -> None:
    root = with_metadata(with_metadata(make_folder({"images": 3}), ROWS, "csv"), ROWS, "jsonl")
    assert_refused(root, "both metadata.csv and metadata.jsonl")


def test_metadata_naming_a_link_that_leaves_the_folder(make_folder, tmp_path: Path) -> None:
    root = make_folder({"images": 3})
    (tmp_path / "secret.png").write_bytes((root / "images" / "0.png").read_bytes())
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    assert_refused(with_metadata(root, [*ROWS, {"file_name": "link.png", "label": "cat"}], "csv"), "leaves the folder")


def test_unreadable_image_is_a_data_error() -> None:
    error = UnreadableImage("x.png", "why")
    assert isinstance(error, DataError)
    assert (error.path, error.reason) == (Path("x.png"), "why")
