"""Tables in files: pipes and devices, sizes that lie or expand without end, and names and values that hurt."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.hostile_cases.case import DONE, MISUSED, REFUSED, Place, hostile
from benchmarks.hostile_cases.folders import MARKUP, inert_markup

INSPECT = "inspect {root}/table.csv --label kind"
BALANCE = "balance {root}/table.csv --label kind --folds 0 --set correction=never --out {out}/out.csv"
PARQUET = "inspect {root}/table.parquet --label kind"
NUMBERS = [str(i) for i in range(30)]
KINDS = ["no"] * 20 + ["yes"] * 10


def written(place: Place, header: Sequence[str], columns: Sequence[Sequence[str]]) -> None:
    """A table of text."""
    import csv

    with (place.root / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *zip(*columns, strict=True)])


def page_of_table_is_inert(place: Place) -> str:
    """What on the page of the balanced table could act."""
    return inert_markup((place.out / "out.html").read_text(encoding="utf-8"))


def formulas_are_text(place: Place) -> str:
    """Whether the rows of the source stand in the output as they were, and nothing new that begins like a formula."""
    lines = (place.out / "out.csv").read_text(encoding="utf-8").splitlines()
    source = (place.root / "table.csv").read_text(encoding="utf-8").splitlines()
    if [line.removesuffix(",false") for line in lines[1:31]] != source[1:]:
        return "the rows of the source were changed"
    fields = {line.split(",")[1] for line in lines[31:]}
    return "" if fields <= {line.split(",")[1] for line in source[1:]} else "a formula was made"


@hostile(INSPECT, REFUSED, "no regular file")
def pipe_as_table(place: Place) -> None:
    """A named pipe that nobody writes to."""
    os.mkfifo(place.root / "table.csv")


@hostile(INSPECT, REFUSED, "no regular file")
def device_as_table(place: Place) -> None:
    """A link to a device that never ends."""
    (place.root / "table.csv").symlink_to("/dev/zero")


@hostile(BALANCE, DONE, "page:", look=page_of_table_is_inert)
def markup_in_a_table(place: Place) -> None:
    """HTML, templates and Markdown as names of columns, as classes and as values."""
    values = [MARKUP[i % len(MARKUP)] for i in range(30)]
    written(place, [*MARKUP[:2], "kind"], [NUMBERS, values, [MARKUP[0]] * 20 + [MARKUP[4]] * 10])


@hostile(BALANCE, DONE, "page:")
def escapes_in_a_table(place: Place) -> None:
    """Classes, values and names of columns that would clear the screen, set the title, and turn text round."""
    kinds = [f"\x1b[2J{kind}\u202e" for kind in KINDS]
    written(place, ["\x1b]0;owned\x07", "b", "kind"], [NUMBERS, ["\x9b2J", "x"] * 15, kinds])


@hostile(INSPECT, DONE, "what to do")
def escapes_in_an_inspected_table(place: Place) -> None:
    """The same, where a class is too small and advice names it."""
    written(place, ["\x1b[2J", "kind"], [NUMBERS, ["no"] * 28 + ["\x1b[2Jrare\u202e"] * 2])


@hostile("inspect {root}/table.csv --label [/]", DONE, "[/]")
def styles_as_a_label_column(place: Place) -> None:
    """A name of a column that a table in the terminal would take for the end of a style."""
    written(place, ["a", "[/]"], [NUMBERS, KINDS])


@hostile(BALANCE, DONE, "page:", look=formulas_are_text)
def formulas_in_a_table(place: Place) -> None:
    """Formulas of spreadsheets as values: the very text is kept, and none is made."""
    written(place, ["a", "b", "kind"], [NUMBERS, ["=HYPERLINK(1)", "@SUM(1)", "+1+cmd|x"] * 10, KINDS])


@hostile(BALANCE, DONE, "page:")
def columns_without_names(place: Place) -> None:
    """A column without a name, beside one that is called as pandas would call it."""
    written(place, ["Unnamed: 1", "", "kind"], [NUMBERS, ["x", "y"] * 15, KINDS])


@hostile(INSPECT, REFUSED, "columns")
def columns_without_end(place: Place) -> None:
    """A hundred thousand columns."""
    names = [f"c{i}" for i in range(100_000)]
    written(place, [*names, "kind"], [["1", "2"]] * 100_000 + [["no", "yes"]])


@hostile(BALANCE, REFUSED, "beyond")
def numbers_at_the_end_of_floats(place: Place) -> None:
    """Numbers whose squares are no floats."""
    written(place, ["a", "kind"], [["1e308", "-1e308"] * 15, KINDS])


@hostile(BALANCE, DONE, "page:")
def numbers_of_many_digits(place: Place) -> None:
    """Whole numbers of 5000 digits, which are text."""
    written(place, ["a", "kind"], [["9" * 5000] * 30, KINDS])


@hostile(BALANCE, DONE, "page:")
def nul_in_a_table(place: Place) -> None:
    """NUL bytes in names and values."""
    written(place, ["a\0", "b", "kind"], [NUMBERS, ["x\0y", "z"] * 15, KINDS])


@hostile(INSPECT, REFUSED, "unexpected end")
def open_quote_in_a_table(place: Place) -> None:
    """A quote that is never closed."""
    (place.root / "table.csv").write_text('a,kind\n1,no\n2,"yes\n' + "3,no\n" * 1000)


@hostile(PARQUET, REFUSED, "times its size")
def parquet_of_runs(place: Place) -> None:
    """A hundred million rows in less than a megabyte."""
    import numpy as np
    import pyarrow
    import pyarrow.parquet

    number = pyarrow.array(np.zeros(1_000_000, np.int64))
    table = pyarrow.table({"a": number, "kind": pyarrow.array(["x"]).take(number)})
    with pyarrow.parquet.ParquetWriter(place.root / "table.parquet", table.schema, compression="zstd") as file:
        for _ in range(100):
            file.write_table(table, row_group_size=1_000_000)


@hostile(PARQUET, REFUSED, "times its size")
def parquet_of_one_long_text(place: Place) -> None:
    """A text of a megabyte, which every one of three thousand rows names."""
    import pyarrow

    text = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 3000, pyarrow.int32()), ["x" * 1_000_000])
    _parquet(place, a=text, kind=["no", "yes"] * 1500)


@hostile(PARQUET, REFUSED, "bytes in column")
def parquet_of_bytes(place: Place) -> None:
    """Bytes that are no text."""
    _parquet(place, a=[b"\xff\x00%d" % i for i in range(30)], kind=KINDS)


@hostile(PARQUET, REFUSED, "lists or records")
def parquet_of_lists(place: Place) -> None:
    """Lists in a column."""
    _parquet(place, a=[[1, 2]] * 30, kind=KINDS)


@hostile(PARQUET, REFUSED, "more than once")
def parquet_of_equal_names(place: Place) -> None:
    """Two columns of one name."""
    import pyarrow
    import pyarrow.parquet

    columns = [pyarrow.array(NUMBERS), pyarrow.array(NUMBERS), pyarrow.array(KINDS)]
    table = pyarrow.Table.from_arrays(columns, names=["a", "a", "kind"])
    pyarrow.parquet.write_table(table, place.root / "table.parquet")


@hostile(PARQUET, REFUSED, "cannot be read as parquet")
def pickle_named_parquet(place: Place) -> None:
    """A bare pickle."""
    import pickle

    from benchmarks.hostile_cases.archives import Trap

    (place.root / "table.parquet").write_bytes(pickle.dumps(Trap(place.canary)))


@hostile(PARQUET, REFUSED, "cannot be read as parquet")
def spoilt_parquet(place: Place) -> None:
    """A footer with flipped bits."""
    _parquet(place, a=NUMBERS, kind=KINDS)
    content = bytearray((place.root / "table.parquet").read_bytes())
    content[-60:-8] = bytes(byte ^ 255 for byte in content[-60:-8])
    (place.root / "table.parquet").write_bytes(content)


@hostile(BALANCE + " --set 'objective=&a [*a]'", MISUSED, "aliases")
def a_setting_that_holds_itself(place: Place) -> None:
    """A list that holds itself as a setting."""
    written(place, ["a", "kind"], [NUMBERS, KINDS])


def _parquet(place: Place, **columns: Sequence[object]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), place.root / "table.parquet", store_schema=False)
