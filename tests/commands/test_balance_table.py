"""``evenscore balance`` and ``inspect`` of tables: rows kept as they were, marked ones below, a page, and every refusal."""

from __future__ import annotations

import csv
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator

import evenscore.sklearn
from evenscore.cli import begin
from evenscore.data.table import SUFFIXES

pandas = pytest.importorskip("pandas")
Cli = Callable[..., Any]
QUICK = ["--label", "fraud", "--folds", "0"]
GENUINE = evenscore.sklearn
"""The package itself, for the tests that want no stand-in."""


class Repeated(BaseEstimator):
    """Stands for the over-sampler: repeats rows of a class, numbers moved by a little; remembers what it was asked."""

    asked: ClassVar[list[dict[str, Any]]] = []
    fails: ClassVar[BaseException | None] = None

    def __init__(
        self,
        sampling_strategy: Any = "auto",
        objective: str = "cbdm",
        max_seconds: Any = None,
        run: Any = None,
        random_state: Any = None,
    ) -> None:
        self.sampling_strategy, self.objective = sampling_strategy, objective
        self.max_seconds, self.run, self.random_state = max_seconds, run, random_state

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        self.asked.append({**self.get_params(), "rows": len(X)})
        if self.fails is not None:
            raise self.fails
        warnings.warn(f"class {sorted(self.sampling_strategy)[-1]} has few rows", UserWarning, stacklevel=2)
        random = np.random.default_rng(self.random_state)
        chosen = [
            random.choice(np.flatnonzero(y == k), n - int((y == k).sum())) for k, n in self.sampling_strategy.items()
        ]
        made = X.iloc[np.concatenate(chosen)].copy()
        for name in made.select_dtypes("float").columns:
            made[name] += 0.01 * random.normal(size=len(made))
        return pandas.concat([X, made], ignore_index=True), np.concatenate([y, *(y[rows] for rows in chosen)])


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> type[Repeated]:
    """The over-sampler that the command finds."""
    module = ModuleType("evenscore.sklearn")
    module.__dict__["ScoreOverSampler"] = Repeated
    monkeypatch.setitem(sys.modules, "evenscore.sklearn", module)
    monkeypatch.setattr(Repeated, "asked", [])
    monkeypatch.setattr(Repeated, "fails", None)
    return Repeated


def rows(n: int = 30, rare: int = 6) -> list[list[str]]:
    """Fields of every kind: a padded code, decimals as they were typed, text with a comma, and a missing value."""
    random, found = np.random.default_rng(0), [["zip", "amount", "place", "member", "age", "fraud"]]
    for i in range(n + rare):
        amount = "" if i == 3 else f"{random.normal(10 + 5 * (i >= n)):.3f}0"
        found.append(
            [f"0{i % 7:04d}", amount, ["a, b", "<b>c</b>"][i % 2], ["TRUE", "FALSE"][i % 3 % 2], f"{20 + i}", ""]
        )
        found[-1][-1] = "yes" if i >= n else "no"
    return found


def write(path: Path, records: list[list[str]], **style: Any) -> Path:
    text = io.StringIO()
    csv.writer(text, **{"lineterminator": "\n", **style}).writerows(records)
    path.write_bytes(text.getvalue().encode())
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "table.csv", rows())


def read(path: Path, **style: Any) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **style))


