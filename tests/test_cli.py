"""The command line: exit codes, one sentence for every failure, nothing half-written, JSON alone on standard output."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evenscore.commands.list import KINDS
from evenscore.run import Run
from tests.small import small

TRAIN = small()
SAME = [*TRAIN, "--set", "warmup=2", "--set", "checkpoint_every=2"]
"""With four steps, the settings of the shared trained run."""


Cli = Callable[..., Any]


def image(path: Path, seed: int = 0, size: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, *path.name.encode(), *path.parent.name.encode()]).integers(
        0, 256, (size, size)
    )
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def pictures(root: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image(root / name / f"{i}.png", i)
    return root


def bomb(path: Path) -> None:
    """The header of a grey PNG of 20000 x 20000 pixels, and no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def empty(root: Path) -> None:
    root.mkdir()


def one_class(root: Path) -> None:
    pictures(root, cat=3)


def class_without_images(root: Path) -> None:
    pictures(root, cat=3, dog=0)


def only_a_bomb(root: Path) -> None:
    pictures(root, cat=3, dog=0)
    bomb(root / "dog" / "0.png")


def only_text(root: Path) -> None:
    pictures(root, cat=3, dog=0)
    (root / "dog" / "0.png").write_text("I am no image")


def missing_image(root: Path) -> None:
    pictures(root, cat=2, dog=2)
    (root / "metadata.csv").write_text("file_name,label\ncat/0.png,cat\ndog/9.png,dog\n")


def duplicate_labels(root: Path) -> None:
    pictures(root, cat=2, dog=2)
    (root / "metadata.csv").write_text("file_name,label\ncat/0.png,cat\ndog/0.png,dog\ncat/0.png,dog\n")


FOLDERS: list[tuple[Callable[[Path], None], str]] = [
    (empty, "holds no images"),
    (one_class, "only 1 class found"),
    (class_without_images, "has 0 images"),
    (only_a_bomb, "more than 64000000 pixels"),
    (only_text, "not a PNG, JPEG"),
    (missing_image, "names the missing image"),
    (duplicate_labels, "has the duplicate labels 'cat' and 'dog'"),
]


