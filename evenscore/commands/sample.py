"""``evenscore sample``."""

from __future__ import annotations

import time
from pathlib import Path

from evenscore import records
from evenscore.balancing.plan import read_counts
from evenscore.commands.terminal import STOPPED, Bar, emit, say, stopping
from evenscore.errors import UsageError
from evenscore.run import Run
from evenscore.sampling import Sampler
from evenscore.sampling.files import SampleJob, sample_files


def sampler(solver: str, nfe: int, guidance: float, interval: str | None) -> Sampler:
    """The sampler that the options name.

    Raises:
        UsageError: an unknown name or a value outside its range.
    """
    span = None if interval is None else records.convert("guidance-interval", interval, tuple[float, ...])
    if span is not None and len(span) != 2:
        raise UsageError(f"--guidance-interval {interval} cannot be used: give two numbers, such as -5,3")
    return Sampler(solver=solver, nfe=nfe, guidance=guidance, interval=span)


def run(
    path: Path, out: Path, per_class: int | None, counts: Path | None, how: Sampler, seed: int, kind: str, as_json: bool
) -> None:
    """Write samples of a run."""
    trained = Run.open(path)
    job = SampleJob(wanted(per_class, counts, trained.card.class_names), how, seed, kind)
    started, done = time.monotonic(), 0
    with stopping() as stop, Bar() as bar:
        for done, total in sample_files(trained, out, job, stop):
            spent = time.monotonic() - started
            bar.update("sample", done / total, f"{done} of {total}", spent * (total - done) / max(1, done))
    if as_json:
        emit({"out": str(out), "samples": done, "counts": job.counts, "seed": seed, "nfe": how.nfe})
    if done < sum(job.counts) and stop.asked:
        again = "goes on from here" if kind == "png" else "starts again, an archive is written at the end"
        say(f"stopped after {done} samples; the same command {again}")
        raise SystemExit(STOPPED)
    say(f"{sum(job.counts)} samples in {out}")


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