def test_the_real_rows_stay_and_the_synthetic_ones_are_marked(cli: Cli, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "balanced.csv"
    done = cli("balance", table, *QUICK, "--out", out)
    assert done.code == 0, done.err
    header, *found = read(out)
    assert header == [*rows()[0], "synthetic"]
    assert found[:36] == [[*record, "false"] for record in rows()[1:]]
    made = found[36:]
    assert len(made) == 24
    assert all(record[-2:] == ["yes", "true"] for record in made)
    assert {record[0] for record in made} <= {record[0] for record in rows()[1:]}, "codes keep their zeros"
    assert {record[3] for record in made} <= {"TRUE", "FALSE"}
    assert all(record[4].isdigit() for record in made)
    assert "table: " in done.out
    assert "note: class yes has few rows" in done.err
    assert str(out.with_suffix(".html")) in done.out
    typed = pandas.read_csv(out)
    assert typed["synthetic"].tolist() == [False] * 36 + [True] * 24


def test_separators_and_line_ends_stay(cli: Cli, tmp_path: Path) -> None:
    table = write(tmp_path / "table.csv", rows(), delimiter=";", lineterminator="\r\n")
    assert cli("balance", table, *QUICK, "--out", tmp_path / "out.csv").code == 0
    content = (tmp_path / "out.csv").read_bytes()
    assert content.startswith(table.read_bytes().split(b"\r\n", 1)[0] + b";synthetic\r\n")
    assert len(read(tmp_path / "out.csv", delimiter=";")) == 61


def test_parquet_keeps_its_columns_and_types(cli: Cli, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "amount": random.normal(size=20).astype("float32"),
            "age": random.integers(0, 99, 20).astype("int16"),
            "place": pandas.Categorical(["here", "there"] * 10),
            "member": [True, False] * 10,
            "fraud": [0] * 16 + [1] * 4,
        }
    )
    frame.to_parquet(tmp_path / "table.parquet", index=False)
    assert cli("balance", tmp_path / "table.parquet", *QUICK, "--out", tmp_path / "out.parquet").code == 0
    before, after = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("table", "out"))
    assert after.column_names == [*before.column_names, "synthetic"]
    assert [after.schema.field(n).type for n in before.column_names] == [f.type for f in before.schema]
    assert after.slice(0, 20).drop_columns("synthetic").to_pydict() == before.to_pydict()
    assert after["synthetic"].to_pylist() == [False] * 20 + [True] * 12
    assert after["fraud"].to_pylist()[20:] == [1] * 12


def test_parquet_with_missing_values_and_a_categorical_label(cli: Cli, tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "count": arrow.array([1, None, 3, 4] * 4, arrow.int32()),
        "known": arrow.array([True, None, False, True] * 4),
        "word": arrow.array(["a", None, "b", "a"] * 4, arrow.large_string()),
        "fraud": arrow.array(["no"] * 12 + ["yes"] * 4).dictionary_encode(),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "table.parquet")
    done = cli("balance", tmp_path / "table.parquet", *QUICK, "--out", tmp_path / "out.parquet")
    assert done.code == 0, done.err
    after = parquet.read_table(tmp_path / "out.parquet")
    assert {name: after.schema.field(name).type for name in columns} == {n: c.type for n, c in columns.items()}
    assert after.slice(0, 16).drop_columns("synthetic").to_pydict() == {n: c.to_pylist() for n, c in columns.items()}
    assert after["fraud"].to_pylist()[16:] == ["yes"] * 8
    assert set(after["count"].to_pylist()[16:]) <= {1, None, 3, 4}
    nested = tmp_path / "nested.parquet"
    parquet.write_table(arrow.table({"list": [[1], [2]], "fraud": ["no", "yes"]}), nested)
    cli("inspect", nested, "--label", "fraud").assert_refused(3, "has lists or records in column 'list'")


