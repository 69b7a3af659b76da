"""The tables of the table benchmark as markdown, for the docs: medians first, then every case, losses included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.paired import interval
from benchmarks.table_methods import OURS
from benchmarks.table_scores import SCORES
from evenscore.evaluation.table_classifiers import CLASSIFIERS


def markdown(values: Mapping[str, Any]) -> str:
    """All tables."""
    parts = ["### Medians over the cases", "", *medians(values["medians"]), ""]
    parts += ["### Median difference from each method", "", *each_method(values["medians"]), ""]
    for classifier in CLASSIFIERS:
        for score in SCORES:
            parts += [f"### {classifier.capitalize()}, {score}", "", *cases(values["cases"], classifier, score), ""]
    parts += ["### CPU seconds to resample, one thread (median over seeds)", "", *seconds(values["cases"]), ""]
    return "\n".join([*parts, *notes(values["cases"])]).rstrip() + "\n"


def medians(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Ours against the best other, over cases."""
    yield from _head(
        "classifier", "score", "ours - best other", "noise", "best other of the remaining seeds",
        "better / equal / worse", "beyond the interval: better / worse",
    )  # fmt: skip
    for classifier, scores in found.items():
        for score, row in scores.items():
            if row:
                counts = " / ".join(map(str, row["ours is better, equal, worse"]))
                beyond = " / ".join(map(str, row["beyond the interval: better, worse"]))
                chosen = row["ours - best other of the remaining seeds"]
                numbers = (f"{row['ours - best other']:+.3f}", f"{row['noise']:.3f}", f"{chosen:+.3f}")
                yield _row(classifier, score, *numbers, counts, beyond)


def each_method(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """The median over cases of ours minus each other method."""
    rows = [(c, s, row["ours - each"]) for c, scores in found.items() for s, row in scores.items() if row]
    names = list(dict.fromkeys(name for *_, each in rows for name in each))
    yield from _head("classifier", "score", *names)
    for classifier, score, each in rows:
        yield _row(classifier, score, *(f"{each[name]:+.3f}" if name in each else "" for name in names))


def cases(found: Mapping[str, Mapping[str, Any]], classifier: str, score: str) -> Iterator[str]:
    """Means over seeds of every method in every case, the best in bold, and the paired differences of ours."""
    names = list(dict.fromkeys(name for case in found.values() for name in case["methods"]))
    yield from _head("case", *names, "ours - best other", "ours - none")
    for title, case in found.items():
        means = {name: _mean(case["methods"].get(name, {}), classifier, score) for name in names}
        best = max((v for v in means.values() if v is not None), default=None)
        cells = [_cell(means[name], best, case["methods"].get(name, {})) for name in names]
        ours = case.get("ours", {}).get(classifier, {}).get(score, {})
        yield _row(title, *cells, *(interval(ours.get(key)) for key in ("ours - best other", "ours - none")))


def seconds(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What each method took."""
    names = list(dict.fromkeys(name for case in found.values() for name in case["methods"]))
    yield from _head("case", "rows by class", *names)
    for title, case in found.items():
        took = [case["methods"].get(name, {}).get("seconds") for name in names]
        rows = " ".join(map(str, case["rows by class"]))
        yield _row(title, rows, *("" if value is None else f"{value:.2f}" for value in took))


def notes(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Sentences: what was not as asked, and which method failed where and how."""
    for title, case in found.items():
        yield from (f"- {title}: {note}." for note in case["notes"])
        for name, method in case["methods"].items():
            if "failed" in method:
                yield f"- {title}: {'ours' if name == OURS else name} failed on {method['failed']}"


def _mean(method: Mapping[str, Any], classifier: str, score: str) -> float | None:
    scores = method.get("scores")
    return None if scores is None else float(scores[classifier][score])


def _cell(value: float | None, best: float | None, method: Mapping[str, Any]) -> str:
    if value is None:
        return "failed" if "failed" in method else ""
    text = f"{value:.3f}" + (" (failed on some)" if "failed" in method else "")
    return f"**{text}**" if value == best else text


def _head(*words: str) -> Sequence[str]:
    return [_row(*words), "|" + "---|" * len(words)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
