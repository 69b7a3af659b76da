"""Whatever the readers are given, they succeed or raise an error of ours; and nothing is written outside their folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.hostile_inputs import listing
from evenscore import records
from evenscore.balancing.plan import counts_by_name, read_counts
from evenscore.balancing.state import LISTS, State
from evenscore.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from evenscore.configuration import TrainConfig, read_config_file
from evenscore.data import load, read_archive
from evenscore.data.metadata import read_metadata
from evenscore.errors import EvenscoreError
from evenscore.evaluation import of_files
from evenscore.reading import parse_yaml
from evenscore.run import DataCard, Run
from evenscore.sampling.progress import Progress
from evenscore.training.classifier import ClassifierConfig

examples = settings(
    derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], database=None
)


def png(seed: int) -> bytes:
    """A picture of 8 x 8 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    """An archive."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


PNG = png(0)
NPZ = npz(
    train_images=np.zeros((4, 8, 8), np.uint8), train_labels=np.array([0, 1, 0, 1]), class_names=np.array(["a", "b"])
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3), max_leaves=6
)
NAMES = st.sampled_from(["cat/0.png", "dog/0.png", "../outside/0.png", "cat/../dog/0.png", "C:\\x", "/etc/passwd"])
NAMES |= st.text(max_size=20)
HUGE = st.sampled_from([-1, 10**12, 2**63, float("inf"), float("nan")])


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with some of them changed, or cut off."""
    content = bytearray(whole)
    for place in draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(whole)) | st.just(len(whole)))])


@contextmanager
def pictures() -> Iterator[Path]:
    """A folder of pictures beside a guarded one, in which nothing may change."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("outside", "data/cat", "data/dog"):
            (root / name).mkdir(parents=True)
            (root / name / "0.png").write_bytes(png(len(name)))
        yield root / "data"


def assert_survives(root: Path, work: Callable[[], object]) -> None:
    """``work`` succeeds or raises an error of ours, in one sentence, and leaves everything as it was."""
    before, said = listing(root), "all is well"
    try:
        work()
    except EvenscoreError as error:
        said = str(error)
    assert 0 < len(said) < 5000
    assert listing(root) == before


@examples
@given(st.lists(st.tuples(NAMES, st.text(max_size=10)), max_size=4), st.binary(max_size=40), st.booleans())
def test_csv(rows: list[tuple[str, str]], noise: bytes, whole: bool) -> None:
    text = "file_name,label\ncat/0.png,cat\ndog/0.png,dog\n" + "\n".join(",".join(row) for row in rows)
    with pictures() as data:
        (data / "metadata.csv").write_bytes(text.encode("utf-8", "surrogatepass") + (b"" if whole else noise))
        assert_survives(data.parent, lambda: read_metadata(data / "metadata.csv"))
        assert_survives(data.parent, lambda: load(str(data)))


@examples
@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"file_name": NAMES | VALUES, "label": VALUES, "file": VALUES}), max_size=4
    )
)
def test_jsonl(rows: list[dict[str, Any]]) -> None:
    with pictures() as data:
        (data / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        assert_survives(data.parent, lambda: read_metadata(data / "metadata.jsonl"))
        assert_survives(data.parent, lambda: list(of_files(data).parts()))


ENTRIES = st.sampled_from(["link", "folder link", "folder", "pipe", "picture"]) | st.binary(max_size=30) | spoilt(PNG)
FILE_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


def enter(path: Path, what: str | bytes) -> None:
    """Put something at ``path``."""
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif what == "picture":
        path.write_bytes(PNG)
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("../../outside" if what == "folder link" else "../../outside/0.png")


@examples
@given(st.dictionaries(FILE_NAMES, ENTRIES, max_size=4), st.dictionaries(FILE_NAMES, ENTRIES, max_size=2))
def test_folder(files: dict[str, str | bytes], folders: dict[str, str | bytes]) -> None:
    with pictures() as data:
        for place, entries, ending in ((data / "cat", files, ".png"), (data, folders, "")):
            for name, what in entries.items():
                with suppress(OSError):
                    enter(place / (name + ending), what)
        assert_survives(data.parent, lambda: load(str(data)))
        assert_survives(data.parent, lambda: load(str(data), strict="strict"))


HEADERS = st.builds(
    lambda descr, order, shape: f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}",
    st.sampled_from(["'|u1'", "'<i8'", "'<f4'", "'|O'", "'<U3'", "[('a', '<i4')]", "'<c8'", "'|V0'", "7"]),
    st.sampled_from(["True", "False", "1"]),
    st.lists(st.integers(-2, 10) | st.just(2**40), max_size=4).map(lambda shape: repr(tuple(shape)))
    | st.text(max_size=9),
) | st.text(st.characters(max_codepoint=255), max_size=60)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """An archive whose members have headers of any kind, or a spoilt one."""
    if draw(st.booleans()):
        return draw(spoilt(NPZ))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as file:
        for name in ("train_images", "train_labels", "class_names"):
            text = draw(HEADERS).encode("latin1", "replace") + b"\n"
            content = draw(st.binary(max_size=64))
            file.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content)
    return buffer.getvalue()


@examples
@given(archives())
def test_archive(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(content)
        assert_survives(path.parent, lambda: read_archive(path))
        assert_survives(path.parent, lambda: list(of_files(path).parts()))


def mappings(kind: type, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Mappings of the fields of a record, and of other keys, to any values."""
    fields = {key: VALUES | HUGE | more.get(key, st.none()) for key in records.fields_of(kind)}
    known = st.fixed_dictionaries({}, optional=fields)
    return st.one_of(
        known, st.builds(lambda a, b: a | b, known, st.dictionaries(st.text(max_size=9), VALUES, max_size=1))
    )


