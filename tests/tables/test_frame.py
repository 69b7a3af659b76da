"""Tables of every library come back as they were: type, names, dtypes, values, missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pytest
import scipy.sparse

from evenscore.tables import TableCode, TableSettings, read_frame, stack

N = 120


def mixed() -> pd.DataFrame:
    """A table with a column of every kind."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "real": rng.normal(size=N),
            "heavy": np.exp(2 * rng.normal(size=N)),
            "single": rng.normal(size=N).astype("float32"),
            "whole": rng.poisson(100, N),
            "few": rng.integers(0, 4, N).astype("int16"),
            "text": rng.choice(["x", "y", "z"], N),
            "flag": rng.random(N) < 0.3,
            "constant": 7.0,
            "zeros": np.where(rng.random(N) < 0.5, 0, rng.gamma(2, size=N)),
            "Int": pd.array(rng.integers(0, 1000, N), dtype="Int64"),
            "maybe": pd.array(rng.random(N) < 0.5, dtype="boolean"),
            "object": pd.Series(rng.choice(["u", "v"], N), dtype=object),
        }
    )
    table.loc[::7, "real"] = np.nan
    table.loc[::5, "Int"] = pd.NA
    table.loc[::9, "maybe"] = pd.NA
    table.loc[::11, "text"] = None
    return table


def there_and_back(table: Any, settings: TableSettings) -> Any:
    frame = read_frame(table)
    code = TableCode.fit(frame, np.arange(len(frame)) % 2, settings)
    return code.decode(code.encode(frame, seed=0))


@pytest.mark.parametrize("numeric", ["auto", "standard", "quantile"])
@pytest.mark.parametrize("categories", ["cuts", "one-hot", "bits"])
def test_a_pandas_table_comes_back(numeric: str, categories: str) -> None:
    table = mixed()
    table["ordered"] = pd.Categorical(["lo", "hi"] * (N // 2), categories=["lo", "mid", "hi"], ordered=True)
    back = there_and_back(table, TableSettings(numeric, categories))
    pd.testing.assert_frame_equal(back, table, rtol=1e-6, atol=1e-6)


def test_a_polars_table_comes_back() -> None:
    table = pl.from_pandas(mixed()).with_columns(
        pl.Series("enum", ["lo", "hi"] * (N // 2), dtype=pl.Enum(["lo", "mid", "hi"]))
    )
    polars.testing.assert_frame_equal(there_and_back(table, TableSettings()), table, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.parametrize(
    "table",
    [
        np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32),
        np.random.default_rng(0).integers(0, 9, (50, 3)),
        np.random.default_rng(0).random((50, 2)) < 0.5,
        np.array([["a", "b"], ["b", "c"]] * 25),
        np.array([["a", 1.5], ["b", None]] * 25, dtype=object),
    ],
    ids=["float32", "integers", "booleans", "text", "objects"],
)
def test_an_array_comes_back(table: np.ndarray) -> None:
    back = there_and_back(table, TableSettings())
    assert back.dtype == table.dtype
    if table.dtype.kind == "f":
        np.testing.assert_allclose(back, table, atol=1e-5)
    else:
        known = ~pd.isna(table)
        np.testing.assert_array_equal(~pd.isna(back), known)
        np.testing.assert_array_equal(back[known], table[known])


def test_lists_and_sparse_matrices_come_back() -> None:
    dense = np.random.default_rng(0).normal(size=(40, 3)) * (np.random.default_rng(1).random((40, 3)) < 0.5)
    rows = there_and_back(dense.tolist(), TableSettings())
    assert isinstance(rows, list)
    np.testing.assert_allclose(rows, dense, atol=1e-9)
    for sparse in (scipy.sparse.csr_matrix(dense), scipy.sparse.csc_array(dense)):
        back = there_and_back(sparse, TableSettings())
        assert type(back) is type(sparse)
        np.testing.assert_allclose(back.toarray(), dense, atol=1e-9)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.array([[1 + 1j], [2.0]]), "Complex data not supported"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the column name 'a' stands twice"),
        (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "column 'a' holds dates or durations"),
        (pd.DataFrame({"a": [1, "x"]}, dtype=object), "mixes number and text, could not convert string to float"),
        (np.array([[np.inf], [1.0]]), "Input X contains infinity in column 'x0'"),
        (np.array([[1e308], [1.0]]), "numbers beyond 1e\\+150 in column 'x0': give it in a larger unit"),
        (pl.DataFrame({"a": [[1], [2]]}), "column 'a' has the dtype List"),
        (np.zeros(3), "Expected 2D array, got 1D array instead"),
    ],
)
def test_what_cannot_be_read_is_refused(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_frame(table)


def test_objects_that_are_neither_numbers_nor_text_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="holds a dict: an argument must be a string or a number"):
        read_frame(np.array([[{"a": 1}], [2]], dtype=object))


def test_rows_are_stacked_under_each_other() -> None:
    table = mixed()
    both = stack(table.set_index("whole", drop=False), table.head(3))
    assert both.index.tolist() == list(range(N + 3))
    assert (both.dtypes == table.dtypes).all()
    assert stack([[1], [2]], [[3]]) == [[1], [2], [3]]
    assert stack(pl.from_pandas(table), pl.from_pandas(table.head(3))).shape == (N + 3, table.shape[1])
