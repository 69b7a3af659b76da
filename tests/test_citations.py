"""What a run used is cited: everything that a configuration can name has a paper or is ours; ``evenscore cite`` prints it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evenscore import citations as papers
from evenscore.citations import citations, entries
from evenscore.configuration import TrainConfig
from evenscore.objectives import OBJECTIVES
from evenscore.objectives.levels import NOISE_LAWS
from evenscore.objectives.weighting import WEIGHTINGS
from evenscore.process import PROCESSES
from evenscore.run import Run

Cli = Callable[..., Any]
TABLES = (papers.OBJECTIVES, papers.PROCESSES, papers.NOISE, papers.WEIGHTING)


def keys(*, one_step: bool = False, finished: bool = False, **settings: Any) -> dict[str, str]:
    config = TrainConfig.from_mapping({"steps": 1, **settings})
    return {one.key: one.reason for one in citations(config, one_step, finished)}


def test_whatever_a_configuration_can_name_is_known() -> None:
    names = (OBJECTIVES, PROCESSES, NOISE_LAWS, WEIGHTINGS)
    assert [set(table) for table in TABLES] == [set(known) for known in names]
    cited = {key for table in TABLES for found in table.values() for key in found}
    assert cited <= set(entries())


def test_entries_are_whole() -> None:
    for key, text in entries().items():
        assert re.match(rf"@(inproceedings|misc){{{key},\n", text)
        assert text.endswith("\n}")
        fields = dict(re.findall(r"^  (\w+) = {(.+)},$", text, re.MULTILINE))
        assert {"title", "author", "year"} < set(fields)
        assert fields["year"] == re.findall(r"\d{4}", key)[0]
        assert text.count("{") == text.count("}") == len(fields) + 1, key
    assert list(entries()) == sorted(entries())


def test_each_paper_stands_once_with_all_that_it_is_cited_for() -> None:
    found = keys(objective="cbdm+coral", weighting="simple")
    assert found["qin2023class"] == "objective cbdm"
    assert found["khosla2020supervised"] == found["rodriguez2025coral"] == "objective coral"
    assert found["ho2020denoising"] == "weighting simple, network after that of DDPM"
    assert found["karras2022elucidating"] == "noise law lognormal, preconditioned network"
    assert "das2025principled" not in found


@pytest.mark.parametrize(
    ("given", "key", "there"),
    [
        ({"players": "trunk"}, "das2025principled", True),
        ({"finished": True}, "das2025principled", True),
        ({}, "das2025principled", False),
        ({"label_dropout": 0.0}, "ho2022classifier", False),
        ({}, "ho2022classifier", True),
        ({"one_step": True}, "luo2023entropy", True),
        ({"one_step": True}, "lu2022dpmpp", False),
        ({}, "lu2022dpmpp", True),
        ({"process": "rectified-flow"}, "lipman2023flow", True),
        ({"objective": "worst-class"}, "sagawa2020distributionally", True),
    ],
)
def test_what_is_used_is_cited_and_nothing_else(given: dict[str, Any], key: str, there: bool) -> None:
    assert (key in keys(**given)) is there


def test_the_command_prints_bibtex_that_can_be_kept(cli: Cli, trained: Path) -> None:
    done = cli("cite", trained)
    assert done.code == 0, done.err
    expected = citations(Run.open(trained).config)
    assert done.out.count("@") == len(expected)
    for one in expected:
        assert f"% {one.reason}\n{one.bibtex}\n" in done.out
    assert "cite your data too" in done.err
    listed = json.loads(cli("cite", trained, "--json").out)
    assert [entry["key"] for entry in listed["entries"]] == [one.key for one in expected]


def test_a_folder_that_is_no_run_is_refused(cli: Cli, tmp_path: Path) -> None:
    cli("cite", tmp_path).assert_refused(3, "is not a run folder")
