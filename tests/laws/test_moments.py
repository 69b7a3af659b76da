"""Samples from the exact denoiser have the class-conditional moments and the density of the data, for every solver."""

from __future__ import annotations

import pytest

from benchmarks.instruments import CASES, draw_case, linear, moment_errors, planar, total_variation
from evenscore.process import PROCESSES
from evenscore.solvers import SOLVERS

CHAINS = ("langevin", "annealed-langevin")


def test_every_solver_is_held_to_it() -> None:
    assert set(CASES) == set(SOLVERS)


@pytest.mark.parametrize("name", SOLVERS)
def test_sampled_moments_match(name: str) -> None:
    denoiser = planar(PROCESSES["vp"]())
    for label in (0,) if name in CHAINS else (0, 1):
        drawn = draw_case(denoiser, name, label, 1024 if name in CHAINS else 4096)
        assert max(moment_errors(denoiser, drawn, label)) <= 0.02


@pytest.mark.parametrize("process", ["vp-cosine", "sub-vp", "ve", "ou", "rectified-flow"])
@pytest.mark.parametrize("name", ["heun", "dpm++2m", "adaptive"])
def test_sampled_moments_match_on_every_process(process: str, name: str) -> None:
    denoiser = planar(PROCESSES[process]())
    for label in (0, 1):
        assert max(moment_errors(denoiser, draw_case(denoiser, name, label, 8192), label)) <= 0.02


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in CHAINS])
def test_sampled_density_matches(name: str) -> None:
    denoiser = linear(PROCESSES["vp"]())
    assert total_variation(denoiser, draw_case(denoiser, name, 0, 16384), 0) <= 0.03
