"""A report with awkward names, one class that is short, one without synthetic images, and images of noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from evenscore.report import BalanceReport, ClassReport, QualityReport
from evenscore.report.quality import ClassPictures, CopyPair, Measure, MethodReport, Part, Section, Value

NAMES = ("cat", "<script>alert(1)</script>", "a|b *c* [d](e)", "quote \" & 'amp'", "line\nbreak\x00\u202e\ud800", "ok")


def class_report(name: str, k: int, shape: tuple[int, ...] = (16, 8, 8, 1)) -> ClassReport:
    """Class ``k``: 1234, 617, 308, ... real samples, brought to 1234."""
    rng = np.random.default_rng(k)
    real = max(4, 1234 >> k)
    made = 1234 - real
    images = rng.integers(0, 256, (3, *shape), dtype=np.uint8)
    return ClassReport(
        name=name,
        group="head" if real > 100 else "tail" if real < 20 else "medium",
        real=real,
        kept=real,
        made=made,
        wanted=1234,
        candidates=made + 30,
        copies=10,
        mislabelled=20,
        real_images=images[0],
        synthetic_images=images[1] if made else None,
        nearest_images=images[2] if made else None,
        agreement=0.9 - 0.01 * (k % 50) if made else None,
        agreement_interval=(0.3, 0.95) if made else None,
    )


@pytest.fixture
def report() -> BalanceReport:
    """Six classes; the last one has few real samples, many rejections, low agreement and 111 missing."""
    classes = [class_report(name, k) for k, name in enumerate(NAMES)]
    classes[-1] = dataclasses.replace(
        classes[-1],
        real=7,
        kept=7,
        made=1116,
        candidates=4000,
        copies=1000,
        mislabelled=1884,
        agreement=0.41,
        agreement_interval=(0.37, 0.46),
        note="Stopped after 4,000 <candidates>.",
    )
    return BalanceReport(
        title="Cats & <dogs>",
        source="data/<in>",
        created="2024-05-06 07:08 UTC",
        command="evenscore balance 'data/<in>' --out ```x",
        classes=tuple(classes),
        notes=("3 <files> were left out.",),
        settings={"objective": "cbdm", "guid<ance": "1.5"},
        protocol="Judged by <someone> on 200 samples.",
        loss_curve={g: [(s, (1 + i) / (1 + s)) for s in range(0, 900, 3)] for i, g in enumerate(("head", "tail<"))},
    )


@pytest.fixture
def many_classes(report: BalanceReport) -> BalanceReport:
    """300 classes of the names class-0 ... class-299, all with images; those with higher numbers are smaller."""
    classes = [
        dataclasses.replace(class_report(f"class-{k}", 3 + k % 2, (4, 8, 8, 1)), real=400 - k, kept=400 - k)
        for k in range(300)
    ]
    return dataclasses.replace(report, classes=tuple(classes))


@pytest.fixture
def vectors(report: BalanceReport) -> BalanceReport:
    """The report without a picture, a measurement or a curve."""
    bare = {"real_images": None, "synthetic_images": None, "nearest_images": None}
    classes = tuple(
        dataclasses.replace(each, **bare, agreement=None, agreement_interval=None, note="") for each in report.classes
    )
    return dataclasses.replace(report, classes=classes, protocol="", loss_curve={}, notes=())


MEASURES = (
    Measure("kernel", "KD-<domain>", "lower", "squared distance of distributions"),
    Measure("recall", "recall-<domain>", "higher", "reference samples near the generated"),
    Measure("frechet", "FD-<domain>", "lower", "distance of means and covariances"),
)
TOO_FEW = "50 samples are too <few> for a Frechet distance"


def quality_parts(names: Sequence[str]) -> tuple[Part, ...]:
    """All, the worst class, three groups, and classes of 200, 100, 50, ... training samples, at least 2."""
    counts = [max(2, 200 >> k) for k in range(len(names))]
    groups = ["head" if n > 100 else "tail" if n < 20 else "medium" for n in counts]
    classes = (Part("class", name, g, n) for name, g, n in zip(names, groups, counts, strict=True))
    overall = (
        Part("all", "all"),
        Part("worst", "worst class"),
        *(Part("group", g) for g in ("head", "medium", "tail")),
    )
    return (*overall, *classes)


def quality_method(name: str, rank: int, parts: Sequence[Part], pictures: int = 0) -> MethodReport:
    """Method number ``rank``: part i has kernel 0.01 (i + 1) - 0.004 rank with intervals -+ 0.002; no Frechet by class."""
    kernel = [0.01 * (i + 1) - 0.004 * rank for i in range(len(parts))]
    notes = [f"class {parts[-1].name}" if part.kind == "worst" else "" for part in parts]
    figures = {
        "kernel": [Value(v, v - 0.002, v + 0.002, note) for v, note in zip(kernel, notes, strict=True)],
        "recall": [Value(0.5 + 0.01 * rank, 0.4, 0.6) for _ in parts],
        "frechet": [Value(4.0) if part.kind == "all" else Value(None, note=TOO_FEW) for part in parts],
    }
    differences = {
        "kernel": [Value(-0.004 * rank, -0.004 * rank - 0.003, 0.003 - 0.004 * rank) for _ in parts],
        "recall": [Value(0.01 * rank, -0.05, 0.07) for _ in parts],
        "frechet": figures["frechet"],
    }
    rng = np.random.default_rng(rank)
    classes = [part.name for part in parts if part.kind == "class"] if pictures else []
    made = [rng.integers(0, 256, (2, pictures, 8, 8, 1), dtype=np.uint8) for _ in classes]
    curve = [(float(s), 1 / (1 + s)) for s in range(0, 300, 3)]
    return MethodReport(
        name,
        figures,
        differences if rank else {},
        {"steps": f"{1000 - rank}", "se<eds": "3"},
        {"objective": name, "l<r": "3e-4"},
        tuple(ClassPictures(n, *both) for n, both in zip(classes, made, strict=True)),
        {"loss by group": {"head": curve, "tail<": curve}, "gap": {"gap": curve}},
        ("seed 1 stopped: the <loss> was not finite",) if rank == 1 else (),
        tuple(CopyPair(n, both[:, 0], 0.2, rank == 2) for n, both in zip(classes, made, strict=True)) if rank else (),
    )


def quality_report(
    names: Sequence[str] = NAMES, methods: Sequence[str] = ("plain", "cb<dm", "mutual"), pictures: int = 16
) -> QualityReport:
    """Methods side by side, the first the baseline."""
    parts = quality_parts(names)
    every = tuple(quality_method(name, rank, parts, pictures) for rank, name in enumerate(methods))
    real = {name: np.full((pictures, 8, 8, 1), k % 256, np.uint8) for k, name in enumerate(names)} if pictures else {}
    return QualityReport(
        title="Cats & <dogs>",
        source="data/<in>",
        created="2024-05-06 07:08 UTC",
        command="evenscore compare 'a <b>'",
        summary=("mutual helped <some> classes.", "It did not help others."),
        measures=MEASURES,
        parts=parts,
        sections=(Section("Equal <compute>", ("Each run had <five> minutes.",), every),),
        real=real,
        baseline=methods[0] if len(methods) > 1 else "",
        protocol={"feat<ures": "domain (<64>)"},
        notes=("a <note>",),
        thresholds=(100, 20),
    )


@pytest.fixture
def quality() -> QualityReport:
    """Three methods on six classes with awkward names, with pictures; the second has a failed run."""
    return quality_report()


@pytest.fixture
def make_quality() -> Callable[..., QualityReport]:
    """``make_quality(names, methods, pictures)``: such a report of another size."""
    return quality_report
