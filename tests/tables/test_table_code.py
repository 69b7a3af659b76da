"""A whole table: missing values as a pattern, bounds and levels under any numbers, refusals, and JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from evenscore.errors import UsageError
from evenscore.tables import TableCode, TableSettings, read_frame

RNG = np.random.default_rng(0)
N = 400
TABLE = pd.DataFrame(
    {
        "real": np.where(RNG.random(N) < 0.25, np.nan, RNG.normal(size=N)),
        "whole": RNG.poisson(50, N),
        "name": RNG.choice([f"level {i}" for i in range(60)], N),
        "flag": RNG.random(N) < 0.2,
    }
)
LABELS = np.arange(N) % 2


def code_of(settings: TableSettings | None = None) -> TableCode:
    return TableCode.fit(read_frame(TABLE), LABELS, settings or TableSettings())


@pytest.mark.parametrize("categories", ["cuts", "one-hot", "bits"])
def test_whatever_is_decoded_is_valid(categories: str) -> None:
    code = code_of(TableSettings(categories=categories))
    made = code.decode(2 * RNG.normal(size=(5000, code.width)))
    assert (made.dtypes == TABLE.dtypes).all()
    assert set(made["name"]) <= set(TABLE["name"])
    assert made["whole"].between(TABLE["whole"].min(), TABLE["whole"].max()).all()
    assert made["real"].dropna().between(TABLE["real"].min(), TABLE["real"].max()).all()


def test_missing_values_are_as_frequent_as_before() -> None:
    code = code_of()
    made = code.decode(RNG.normal(size=(20_000, code.width)))
    assert made["real"].isna().mean() == pytest.approx(TABLE["real"].isna().mean(), abs=0.02)


def test_an_encoded_table_is_near_to_standard_normal() -> None:
    z = code_of().encode(read_frame(TABLE), seed=0)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.12)
    np.testing.assert_allclose(z.std(0), 1, atol=0.12)


def test_the_record_is_json() -> None:
    code = code_of()
    assert TableCode.from_mapping(json.loads(json.dumps(code.to_mapping()))) == code


def test_a_table_of_constants_has_one_empty_number() -> None:
    frame = read_frame(np.ones((5, 2)))
    code = TableCode.fit(frame, np.array([0, 1, 0, 1, 0]), TableSettings())
    z = code.encode(frame)
    assert z.shape == (5, 1)
    np.testing.assert_array_equal(code.decode(z), np.ones((5, 2)))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="Input X contains NaN: column 'real' misses values"):
        code_of(TableSettings(missing="refuse"))
    code = code_of()
    with pytest.raises(ValueError, match="column 'name' holds 'new', which was not among its 60 values"):
        code.encode(read_frame(TABLE.assign(name="new")))
    with pytest.raises(ValueError, match="could not convert string to float: 'a' in column 'whole'"):
        code.encode(read_frame(TABLE.assign(whole="a")))
    with pytest.raises(ValueError, match="X has 3 features, but 4 columns were fitted"):
        code.encode(read_frame(TABLE[["real", "whole", "name"]]))
    with pytest.raises(ValueError, match="column 'flag' does not stand where it did"):
        code.encode(read_frame(TABLE[["flag", "whole", "name", "real"]]))
    gaps = TABLE.assign(whole=TABLE["whole"].where(TABLE["whole"] > 40))
    with pytest.raises(ValueError, match="Input X contains NaN: column 'whole' misses values"):
        code.encode(read_frame(gaps))
    with pytest.raises(UsageError, match="unknown numeric transform 'quantil': did you mean 'quantile'"):
        TableSettings(numeric="quantil")
