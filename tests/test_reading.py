"""Reading what strangers wrote: regular files of bounded size, plain values, no key twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evenscore.reading import open_regular, parse_json, parse_yaml, read_bytes, read_text


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("\ufeffgrün".encode())
    assert read_text(tmp_path / "a") == "grün"
    assert read_bytes(tmp_path / "a", 8) == "\ufeffgrün".encode()
    with pytest.raises(OSError, match="larger than 7 bytes"):
        read_bytes(tmp_path / "a", 7)
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="utf-8"):
        read_text(tmp_path / "a")


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "link", Path("/dev/null")):
        with pytest.raises(OSError, match="it is no regular file"):
            open_regular(path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lr: 1.0e-3\nsteps: 0x10\nclasses: [a, b]\n", {"lr": 1e-3, "steps": 16, "classes": ["a", "b"]}),
        ("a: {b: null, c: true}", {"a": {"b": None, "c": True}}),
        ("a: .inf", {"a": float("inf")}),
        ("", None),
    ],
)
def test_plain_yaml(text: str, value: object) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1\nb: *x\n", "aliases are not read: write the value out in line 2"),
        ("a: 1\nb: {a: 2, a: 3}\n", "the key 'a' stands twice in line 2"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
        ("a: " + "[" * 2000, "nests too deep"),
        ("a: 1" + ":1" * 1000, "a number of 2001 characters"),
        ("a: 2001-99-99", "month must be|ValueError"),
        ("{[1]: 2}", "unhashable key"),
        ("a: [1, 2", "expected ',' or ']'"),
        ("a: \0", "special characters|ReaderError"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_yaml(text)


def test_json_is_strict() -> None:
    assert parse_json('{"a": [1, 2.5, null], "b": {"a": 1}}') == {"a": [1, 2.5, None], "b": {"a": 1}}
    with pytest.raises(ValueError, match="the key 'b' stands twice"):
        parse_json('{"a": [{"b": 1, "b": 2}]}')
    with pytest.raises(ValueError, match="nests too deep"):
        parse_json("[" * 100_000)
    with pytest.raises(ValueError, match="digits"):
        parse_json("9" * 10_000)
