"""``evenscore sample``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from evenscore import records
from evenscore.balancing.plan import read_counts
from evenscore.checkpoint import pointed
from evenscore.commands.terminal import STOPPED, Bar, emit, say, stopping
from evenscore.configuration import parse_settings
from evenscore.errors import UsageError, unknown
from evenscore.run import Run
from evenscore.sampling import DEFAULT, ONE_STEP, Sampler
from evenscore.sampling.files import SampleJob, sample_files
from evenscore.sampling.methods import METHODS, Method, Plain, read_method
from evenscore.solvers import SOLVERS, Adaptive

ALL = "all"
"""What ``--guidance-interval`` is where every noise level is guided."""
AGAIN = {
    "png": "goes on from here",
    "npz": "starts again, an archive is written at the end",
    "webdataset": "goes on after the last complete shard",
}
"""What the same command does after a stop, by format."""


@dataclass(frozen=True)
class SampleRequest:
    """What was asked on the command line.

    Attributes:
        path: run folder.
        out: folder to write.
        per_class: samples of each class, or None.
        counts: file of counts, or None.
        how: the sampler.
        method: what steers the samples beside their class.
        seed: fixes every sample.
        kind: ``png``, ``npz`` or ``webdataset``.
        checkpoint: ``last`` or ``best``.
    """

    path: Path
    out: Path
    per_class: int | None
    counts: Path | None
    how: Sampler
    method: Method
    seed: int
    kind: str
    checkpoint: str = "last"
    per_shard: int | None = None


def shards(form: str, per_shard: int | None) -> dict[str, int]:
    """The size of shards, where it was given.

    Raises:
        UsageError: it was, and no shards are written.
    """
    if per_shard is not None and form != "webdataset":
        raise UsageError(f"--per-shard is for --format webdataset, and --format is {form}: leave it out")
    return {} if per_shard is None else {"per_shard": per_shard}


def sampler(
    solver: str | None,
    nfe: int | None,
    guidance: float | None,
    interval: str | None,
    settings: Mapping[str, str] | None = None,
    run: Path | None = None,
    default: Sampler = DEFAULT,
) -> Sampler:
    """The sampler that the options name; what is not given has its default, which for a one-step generator is the only way.

    Args:
        solver, nfe, guidance, interval: options, None where not given.
        settings: of the solver.
        run: the run that is sampled, or None.
        default: gives what no option names.

    Raises:
        UsageError: an unknown name, a value outside its range, or an option that says nothing to a one-step generator.
    """
    options = {"--nfe": nfe, "--guidance": guidance, "--guidance-interval": interval, "--set": settings or None}
    if is_one_step(run):
        given = {"--solver": None if solver == ONE_STEP.solver else solver, **options}
        refuse(next((key for key, value in given.items() if value is not None), None), run)
        return ONE_STEP
    if solver == ONE_STEP.solver:
        raise UsageError(
            f"--solver {solver} is for runs that `evenscore distill` made: leave it out, or see `evenscore list solvers`"
        )
    how = default if guidance is None else default.at(guidance)
    evaluations, span = how.nfe if nfe is None else nfe, how.interval if interval is None else _span(interval)
    return replace(how, solver=solver or how.solver, nfe=evaluations, interval=span, settings=settings or {})


def _span(interval: str) -> tuple[float, float] | None:
    """The noise levels that are guided, in log SNR; None for all.

    Raises:
        UsageError: no two numbers.
    """
    if interval == ALL:
        return None
    span = records.convert("guidance-interval", interval, tuple[float, ...])
    if len(span) != 2:
        raise UsageError(f"--guidance-interval {interval} cannot be used: give two numbers, such as -5,3, or {ALL}")
    return span[0], span[1]


def is_one_step(run: Path | None) -> bool:
    """Whether a path is the run of a one-step generator."""
    return run is not None and Run.exists(run) and Run.open(run).distilled is not None


def refuse(option: str | None, run: Path | None) -> None:
    """Refuse an option that says nothing to a one-step generator; none is well.

    Raises:
        UsageError: there is one.
    """
    if option is not None:
        raise UsageError(
            f"{option} says nothing to {run}, a one-step generator: its network is asked once for each sample, leave it out"
        )


def guided(
    name: str, settings: list[str], solver: str | None = None, run: Path | None = None
) -> tuple[Method, dict[str, str]]:
    """The guidance method with its settings, and the settings that are the solver's; a key of both is the method's.

    Raises:
        UsageError: an unknown name, key or value, or any for a one-step generator.
    """
    records.check_name("guidance method", name, METHODS)
    if is_one_step(run):
        refuse("--guidance-method" if name != Plain.name else "--set" if settings else None, run)
        return Plain(), {}
    solver = solver or DEFAULT.solver
    records.check_name("solver", solver, SOLVERS)
    given = parse_settings(settings)
    mine, theirs = records.fields_of(METHODS[name]), records.fields_of(SOLVERS[solver])
    for key in given:
        if key not in mine and key not in theirs:
            raise unknown("key", key, [*mine, *theirs])
    method = read_method(name, {key: value for key, value in given.items() if key in mine})
    if name == "diversity" and SOLVERS[solver] is Adaptive:
        raise UsageError(
            "--guidance-method diversity keeps the samples of a set apart, and --solver adaptive takes every sample's steps at "
            "its own pace: choose a solver with a fixed grid"
        )
    return method, {key: value for key, value in given.items() if key not in mine}


def run(request: SampleRequest, as_json: bool) -> None:
    """Write samples of a run."""
    trained = Run.open(request.path)
    numbers = wanted(request.per_class, request.counts, trained.card.class_names)
    job = SampleJob(
        numbers,
        request.how,
        request.seed,
        request.kind,
        method=request.method,
        checkpoint=request.checkpoint,
        **shards(request.kind, request.per_shard),
    )
    started, done = time.monotonic(), 0
    with stopping() as stop, Bar() as bar:
        for done, total in sample_files(trained, request.out, job, stop):
            spent = time.monotonic() - started
            bar.update("sample", done / total, f"{done} of {total}", spent * (total - done) / max(1, done))
    if as_json:
        found = {"out": str(request.out), "samples": done, "counts": job.counts, "seed": job.seed}
        found["checkpoint"] = pointed(trained.checkpoints, job.checkpoint)
        method = {"name": job.method.name, **records.write(job.method)}
        emit({**found, "nfe": job.sampler.nfe, "guidance_method": method})
    if done < sum(job.counts) and stop.asked:
        again = AGAIN[job.format]
        say(f"stopped after {done} samples; the same command {again}")
        raise SystemExit(STOPPED)
    say(f"{sum(job.counts)} samples in {request.out}")


def wanted(per_class: int | None, counts: Path | None, names: tuple[str, ...]) -> tuple[int, ...]:
    """Samples of each class from the two options.

    Raises:
        UsageError: both given, or a number below 1, or counts that do not fit the classes.
    """
    if per_class is not None and counts is not None:
        raise UsageError("--per-class and --counts were both given: give one of them")
    if counts is not None:
        if not counts.is_file():
            raise UsageError(
                f"--counts {counts} does not exist: give a JSON or YAML file of `class name: number` lines"
            )
        return read_counts(counts, names)
    number = 100 if per_class is None else per_class
    if number < 1:
        raise UsageError(f"--per-class {number} cannot be used: give at least 1")
    return (number,) * len(names)
