from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenscore.data import BUILTIN, SOURCES, Spec, load, parse_size, parse_spec
from evenscore.data.load import resized
from evenscore.errors import DataError, UsageError

NAMES = st.text(st.characters(exclude_characters=":\0", exclude_categories=("Cs",)), min_size=1)
SIDES = st.integers(1, 8192)


def test_a_full_specification() -> None:
    spec = parse_spec("some:dir/x.npz:factor=50,profile=step,seed=3,size=32x48,max=200,order=reversed")
    assert spec == Spec("some:dir/x.npz", 50.0, "step", 3, (32, 48), 200, "reversed")
    assert parse_spec("a:b/c") == Spec("a:b/c")
    assert parse_size("64") == (64, 64)


@given(
    NAMES,
    st.none() | st.floats(1, 1e9),
    st.sampled_from(["exp", "step"]),
    st.integers(0, 2**32 - 1),
    st.none() | st.tuples(SIDES, SIDES),
    st.integers(1, 10**6),
)
def test_text_and_specification_are_the_same_thing(name, factor, profile, seed, size, most) -> None:
    spec = Spec(name, factor, profile, seed, size, most)
    assert parse_spec(str(spec)) == spec


@given(st.text())
def test_any_text_is_parsed_or_refused_in_one_way(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_spec(text).name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no name"),
        (":factor=3", "has no name"),
        ("digits:", "is not key=value"),
        ("digits:factor", "is not key=value"),
        ("digits:factor=", "is not key=value"),
        ("digits:facter=3", "did you mean 'factor'"),
        ("digits:factor=many", "factor=many is not a number"),
        ("digits:factor=inf", "factor=inf is not a number"),
        ("digits:factor=0.1", "at least 1"),
        ("digits:factor=2,factor=3", "twice"),
        ("digits:factor=2,seed=1.5", "seed=1.5 is not a whole number"),
        ("digits:factor=2,seed=-1", "is not a whole number"),
        ("digits:factor=2,profile=stepp", "did you mean 'step'"),
        ("digits:factor=2,order=sorted", "unknown class order"),
        ("digits:max=0", "at least 1"),
        ("digits:size=0", "size '0'"),
        ("digits:size=3x4x5", "size '3x4x5'"),
        ("digits:size=99999", "at most 8192"),
        ("digits:seed=3", "'seed' acts only on a long-tailed subset"),
        ("digit", "did you mean 'digits'"),
    ],
)
def test_misspelt_specifications(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text)
    assert says in str(caught.value)


def test_digits_have_a_fixed_stratified_held_out_part() -> None:
    data = load("digits")
    assert data.test is not None
    assert data.shape == (1, 8, 8)
    assert len(data) + len(data.test) == 1797
    assert (data.values.min(), data.values.max()) == (0, 255)
    counts = np.array([data.distribution.counts, data.test.distribution.counts])
    np.testing.assert_array_equal(counts[1], (counts.sum(0) * 0.3).astype(int))
    assert not {row.tobytes() for row in data.values} & {row.tobytes() for row in data.test.values}
    tail = load("digits:factor=50,seed=4")
    assert tail.test is not None
    assert tail.test.fingerprint == data.test.fingerprint
    assert tail.distribution.counts[-1] == int(max(data.distribution.counts) / 50)
    assert tail.name == "digits:factor=50,seed=4"


def test_folder_archive_and_size(make_folder, tmp_path: Path) -> None:
    root = make_folder({"a": 4, "b": 4})
    folder = load(f"{root}:factor=4,size=5x7")
    assert (folder.shape, folder.distribution.counts) == ((3, 5, 7), (4, 1))
    assert "class 'b' has 1 sample: too small to learn from" in folder.notes
    assert folder.files is not None
    assert len(folder.files) == 5
    images = np.stack([np.full((6, 9), v, np.uint8) for v in (10, 200)])
    np.savez(tmp_path / "x.npz", images=images, labels=[0, 1], test_images=images, test_labels=[1, 0])
    data = load(str(tmp_path / "x.npz"), size=(3, 3))
    assert data.test is not None
    assert data.shape == data.test.shape == (1, 3, 3)
    assert (data.values[1] == 200).all()


def test_strict_reaches_the_folder(make_folder) -> None:
    root = make_folder({"a": 2, "b": 2})
    (root / "a" / "x.png").write_text("text")
    assert len(load(str(root)).skipped) == 1
    with pytest.raises(DataError, match="x.png"):
        load(str(root), strict="strict")
    with pytest.raises(UsageError, match="did you mean 'strict'"):
        load(str(root), strict="stric")


def test_what_is_not_there_or_not_data(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    for name, says in (
        ("x.txt", "neither a folder"),
        ("nowhere", "do not exist"),
        ("n" * 5000, "cannot be read"),
        ("y.npz", "does not exist"),
    ):
        with pytest.raises(DataError, match=says):
            load(str(tmp_path / name))


def test_vectors_cannot_be_resized(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", images=np.eye(4, dtype=np.float32), labels=[0, 1, 0, 1])
    data = load(str(tmp_path / "v.npz"))
    assert data.kind == "vector"
    with pytest.raises(UsageError, match="vectors"):
        resized(data, (2, 2))


def test_every_builtin_source_is_described() -> None:
    assert set(BUILTIN) <= set(SOURCES)
    assert all(SOURCES.values())