@examples
@given(mappings(TrainConfig, objective=st.sampled_from(["cbdm", "os:system", "mutual"])), mappings(ClassifierConfig))
def test_configuration(train: dict[str, Any], classifier: dict[str, Any]) -> None:
    for read, value in ((TrainConfig.from_mapping, train), (lambda v: records.read(ClassifierConfig, v), classifier)):
        with suppress(EvenscoreError):
            made = read({"steps": 3} | value)
            assert read(made.to_mapping() if isinstance(made, TrainConfig) else records.write(made)) == made


@examples
@given(mappings(DataCard, shape=st.just([1, 8, 8]), counts=st.just([3, 4]), class_names=st.just(["a", "b"])))
def test_card_of_a_run(card: dict[str, Any]) -> None:
    whole = {"spec": "x", "fingerprint": "y", "class_names": ["a", "b"], "counts": [3, 4], "shape": [1, 8, 8]}
    with tempfile.TemporaryDirectory() as folder:
        record = {"train": {"steps": 3}, "data": whole | {"mean": [0.0], "std": [0.5]} | card}
        (Path(folder) / "config.yaml").write_text(json.dumps(record))
        assert_survives(Path(folder), lambda: Run.open(Path(folder)).card.labels.groups())


@examples
@given(st.text(max_size=60) | st.text("{}[]&*!<:-' \n\"#|>%@ab01.", max_size=60), st.binary(max_size=30))
def test_settings_file(text: str, noise: bytes) -> None:
    with suppress(ValueError):
        parse_yaml(text)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.yaml", "a.json"):
            path = Path(folder) / name
            path.write_bytes(text.encode("utf-8", "surrogatepass") + noise)
            assert_survives(path.parent, lambda path=path: read_config_file(path))
            assert_survives(path.parent, lambda path=path: read_counts(path, ("a", "b")))


@examples
@given(st.dictionaries(st.sampled_from(["a", "b"]) | st.text(max_size=5), VALUES | HUGE, max_size=3))
def test_counts(given_counts: dict[str, Any]) -> None:
    with suppress(EvenscoreError):
        assert min(counts_by_name(given_counts, ("a", "b"))) >= 0


@examples
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("done", "size", "job"), VALUES | HUGE)), VALUES)
def test_state_of_sampling(state: dict[str, Any], other: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        progress = Progress(Path(folder), "state.json", {"seed": 1})
        for value in ({"job": {"seed": 1}, "done": 0, "size": 0} | state, other):
            (Path(folder) / "state.json").write_text(json.dumps(value))
            with suppress(EvenscoreError):
                done, size = progress.reached(10)
                assert 0 <= done <= 10
                assert size >= 0


LISTS_OF_COUNTS = st.lists(st.integers(-1, 6) | HUGE, min_size=1, max_size=3) | VALUES


@examples
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys([*LISTS, "offset", "size", "more"], LISTS_OF_COUNTS | HUGE)),
    VALUES,
)
def test_state_of_balancing(state: dict[str, Any], other: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, signature = Path(folder) / "state.json", {"wanted": [5, 5]}
        for value in ({"signature": signature} | {key: [0, 0] for key in LISTS} | state, other):
            path.write_text(json.dumps(value))
            with suppress(EvenscoreError):
                found = State.read(path, signature)
                assert sum(found.round) <= 10
                assert min(*found.made, *found.next, found.offset, found.size) >= 0


@examples
@given(
    st.lists(VALUES | st.fixed_dictionaries({"step": VALUES | HUGE, "by_group": VALUES, "game": VALUES}), max_size=4)
)
def test_log_of_a_run(lines: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), TrainConfig(steps=3), DataCard("x", "y", ("a",), (1,), (1,), (0.0,), (1.0,)))
        (Path(folder) / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
        run.forget_after(5)
        assert all(0 <= record["step"] <= 5 for record in run.records())


@examples
@given(st.data())
def test_checkpoint(data: st.DataObject) -> None:
    import torch

    with tempfile.TemporaryDirectory() as folder:
        name = save_checkpoint(Path(folder), 3, Checkpoint({"a.b": torch.ones(2, 3)}, {"step": 3, "best": 0.5}))
        path = Path(folder) / f"{name}.safetensors"
        content = data.draw(spoilt(path.read_bytes()))
        path.write_bytes(content)
        path.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
        assert_survives(path.parent, lambda: read_checkpoint(path))
