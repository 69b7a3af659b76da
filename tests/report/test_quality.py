"""Records of a quality page refuse what cannot be shown."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from evenscore.errors import DataError
from evenscore.report import QualityReport
from evenscore.report.quality import ClassPictures, CopyPair


def test_every_method_has_a_value_for_every_part(quality: QualityReport) -> None:
    method = quality.sections[0].methods[1]
    for field in ("figures", "differences"):
        figures = {**getattr(method, field), "recall": getattr(method, field)["recall"][1:]}
        section = dataclasses.replace(quality.sections[0], methods=(dataclasses.replace(method, **{field: figures}),))
        with pytest.raises(DataError, match="'cb<dm' has 10 values of recall for 11 parts: give one for each"):
            dataclasses.replace(quality, sections=(section,))


def test_a_method_is_named_once_in_a_section(quality: QualityReport) -> None:
    section = quality.sections[0]
    twice = dataclasses.replace(section, methods=(*section.methods, section.methods[0]))
    with pytest.raises(DataError, match="share a name: name each once"):
        dataclasses.replace(quality, sections=(twice,))
    assert len(dataclasses.replace(quality, sections=(section, section)).sections) == 2


def test_pictures_are_checked() -> None:
    two, three = np.zeros((2, 4, 4, 1), np.uint8), np.zeros((3, 4, 4, 1), np.uint8)
    with pytest.raises(DataError, match="class 'a' has 3 nearest images for 2 synthetic ones: give one for each"):
        ClassPictures("a", two, three)
    with pytest.raises(DataError, match=r"the synthetic images of class 'a' are float64 .* give uint8"):
        ClassPictures("a", two.astype(float))
    with pytest.raises(DataError, match="the paired images of class 'a'"):
        CopyPair("a", two[0], 0.1, True)
