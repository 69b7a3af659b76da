"""A report with awkward names, one class that is short, one without synthetic images, and images of noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from evenscore.report import BalanceReport, ClassReport

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