@pytest.mark.parametrize(("make", "words"), FOLDERS, ids=lambda v: getattr(v, "__name__", ""))
def test_folders_that_cannot_be_used(cli: Cli, tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    make(tmp_path / "data")
    before = sorted(tmp_path.rglob("*"))
    for command in (["inspect"], ["train", "--out", tmp_path / "out"], ["balance", "--out", tmp_path / "out"]):
        cli(command[0], tmp_path / "data", *command[1:]).assert_refused(3, words)
    assert sorted(tmp_path.rglob("*")) == before


ARCHIVES: list[tuple[dict[str, Any], str]] = [
    ({"train_images": np.full((4, 3), np.nan, np.float32)}, "NaN or infinite values"),
    ({"train_images": np.full((4, 8, 8), np.nan)}, "NaN or infinite values"),
    ({"train_images": np.zeros((4, 8, 8), np.int64)}, "have dtype int64"),
    ({"train_images": np.zeros((4, 8, 8, 4), np.uint8)}, "have shape (4, 8, 8, 4)"),
    ({"train_images": np.zeros((3, 8, 8), np.uint8)}, "for 3 samples"),
    ({"train_images": np.zeros((4, 8, 8), np.uint8), "train_labels": np.zeros(4)}, "have dtype float64"),
    ({"train_images": np.array([{"a": 1}] * 4)}, "which is never opened because it could run code"),
]


@pytest.mark.parametrize(("arrays", "words"), ARCHIVES)
def test_archives_that_cannot_be_used(cli: Cli, tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "data.npz", **{"train_labels": np.array([0, 1, 0, 1]), **arrays})
    for command in (["inspect"], ["train", "--out", tmp_path / "out"], ["balance", "--out", tmp_path / "out"]):
        cli(command[0], tmp_path / "data.npz", *command[1:]).assert_refused(3, words)
    assert [path.name for path in tmp_path.iterdir()] == ["data.npz"]


def damaged_folder(root: Path) -> Path:
    pictures(root, cat=4, dog=4)
    whole = image(root / "cat" / "whole.png", size=32).read_bytes()
    (root / "cat" / "whole.png").unlink()
    (root / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(root / "dog" / "cut.jpg")
    (root / "dog" / "cut.jpg").write_bytes((root / "dog" / "cut.jpg").read_bytes()[:200])
    (root / "dog" / "text.png").write_text("I am no image")
    bomb(root / "dog" / "bomb.png")
    return root


def test_damaged_images_among_good_ones_are_left_out_and_listed(cli: Cli, tmp_path: Path) -> None:
    data = damaged_folder(tmp_path / "data")
    found = json.loads(cli("inspect", data, "--json").out)
    assert [c["count"] for c in found["classes"]] == [4, 4]
    assert sorted(Path(s["path"]).name for s in found["skipped"]) == ["bomb.png", "cut.jpg", "cut.png", "text.png"]
    shown = cli("inspect", data)
    assert shown.code == 0
    assert "unreadable files: 4" in shown.out
    for command in (["inspect"], ["train", "--out", tmp_path / "out"], ["balance", "--out", tmp_path / "out"]):
        cli(command[0], data, *command[1:], "--strict").assert_refused(3, "cannot be used")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_file_is_left_out(cli: Cli, tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", cat=3, dog=3)
    (data / "cat" / "gone.png").symlink_to(data / "cat" / "nowhere.png")
    found = json.loads(cli("inspect", data, "--json").out)
    assert [Path(s["path"]).name for s in found["skipped"]] == ["gone.png"]


def test_a_class_with_one_image_is_said_to_be_too_small(cli: Cli, tmp_path: Path) -> None:
    found = json.loads(cli("inspect", pictures(tmp_path / "data", cat=30, dog=1), "--json").out)
    assert [c["learnable"] for c in found["classes"]] == ["enough", "too small"]
    assert "has 1 sample" in found["notes"][0]


WRONG: list[tuple[list[str], int, str]] = [
    (["trian"], 2, "No such command 'trian'"),
    (["train"], 2, "Missing argument"),
    (["train", "digits", "--out", "OUT", "--stesp", "3"], 2, "No such option: --stesp"),
    (["train", "digits", "--out", "OUT", "--steps", "many"], 2, "--steps"),
    (["train", "digits", "--out", "OUT", "--objective", "cbmd"], 2, "unknown objective 'cbmd': did you mean 'cbdm'?"),
    (
        ["train", "digits", "--out", "OUT", "--set", "batch_sise=3"],
        2,
        "unknown key 'batch_sise': did you mean 'batch_size'?",
    ),
    (["train", "digits", "--out", "OUT", "--set", "lr=fast"], 2, "lr='fast' cannot be used: lr takes a number"),
    (["train", "digits", "--out", "OUT", "--set", "lr"], 2, "has no key=value form"),
    (["train", "digits", "--out", "OUT", "--set", "weighting=emd"], 2, "unknown weighting 'emd': did you mean 'edm'?"),
    (
        ["train", "digits", "--out", "OUT", "--objective", "cbdm", "--set", "law=fine-tun"],
        2,
        "did you mean 'fine-tune'?",
    ),
    (["train", "digits", "--out", "OUT", "--network", "smal"], 2, "unknown network 'smal': did you mean 'small'?"),
    (["train", "digits", "--out", "OUT", "--steps", "3", "--minutes", "1"], 2, "both steps and minutes given"),
    (["train", "digits", "--out", "OUT", "--steps", "0"], 2, "steps must be above 0"),
    (["train", "digits", "--out", "OUT", "--config", "none.yaml"], 3, "configuration none.yaml cannot be read"),
    (["train", "digitz", "--out", "OUT"], 2, "unknown data set 'digitz': did you mean 'digits'?"),
    (["train", "digits:facto=50", "--out", "OUT"], 2, "unknown data key 'facto': did you mean 'factor'?"),
    (["train", "digits:factor=a", "--out", "OUT"], 2, "factor=a is not a number of at least 1"),
    (["train", "nowhere/at/all", "--out", "OUT"], 3, "do not exist"),
    (["sample", "RUN", "--out", "OUT", "--solver", "huen"], 2, "unknown solver 'huen': did you mean 'heun'?"),
    (["sample", "RUN", "--out", "OUT", "--format", "pgn"], 2, "unknown format 'pgn': did you mean 'png'?"),
    (["sample", "RUN", "--out", "OUT", "--nfe", "0"], 2, "too few"),
    (["sample", "RUN", "--out", "OUT", "--guidance", "-1"], 2, "guidance scale is -1"),
    (["sample", "RUN", "--out", "OUT", "--guidance-interval", "3"], 2, "give two numbers"),
    (["sample", "RUN", "--out", "OUT", "--guidance-interval", "a,b"], 2, "guidance-interval takes a number"),
    (["sample", "RUN", "--out", "OUT", "--per-class", "0"], 2, "give at least 1"),
    (["sample", "RUN", "--out", "OUT", "--counts", "none.yaml"], 2, "does not exist"),
    (["sample", "nowhere", "--out", "OUT"], 3, "nowhere is not a run folder"),
    (["sample", "RUN", "--out", "OUT", "--guidance-method", "minorty"], 2, "did you mean 'minority'?"),
    (["sample", "RUN", "--out", "OUT", "--guidance-method", "minority", "--set", "levl=1"], 2, "did you mean 'level'?"),
    (["sample", "RUN", "--out", "OUT", "--guidance-method", "diversity", "--set", "eta"], 2, "no key=value form"),
    (["sample", "RUN", "--out", "OUT", "--guidance-method", "diversity", "--solver", "adaptive"], 2, "its own pace"),
    (["balance", "digits", "--out", "OUT", "--target", "unifrom"], 2, "'unifrom' is neither uniform"),
    (["balance", "digits", "--out", "OUT", "--target", "0"], 2, "give at least 1 sample"),
    (["balance", "digits", "--out", "OUT", "--solver", "huen"], 2, "did you mean 'heun'?"),
    (["balance", "digits", "--out", "OUT", "--run", "RUN", "--steps", "3"], 2, "--run and --steps were both given"),
    (["balance", "digits", "--out", "OUT", "--run", "RUN"], 3, "was trained on other data (digits:factor=50)"),
    (["balance", "digits", "--out", "OUT", "--run", "nowhere"], 3, "nowhere is not a run folder"),
    (["balance", "digits", "--out", "OUT/test", "--steps", "1"], 2, "named like held-out data"),
    (["list", "objectivs"], 2, "unknown kind 'objectivs': did you mean 'objectives'?"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_requests_that_are_wrong(
    cli: Cli, tmp_path: Path, trained: Path, arguments: list[str], code: int, words: str
) -> None:
    places = {"OUT": str(tmp_path / "out"), "RUN": str(trained), "OUT/test": str(tmp_path / "test")}
    cli(*(places.get(a, a) for a in arguments)).assert_refused(code, words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "sample", "balance"])
def test_what_exists_is_not_overwritten(cli: Cli, tmp_path: Path, trained: Path, command: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    first = trained if command == "sample" else "digits:factor=50"
    cli(command, first, "--out", tmp_path / "out").assert_refused(3, "exists and is not")
    cli(command, first, "--out", tmp_path / "out" / "thesis.txt").assert_refused(3, "exists and is not")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("command", ["train", "balance"])
def test_nothing_is_written_into_the_data(cli: Cli, tmp_path: Path, command: str) -> None:
    data = pictures(tmp_path / "data", cat=3, dog=2)
    before = sorted(tmp_path.rglob("*"))
    for out in (data, data / "new", data / "cat" / "new"):
        cli(command, data, "--out", out, "--steps", 1).assert_refused(2, "lies inside the data")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_of_other_data_or_settings_is_refused_and_left_alone(cli: Cli, trained: Path) -> None:
    before = {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()}
    train = ["--out", trained, "--steps", 4, *SAME]
    cli("train", "digits:factor=20", *train).assert_refused(3, "was trained on other data")
    cli("train", "digits:factor=50", *train, "--seed", 1).assert_refused(3, "seed=1 was asked")
    cli("train", "digits:factor=50", "--out", trained, "--steps", 3, *SAME).assert_refused(3, "has 4 steps already")
    assert {p: p.read_bytes() for p in trained.rglob("*") if p.is_file()} == before


def spoil(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "flipped byte":
        content[len(content) // 2] ^= 1
    if how == "truncated":
        content = content[:1000]
    path.write_bytes(content)
    if how == "pickle":
        torch.save({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("how", "words"), [("flipped byte", "is damaged"), ("truncated", "is damaged"), ("pickle", "is a pickle")]
)
def test_a_checkpoint_that_is_not_whole_is_not_used(
    cli: Cli, tmp_path: Path, trained: Path, how: str, words: str
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    spoil(tmp_path / "run" / "checkpoints" / "step-000000004.safetensors", how)
    out = tmp_path / "out"
    cli("sample", tmp_path / "run", "--out", out).assert_refused(3, words)
    cli("sample", tmp_path / "run", "--out", out, "--format", "npz").assert_refused(3, words)
    again = ["--out", tmp_path / "run", "--steps", 6, *SAME]
    cli("train", "digits:factor=50", *again).assert_refused(3, words)
    assert not out.exists()
    assert Run.open(tmp_path / "run").config.steps == 4


def test_a_run_in_use_is_refused(cli: Cli, tmp_path: Path, trained: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    with Run.open(tmp_path / "run").lock():
        again = ["--out", tmp_path / "run", "--steps", 6, *SAME]
        cli("train", "digits:factor=50", *again).assert_refused(3, "is in use by another process")


def test_train_and_sample_and_their_json(cli: Cli, tmp_path: Path) -> None:
    done = cli("train", "digits:factor=50", "--out", tmp_path / "run", "--steps", 2, *TRAIN, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["steps"] == 2
    (tmp_path / "counts.yaml").write_text("\n".join(f"'{k}': {k % 2}" for k in range(10)))
    sample = ["sample", tmp_path / "run", "--out", tmp_path / "out", "--nfe", 3, "--counts", tmp_path / "counts.yaml"]
    for _ in range(2):
        made = cli(*sample, "--json")
        assert made.code == 0, made.err
        assert json.loads(made.out)["samples"] == 5
    assert len(list((tmp_path / "out").rglob("*.png"))) == 5


def test_a_dry_run_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    dry = ["train", "digits:factor=50", "--out", tmp_path / "run", "--steps", 7, *TRAIN, "--dry-run"]
    shown = cli(*dry)
    assert shown.code == 0, shown.err
    assert "batch_size: 16" in shown.out
    assert "# time: " in shown.out
    found = json.loads(cli(*dry, "--json").out)
    assert found["train"]["steps"] == found["estimate"]["steps"] == 7
    assert list(tmp_path.iterdir()) == []


def test_a_bare_command_helps(cli: Cli) -> None:
    for arguments in ([], ["--help"], ["train", "--help"]):
        result = cli(*arguments)
        assert result.code == 0
        assert "Usage" in result.out


@pytest.mark.parametrize("kind", KINDS)
def test_lists(cli: Cli, kind: str) -> None:
    shown, found = cli("list", kind), json.loads(cli("list", kind, "--json").out)
    assert shown.code == 0
    assert found["kind"] == kind
    assert found["entries"]
    assert all(entry["name"] in shown.out for entry in found["entries"])


def test_doctor_and_inspect_print_one_object(cli: Cli) -> None:
    assert "versions" in json.loads(cli("doctor", "--json").out)
    assert json.loads(cli("inspect", "digits:factor=50", "--json").out)["total"] > 100
    assert "handwritten" not in cli("inspect", "digits:factor=50").err


def test_brackets_in_names_are_not_styles(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a [bold] [").mkdir()
    shown = cli("inspect", pictures(tmp_path / "a [bold] [" / "b]", **{"[red]": 2, "x": 2}))
    assert shown.code == 0, shown.err
    assert "[red]" in shown.out
