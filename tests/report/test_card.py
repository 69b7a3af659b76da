"""The data card: a head that YAML reads, a table that Markdown keeps in its cells, and the warnings."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from evenscore.errors import DataError
from evenscore.report import BalanceReport, balance_card, write_card
from evenscore.report.card import markdown, scalar, size_category


def head(card: str) -> dict[str, object]:
    loaded = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(loaded, dict)
    return loaded


def cells(line: str) -> list[str]:
    """Cells of a row, split where a bar is not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def test_the_head_is_yaml_without_a_licence(report: BalanceReport) -> None:
    card = balance_card(report)
    assert card.startswith("---\n")
    assert head(card) == {
        "pretty_name": "Cats & <dogs>",
        "task_categories": ["image-classification"],
        "size_categories": ["1K<n<10K"],
        "tags": ["synthetic", "class-imbalance", "long-tailed", "diffusion", "evenscore"],
    }


@pytest.mark.parametrize(
    "title",
    ["- a: b", 'x" # y', "yes", "tab\there", "bell\x07", "nel\x85", "line\nkey: value", "\ud800", "a\\b", "犬🐕"],
)
def test_any_title_survives_the_head(report: BalanceReport, title: str) -> None:
    card = balance_card(dataclasses.replace(report, title=title))
    name = head(card)["pretty_name"]
    assert name == re.sub("[\x07\ud800]", "\ufffd", re.sub("[\t\n\x85]", " ", title))
    assert set(head(card)) == {"pretty_name", "task_categories", "size_categories", "tags"}


def test_every_class_has_one_row_of_ten_cells(report: BalanceReport) -> None:
    lines = balance_card(report).partition("## Classes")[2].partition("##")[0].strip().splitlines()
    rows = [cells(line) for line in lines]
    assert {len(row) for row in rows} == {10}
    assert len(rows) == 2 + len(report.classes) + 1
    assert rows[-2] == ["ok", "medium", "7", "7", "1,116", "1,234", "4,000", "1,000", "1,884", "0.41 (0.37 to 0.46)"]
    assert rows[-1][4] == f"{report.total('made'):,}"


def test_names_are_text_in_markdown(report: BalanceReport) -> None:
    card = balance_card(report)
    assert "<script" not in card
    assert r"a\|b \*c\* \[d\](e)" in card
    assert markdown("`a_b` <i> & https://x") == r"\`a\_b\` &lt;i&gt; &amp; https\://x"
    assert scalar("\u2028\x7f") == '" \ufffd"'


def test_the_command_cannot_leave_its_fence(report: BalanceReport) -> None:
    assert f"````sh\n{report.command}\n````\n" in balance_card(report)


def test_what_a_reader_must_know_is_there(report: BalanceReport) -> None:
    card = balance_card(report)
    for field in ("file_name", "label", "synthetic", "seed", "run", "scores"):
        assert f"| `{field}` |" in card
    for words in ("Trust ok less", "3 &lt;files&gt;", "Test and validate on real ones only", "- objective: cbdm"):
        assert words in card
    assert f"rejected {report.total('copies'):,} as near-copies" in card
    assert "Judged by &lt;someone&gt; on 200 samples." in card
    assert "licen" not in card.lower()


def test_vectors_are_not_called_images(vectors: BalanceReport) -> None:
    card = balance_card(vectors)
    assert head(card)["task_categories"] == ["tabular-classification"]
    assert "image" not in card.partition("## Classes")[0]
    assert "## Label agreement" not in card


@pytest.mark.parametrize(("n", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**7, "n>10M")])
def test_size_category(n: int, name: str) -> None:
    assert size_category(n) == name


def test_write_card(tmp_path: Path, report: BalanceReport) -> None:
    write_card(tmp_path / "README.md", report)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == balance_card(report)
    with pytest.raises(DataError, match="card .* cannot be written"):
        write_card(tmp_path, report)
