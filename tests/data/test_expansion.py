"""Parquet tables that expand: what they need is counted before they are read, exactly where it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

from evenscore.data import expansion, table  # noqa: E402
from evenscore.errors import DataError  # noqa: E402

WORDS = ["", "a", "bcd", "\u00e9\u72ac", None] * 40


def written(path: Path, **columns: Any) -> bytes:
    parquet.write_table(pyarrow.table(columns), path, store_schema=False, row_group_size=70)
    return path.read_bytes()


def test_characters_are_counted_in_every_group(tmp_path: Path) -> None:
    content = written(tmp_path / "t.parquet", n=list(range(200)), words=WORDS)
    assert expansion._characters(content, "words") == 40 * (0 + 1 + 3 + len("\u00e9\u72ac".encode()))
    plain = tmp_path / "plain.parquet"
    parquet.write_table(pyarrow.table({"words": WORDS}), plain, use_dictionary=False)
    assert expansion._characters(plain.read_bytes(), "words") == 40 * 9


def test_the_limit_is_what_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    content = written(path, n=list(range(200)), words=WORDS)
    needed = 200 * 2 * expansion.CELL + 40 * 9
    monkeypatch.setattr(expansion, "MAX_RATIO", 0)
    monkeypatch.setattr(expansion, "FREE_BYTES", needed)
    expansion.check_expansion(path, content)
    monkeypatch.setattr(expansion, "FREE_BYTES", needed - 1)
    with pytest.raises(
        DataError, match="expands to more than 0 times its size, which no real table does: write it without"
    ):
        expansion.check_expansion(path, content)
    monkeypatch.setattr(expansion, "MAX_BYTES", needed - 1)
    with pytest.raises(DataError, match="needs more than 0 GiB: give fewer rows or columns"):
        expansion.check_expansion(path, content)


def test_names_of_columns_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",Unnamed: 0,a.1,007\n1,x,2,07\n2,y,3,08\n")
    frame = table.read_table(tmp_path / "t.csv").frame
    assert frame.columns.tolist() == ["", "Unnamed: 0", "a.1", "007"]
    assert frame["007"].tolist() == ["07", "08"], "a code with a leading zero stays text"
    assert frame["a.1"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (",".join(map(str, range(10_001))), "has 10001 columns: give at most 10000"),
        ("a,b,a", "names the column 'a' more than once: give every column its own name"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, header: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n{header}\n")
    with pytest.raises(DataError, match=words):
        table.read_table(tmp_path / "t.csv")
