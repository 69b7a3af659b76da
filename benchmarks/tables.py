"""Tables made unequal: ours against the over-samplers of imbalanced-learn, paired over seeds, with the time beside.

Protocol. Every set of :mod:`benchmarks.table_sets` is made unequal by each factor, for each seed another part of a fixed
pool; every method of :mod:`benchmarks.table_methods` learns from the same rows; the seed is also that of the resampler and
of the classifier. Logistic regression (scaled) and histogram gradient boosting learn from what the method returns and are
scored on held-out rows that are fixed and not made unequal: balanced accuracy, macro-F1 and average precision (mean over
classes, one against the rest). No method is tuned. A method that fails is recorded with its sentence.
:mod:`benchmarks.table_summary` defines what is compared and what ``holds`` means.

Every finished part is a file in ``--out``; the same command goes on from there. A part that failed is tried again.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.parts import hold, kept
from benchmarks.runner import Outcome
from benchmarks.table_markdown import markdown
from benchmarks.table_methods import METHODS, OURS, method_of
from benchmarks.table_scores import judged
from benchmarks.table_sets import LARGEST, SETS
from benchmarks.table_summary import case_summary, over_cases, verdict

SUMMARY = "Unequal tables: ours against SMOTE, ADASYN and others, two classifiers, three scores, paired seeds"
FACTORS = (20, 100)
QUICK_SETS = ("breast_cancer", "wine", "few informative", "mixed")
QUICK_LARGEST = 400
QUICK_SEEDS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--sets", nargs="+", choices=list(SETS), help="default: all; a few with --quick")
    parser.add_argument("--factors", nargs="+", type=int, default=list(FACTORS), help="largest class over smallest")
    parser.add_argument("--seeds", type=int, help="paired seeds (default 5; 2 with --quick)")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[*METHODS, OURS],
        help=f"of: {', '.join([*METHODS, OURS])}; ours with settings: {OURS}:objective=denoising,minutes=1",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("out/tables"), help="where parts are kept and resumed")
    parser.add_argument("--markdown", type=Path, help="a file for the tables, as they stand in the docs")
    parser.add_argument("--quick", action="store_true", help="four sets with smaller classes: a few minutes")


def run(args: argparse.Namespace) -> Outcome:
    """Resample and score what is not there yet, then compare."""
    for name in args.methods:
        method_of(name)
    sets = args.sets or list(QUICK_SETS if args.quick else SETS)
    seeds = args.seeds or (QUICK_SEEDS if args.quick else 5)
    folder, largest = args.out / ("quick" if args.quick else "full"), QUICK_LARGEST if args.quick else LARGEST
    hold(folder, {"largest": largest})
    places = [(name, factor) for name in sets for factor in args.factors]
    jobs = [Job(str(folder), *place, largest, m, s) for place in places for m in args.methods for s in range(seeds)]
    found = dict(zip(jobs, computed(jobs, args.workers), strict=True))
    cases: dict[str, Any] = {}
    for name, factor in places:
        mine = {
            m: [part for job, part in found.items() if (job.data, job.factor, job.method) == (name, factor, m)]
            for m in args.methods
        }
        cases[f"{name}, {factor}:1"] = {**described(name, factor, largest), **case_summary(mine)}
    values = summarised(cases)
    if args.markdown:
        args.markdown.write_text(markdown(values), encoding="utf-8")
    bound = {"median over cases of (ours - best other), every classifier and score": "at least minus the noise"}
    return Outcome(values, bound, values["holds"])


def summarised(cases: dict[str, Any]) -> dict[str, Any]:
    """Cases, medians over them, where ours failed, and the verdict."""
    medians = over_cases(cases)
    failures = [name for name, case in cases.items() if "failed" in case["methods"].get(OURS, {"failed": ""})]
    return {"cases": cases, "medians": medians, "ours failed": failures, **verdict(medians, len(failures))}


def described(name: str, factor: float, largest: int) -> dict[str, Any]:
    """Sizes of a case and what was not as asked."""
    data = SETS[name]().unequal(factor, 0, largest)
    sizes = {"rows by class": data.train.counts, "held out by class": data.test.counts}
    return {**sizes, "columns": int(data.train.X.shape[1]), "notes": list(data.notes)}


@dataclass(frozen=True)
class Job:
    """One part: a method on one unequal part of a set; plain values only, so that it travels between processes."""

    folder: str
    data: str
    factor: int
    largest: int
    method: str
    seed: int

    @property
    def path(self) -> Path:
        """The file of the part."""
        words = [self.data, str(self.factor), self.method, str(self.seed)]
        return Path(self.folder) / ("_".join("".join(c if c.isalnum() else "-" for c in w) for w in words) + ".json")

    def __call__(self) -> dict[str, Any]:
        """The part, from its file or computed; one that failed is computed again."""
        found: dict[str, Any] = kept(self.path, self.compute)
        if "failed" in found:
            self.path.unlink()
            found = kept(self.path, self.compute)
        return found

    def compute(self) -> dict[str, Any]:
        """Resample, fit and score."""
        data, method = SETS[self.data]().unequal(self.factor, self.seed, self.largest), method_of(self.method)
        data = data.encoded() if method.numbers == "encoded" else data
        started = time.process_time()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                rows = method.resampled(data.train, data.categorical, self.seed)
            seconds = time.process_time() - started
            scores = judged(rows, data.test, method.class_weight, self.seed)
        except Exception as error:  # a peer may fail in any way; the table says how
            return {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        words = sorted({" ".join(str(warning.message).split())[:300] for warning in caught})
        return {"rows": rows.counts, "seconds": seconds, "warnings": words, **scores}


def computed(jobs: list[Job], workers: int) -> Iterator[dict[str, Any]]:
    """The parts in the order of the jobs, said one by one."""
    if workers < 2:
        one_thread()
        done: Iterator[dict[str, Any]] = map(Job.__call__, jobs)
        yield from (_said(job, part) for job, part in zip(jobs, done, strict=True))
        return
    with ProcessPoolExecutor(workers, initializer=one_thread) as pool:
        yield from (_said(job, part) for job, part in zip(jobs, pool.map(Job.__call__, jobs), strict=True))


def one_thread() -> None:
    """This process computes with one thread."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


def _said(job: Job, part: dict[str, Any]) -> dict[str, Any]:
    words = part.get("failed") or f"{part['seconds']:.1f} s, " + ", ".join(
        f"{scores['average precision']:.3f}" for scores in part["scores"].values()
    )
    print(f"{job.data} {job.factor}:1 {job.method} seed {job.seed}: {words}", file=sys.stderr, flush=True)
    return part