def test_the_page_measures_and_escapes(cli: Cli, tmp_path: Path) -> None:
    records = rows(40, 12)
    for record in records[1::2]:
        record[2] = "=cmd()<script>alert(1)</script>"
    records[0] = ["zip", "amount", "<i>place</i>", "member", "age", "fraud"]
    table = write(tmp_path / "table.csv", records)
    done = cli("balance", table, "--label", "fraud", "--folds", "2", "--out", tmp_path / "out.csv", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    yes = found["classes"][1]
    assert (yes["class"], yes["real"], yes["made"], yes["wanted"]) == ("yes", 12, 28, 40)
    assert set(yes["logistic regression"]) == {"recall", "average precision"}
    assert [call["rows"] for call in Repeated.asked] == [52, 26, 26], "each fold hides half of the real rows"
    page = (tmp_path / "out.html").read_text()
    assert "<script" not in page
    assert "<i>place" not in page
    assert "&lt;i&gt;place&lt;/i&gt;" in page
    for heading in ("What a classifier gains", "Nearest real rows", "Columns", "Pairs of columns", "Synthetic or real"):
        assert heading in page


def test_the_target_and_the_settings(cli: Cli, table: Path, tmp_path: Path) -> None:
    words = ["--objective", "denoising", "--minutes", "3", "--seed", "5"]
    assert cli("balance", table, *QUICK, "--out", tmp_path / "a.csv", "--target", "10", *words).code == 0
    (call,) = Repeated.asked
    assert call["sampling_strategy"] == {"no": 30, "yes": 10}, "real rows are never left out"
    assert (call["objective"], call["max_seconds"], call["random_state"]) == ("denoising", 180, 5)
    (tmp_path / "counts.yaml").write_text("'no': 30\n'yes': 40\n")
    done = cli("balance", table, *QUICK, "--out", tmp_path / "b.csv", "--target", tmp_path / "counts.yaml")
    assert done.code == 0, done.err
    assert Repeated.asked[-1]["sampling_strategy"] == {"no": 30, "yes": 40}
    done = cli("balance", table, "--label", "fraud", "--folds", "2", "--out", tmp_path / "c.csv", "--minutes", "3")
    assert [call["max_seconds"] for call in Repeated.asked[-3:]] == [60, 60, 60], (
        "the minutes are those of all fits together"
    )
    assert done.code == 0


def test_a_table_that_is_level_gets_its_mark(cli: Cli, tmp_path: Path) -> None:
    table = write(tmp_path / "table.csv", rows(6, 6))
    assert cli("balance", table, "--label", "fraud", "--out", tmp_path / "out.csv").code == 0
    assert not Repeated.asked
    assert [record[-1] for record in read(tmp_path / "out.csv")] == ["synthetic"] + ["false"] * 12


def test_nothing_is_overwritten_and_nothing_is_left_half_written(
    cli: Cli, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Repeated, "fails", KeyboardInterrupt())
    before = sorted(tmp_path.iterdir())
    assert cli("balance", table, *QUICK, "--out", tmp_path / "out.csv").code == 130
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.setattr(Repeated, "fails", ValueError("Input X contains infinity"))
    cli("balance", table, *QUICK, "--out", tmp_path / "out.csv").assert_refused(
        3, "cannot be learned from: Input X contains"
    )
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.setattr(Repeated, "fails", None)
    content = table.read_bytes()
    cli("balance", table, *QUICK, "--out", table).assert_refused(3, "exists: choose another --out")
    (tmp_path / "page.html").write_text("mine")
    cli("balance", table, *QUICK, "--out", tmp_path / "page.csv").assert_refused(3, "page.html exists")
    assert table.read_bytes() == content
    assert not (tmp_path / "page.csv").exists()


def test_a_page_that_a_killed_command_left_without_its_table_is_written_again(
    cli: Cli, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = (tmp_path / name for name in ("whole", "broken"))
    for folder in (whole, broken):
        folder.mkdir()
    assert cli("balance", table, *QUICK, "--out", whole / "out.csv").code == 0
    (broken / "out.html").write_bytes((whole / "out.html").read_bytes())
    (broken / "out.tsv").write_text("a table of that name")
    cli("balance", table, *QUICK, "--out", broken / "out.csv").assert_refused(3, "out.html exists")
    (broken / "out.tsv").unlink()
    assert cli("balance", table, *QUICK, "--out", broken / "out.csv").code == 0
    assert (broken / "out.csv").read_bytes() == (whole / "out.csv").read_bytes()
    (broken / "out.csv").unlink()
    (broken / "out.csv").symlink_to("nowhere.csv")
    cli("balance", table, *QUICK, "--out", broken / "out.csv").assert_refused(3, "out.csv exists")


NO_FRAUD = [record[:-1] for record in rows()]
TABLES: list[tuple[bytes | list[list[str]], int, str]] = [
    (b"", 3, "is empty: give a header"),
    (b" \n\n", 3, "is empty: give a header"),
    (b"a,fraud\n", 3, "has a header and no rows"),
    (b"\xff\xfe\x00a", 3, "is not UTF-8 text"),
    (b"a,fraud\n1,no\n2\n", 3, "line 3: 1 fields where the header has 2"),
    (b'a,fraud\n1,"no\n', 3, "cannot be read (unexpected end of data)"),
    (b"a,a,fraud\n1,2,no\n", 3, "names the column 'a' more than once"),
    (b"a,synthetic,fraud\n1,true,no\n2,false,yes\n", 3, "has a column 'synthetic' already"),
    (b"fraud\nno\nyes\n", 3, "has no column beside the label"),
    (b"a,fraud\n1,no\n2,\n3,\n", 3, "has no value in 2 of 3 rows (the first is row 2)"),
    (b"a,fraud\n1,no\n2,no\n", 3, "holds one class, 'no'"),
    (b"a,fraud\n1,0.5\n2,0.7\n3,0.5\n", 3, "which are no classes"),
    (b"a,fraud\n" + b"".join(b"1,n%d\n" % i for i in range(40)), 3, "holds 40 different values in 40 rows"),
    (NO_FRAUD, 2, "unknown column 'fraud'"),
]


@pytest.mark.parametrize(("content", "code", "words"), TABLES, ids=[words for *_, words in TABLES])
def test_tables_that_cannot_be_used(
    cli: Cli, tmp_path: Path, content: bytes | list[list[str]], code: int, words: str
) -> None:
    table = tmp_path / "table.csv"
    _ = table.write_bytes(content) if isinstance(content, bytes) else write(table, content)
    cli("balance", table, *QUICK, "--out", tmp_path / "out.csv").assert_refused(code, words)
    cli("inspect", table, "--label", "fraud").assert_refused(code, words)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_what_is_asked_wrongly(cli: Cli, table: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> Callable[[int, str], None]:
        check: Callable[[int, str], None] = cli("balance", *arguments).assert_refused
        return check

    out = ["--out", tmp_path / "out.csv"]
    refused(table, *out)(2, "name its label column with --label, one of zip, amount, place")
    refused(table, *out, "--label", "Fraud")(2, "did you mean 'fraud'")
    refused(tmp_path / "none.csv", *QUICK, *out)(3, "cannot be read")
    refused(table.with_suffix(".xlsx"), *QUICK, *out)(2, "--label names a column of a table")
    refused(tmp_path, *QUICK, *out)(2, "give a file that ends in .csv, .tsv, .parquet, .pq")
    refused(table, *QUICK, "--out", tmp_path / "out")(2, "is not named like a table")
    refused(table, *QUICK, "--out", tmp_path / "out.parquet")(2, "a .csv table becomes a .csv table")
    refused(table, *QUICK, "--out", tmp_path / "test.csv")(2, "is named like held-out data")
    refused(table, *QUICK, *out, "--set", "objectiv=cbdm")(2, "did you mean 'objective'")
    refused(table, *QUICK, *out, "--set", "random_state=1")(2, "unknown setting of a table 'random_state'")
    refused(table, *QUICK, *out, "--nfe", "50")(2, "--nfe is for images")
    refused(table, *QUICK, *out, "--target", "lots")(2, "--target 'lots' is neither uniform")
    refused(table, "--label", "fraud", *out, "--folds", "1")(2, "--folds 1: give 0 to measure nothing")
    refused("digits:factor=50", "--out", tmp_path / "x", "--folds", "2")(2, "--folds is for tables")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    if "pyarrow" in sys.modules or pytest.importorskip("pyarrow"):
        refused(broken, *QUICK, "--out", tmp_path / "o.parquet")(3, "cannot be read as parquet")
    assert not list(tmp_path.glob("out*"))


def test_inspection_of_a_table(cli: Cli, tmp_path: Path) -> None:
    records = [[*record[:5], "1", record[5]] for record in rows(30, 3)]
    records[0][5] = "same"
    table = write(tmp_path / "table.csv", [*records, records[1], [*records[1][:-1], "yes"]])
    found = json.loads(cli("inspect", table, "--label", "fraud", "--json").out)
    assert [(c["name"], c["count"], c["learnable"]) for c in found["classes"]] == [
        ("no", 31, "enough"),
        ("yes", 4, "too small"),
    ]
    kinds = {c["name"]: c["kind"] for c in found["columns"]}
    assert kinds == {
        "zip": "category", "amount": "number", "place": "category", "member": "boolean", "age": "whole number",
        "same": "constant",
    }  # fmt: skip
    assert next(c["missing"] for c in found["columns"] if c["name"] == "amount") == 1
    assert (found["duplicates_within"], found["duplicates_across"]) == (1, 3)
    shown = cli("inspect", table, "--label", "fraud")
    assert shown.code == 0
    assert "same: always the same" in shown.out
    assert "class yes: fewer than 5 rows" in shown.out
    assert "to fill up: evenscore balance" in shown.out


def test_the_command_line_knows_the_suffixes_without_importing_the_data_room() -> None:
    assert begin.TABLES == SUFFIXES


def test_a_package_that_is_not_installed(
    cli: Cli, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "evenscore.sklearn", ModuleType("evenscore.sklearn"))
    cli("balance", table, *QUICK, "--out", tmp_path / "out.csv").assert_refused(
        3, "cannot import name 'ScoreOverSampler'"
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    cli("inspect", table, "--label", "fraud").assert_refused(3, "need pandas, which is not installed: pip install")


def test_with_the_over_sampler_itself(cli: Cli, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imblearn")
    monkeypatch.setitem(sys.modules, "evenscore.sklearn", GENUINE)
    contents = []
    for name in ("one", "other"):
        done = cli(
            "balance", table, "--label", "fraud", "--folds", "2", "--out", tmp_path / f"{name}.csv", "--seed", "3"
        )
        assert done.code == 0, done.err
        contents.append((tmp_path / f"{name}.csv").read_bytes())
    assert contents[0] == contents[1]
    real, made = rows()[1:], read(tmp_path / "one.csv")[37:]
    assert len(made) == 24
    for place in (0, 2, 3):
        assert {record[place] for record in made} <= {record[place] for record in real}
    assert all(20 <= int(record[4]) <= 55 for record in made)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("correction=sometimes", "The 'correction' parameter of ScoreOverSampler must be a str among"),
        ("steps=0", "must be an int in the range [1, inf) or None. Got 0 instead"),
        ("guidance=.nan", "must be a float in the range (-inf, inf). Got nan instead"),
        ("n_jobs=many", "Got 'many' instead"),
        ("objective=cbdmm", "cannot be used: unknown objective 'cbdmm': did you mean 'cbdm'?"),
        ("objective={name: cbdm, taau: 1}", "unknown key 'taau': did you mean 'tau'?"),
        ("objective={name: cbdm, tau: -1}", "tau must be at least 0"),
        ("objective={", "--set objective='{' cannot be read (expected the node content"),
        ("objective=&a [*a]", "aliases are not read"),
        ("minutes=soon", "minutes=soon cannot be used: minutes must be a number above 0"),
        ("minutes=.nan", "minutes must be a number above 0"),
    ],
)
def test_settings_that_the_over_sampler_refuses(
    cli: Cli, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, words: str
) -> None:
    pytest.importorskip("imblearn")
    monkeypatch.setitem(sys.modules, "evenscore.sklearn", GENUINE)
    refused = cli("balance", table, *QUICK, "--out", tmp_path / "out.csv", "--set", setting)
    refused.assert_refused(2, words)
    assert not (tmp_path / "out.csv").exists()
