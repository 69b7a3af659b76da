from __future__ import annotations

import json

import numpy as np

from evenscore.data import from_arrays, load, save_png
from evenscore.inspection import inspect


def unequal() -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([0, 1, 2], [120, 10, 3])
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4, 1), dtype=np.uint8)
    return images, labels


def test_classes_groups_and_sizes() -> None:
    images, labels = unequal()
    seen = inspect(from_arrays(images, labels, ["a", "b", "c"], name="my data.npz", test=(images[:2] ^ 1, labels[:2])))
    assert [(c.name, c.count, c.group, c.learnable) for c in seen.classes] == [
        ("a", 120, "head", "enough"),
        ("b", 10, "tail", "borderline"),
        ("c", 3, "tail", "too small"),
    ]
    assert (seen.total, seen.held_out, seen.imbalance, seen.shape, seen.kind) == (133, 2, 40, (1, 4, 4), "image")
    assert (seen.duplicates_within, seen.duplicates_across, seen.duplicates_held_out) == ((), (), 0)
    text = "\n".join(seen.advice)
    assert "evenscore balance 'my data.npz' --out DIR" in text
    assert "class c: fewer than 5" in text
    assert "class b: 5 to 19" in text


def test_duplicates_within_across_and_held_out() -> None:
    images, labels = unequal()
    images[5] = images[3]
    images[7] = images[3]
    images[121] = images[0]
    almost = images[10].copy()
    almost[0, 0] ^= 1
    images[11] = almost
    seen = inspect(from_arrays(images, labels, test=(images[[20, 21]], labels[[20, 21]])))
    assert [g.members for g in seen.duplicates_within] == [("3", "5", "7")]
    assert [(g.members, g.classes) for g in seen.duplicates_across] == [(("0", "121"), ("0", "1"))]
    assert seen.duplicates_held_out == 2
    text = "\n".join(seen.advice)
    for part in ("under several labels: 1 sample ", "inside a class: 2 samples", "training part: 2 samples"):
        assert part in text


def test_json_is_plain_and_lists_are_bounded() -> None:
    images = np.zeros((90, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(90) // 3
    seen = inspect(from_arrays(images, np.arange(90) % 2))
    plain = json.loads(json.dumps(seen.to_dict()))
    across = plain["duplicates_across"]
    assert (across["groups"], across["extra_samples"], len(across["listed"])) == (30, 60, 20)
    assert seen.advice[-1] == "the classes are about equally large: nothing to balance"


def test_files_and_skipped_files_are_named(tmp_path) -> None:
    for k in ("a", "b"):
        (tmp_path / k).mkdir()
        save_png(np.zeros((3, 3), np.uint8), tmp_path / k / "same.png")
    (tmp_path / "a" / "bad.png").write_text("no image")
    seen = inspect(load(str(tmp_path)))
    assert seen.duplicates_across[0].members == (str(tmp_path / "a/same.png"), str(tmp_path / "b/same.png"))
    assert seen.skipped[0][0].endswith("bad.png")
    assert seen.to_dict()["skipped"][0]["reason"].startswith("not a PNG")
    assert any("left out: 1 file " in a for a in seen.advice)


def test_vectors() -> None:
    seen = inspect(from_arrays(np.eye(9, dtype=np.float32), [0] * 8 + [1]))
    assert seen.shape == (9,)
    assert any("evenscore train" in a for a in seen.advice)
