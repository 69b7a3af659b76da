"""From an evaluation to a page: the same figures, the headline first, pictures of what was judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evenscore.data import Dataset
from evenscore.evaluation import Evaluation, Settings, evaluate, of_dataset
from evenscore.evaluation.kept import Kept
from evenscore.evaluation.page import Context, gathered, measures_of, parts_of, quality_report, summary
from evenscore.features import Cache
from evenscore.report import quality_page

CONTEXT = Context(
    "evenscore report run", "2024-05-06", {"steps": "4"}, {"lr": "1e-3"}, {"loss": {"head": [(0, 1), (1, 0.5)]}}
)


@pytest.fixture(scope="module")
def judged(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Dataset, Kept]:
    """The training digits themselves, judged against the held-out ones: all are copies."""
    with Kept(3) as kept:
        settings = Settings("pixels", ("frechet", "recall", "copies"), replicates=20)
        source = kept.watching(of_dataset(digits))
        found = evaluate(source, digits, settings, cache=Cache(tmp_path_factory.mktemp("cache")))
        yield found, digits, kept


def test_figures_are_those_of_the_evaluation(judged: tuple[Evaluation, Dataset, Kept]) -> None:
    found = judged[0]
    report = quality_report(found, CONTEXT)
    assert [part.name for part in report.parts] == [
        "all",
        "worst class",
        "head",
        "medium",
        "tail",
        *map(str, range(10)),
    ]
    assert [part.trained_on for part in report.parts][5:] == list(found.measured.grouping.counts)
    assert report.thresholds == (100, 20)
    (method,) = report.sections[0].methods
    for key in ("frechet", "recall", "copies", "kernel"):
        values = method.figures[key]
        assert len(values) == len(report.parts)
        for k in range(10):
            figure, value = found.measured.by_class[k][key], values[5 + k]
            assert (value.value, value.low, value.high, value.note) == (
                figure.value,
                figure.low,
                figure.high,
                figure.note,
            )
    assert method.figures["frechet"][0].value == found.measured.whole["frechet"].value
    assert method.figures["frechet"][-1].value is None
    assert "too few" in method.figures["frechet"][-1].note
    worst = found.measured.worst["kernel"]
    assert method.figures["kernel"][1].value == worst.figure.value
    assert method.figures["kernel"][1].note == f"class {worst.label}"


def test_the_headline_comes_first_and_the_summary_names_the_worst_class(
    judged: tuple[Evaluation, Dataset, Kept],
) -> None:
    found = judged[0]
    assert [measure.key for measure in measures_of(found)] == ["kernel", "frechet", "recall", "copies"]
    assert [measure.better for measure in measures_of(found)] == ["lower", "lower", "higher", "lower"]
    said = summary(found)
    assert said[0].startswith("The worst class by kernel-pixels (lower is better) is")
    assert said[1].startswith("By group, kernel-pixels is: head ")
    assert said[2].startswith("Copies of training samples: 100.0%")


def test_pictures_are_of_what_was_judged(judged: tuple[Evaluation, Dataset, Kept]) -> None:
    found, digits, kept = judged
    assert digits.test is not None
    pictures, copies, real = gathered(found, kept, digits, digits.test)
    assert [each.name for each in pictures] == list(digits.class_names)
    for k, each in enumerate(pictures):
        assert each.synthetic is not None
        assert (each.synthetic == digits.values[digits.of_class(k)[:3]]).all()
        assert each.nearest is not None
        assert (each.nearest == each.synthetic).all()
        assert (real[each.name] == digits.test.values[digits.test.of_class(k)[:16]]).all()
    assert len(copies) == 20
    assert all(pair.is_copy and (pair.images[0] == pair.images[1]).all() for pair in copies)


def test_of_vectors_there_are_no_pictures(judged: tuple[Evaluation, Dataset, Kept]) -> None:
    vectors = Dataset.from_arrays(np.zeros((4, 3), np.float32), [0, 0, 1, 1])
    assert gathered(judged[0], judged[2], vectors, vectors) == ((), (), {})


def test_a_class_without_samples_says_so(digits: Dataset, tmp_path: Path) -> None:
    from dataclasses import replace

    some = digits.select(np.flatnonzero(digits.labels != 3))
    source = replace(of_dataset(some), without="left out")
    found = evaluate(source, digits, Settings("pixels", ("kernel", "copies"), replicates=20), cache=Cache(tmp_path))
    report = quality_report(found, CONTEXT)
    values = {
        part.name: value
        for part, value in zip(parts_of(found), report.sections[0].methods[0].figures["kernel"], strict=True)
    }
    assert (values["3"].value, values["3"].note) == (None, "there are no generated samples")
    assert "3: not given, there are no generated samples" in quality_page(report)


def test_the_page_holds_protocol_settings_and_curves(judged: tuple[Evaluation, Dataset, Kept]) -> None:
    text = quality_page(quality_report(judged[0], CONTEXT))
    for words in ("pixels, 64 numbers a sample", "20 replicates", "evenscore report run", "1e-3", "Loss from 0.5 to 1"):
        assert words in text
    assert "feature digests" not in text
