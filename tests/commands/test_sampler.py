"""The sampler that the options of a command name: guided only at the noise levels where that matters, unless asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from benchmarks.guidance_interval import cost
from evenscore.balancing import BalanceConfig
from evenscore.balancing.job import SAMPLER
from evenscore.commands import options
from evenscore.commands.sample import sampler
from evenscore.errors import UsageError
from evenscore.run import Run
from evenscore.sampling import DEFAULT, Sampler


def test_guidance_is_limited_to_an_interval_by_default() -> None:
    assert sampler(None, None, None, None) == DEFAULT
    assert sampler(None, None, 3.0, None) == replace(DEFAULT, guidance=3.0)
    assert sampler("heun", 19, None, "-5,3") == Sampler("heun", nfe=19, guidance=DEFAULT.guidance, interval=(-5.0, 3.0))
    assert sampler(None, None, None, "all") == replace(DEFAULT, interval=None)
    assert sampler(None, None, None, None, default=SAMPLER) == BalanceConfig().sampler == replace(DEFAULT, guidance=2.0)


def test_the_help_names_the_defaults() -> None:
    for option, expected in (
        (options.Solver, DEFAULT.solver),
        (options.Nfe, str(DEFAULT.nfe)),
        (options.Guidance, str(DEFAULT.guidance)),
        (options.BalanceGuidance, str(SAMPLER.guidance)),
        (options.Interval, "{:g},{:g}".format(*(DEFAULT.interval or ()))),
    ):
        assert get_args(option)[1].show_default == expected


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_without_guidance_there_is_no_interval(scale: float) -> None:
    """At scale 0 an interval would leave the rest conditional."""
    assert sampler(None, None, scale, None).interval is None


@pytest.mark.parametrize("interval", ["3", "1,2,3", "some", "3,-3"])
def test_what_is_no_interval_is_refused(interval: str) -> None:
    with pytest.raises(UsageError):
        sampler(None, None, None, interval)


def test_outside_the_interval_the_network_sees_a_sample_once(trained: Path) -> None:
    model = Run.open(trained).model()
    everywhere = cost(model, replace(DEFAULT, interval=None))
    assert everywhere == 2 * DEFAULT.nfe == 2 * cost(model, Sampler())
    assert DEFAULT.nfe < cost(model, DEFAULT) <= 0.8 * everywhere
