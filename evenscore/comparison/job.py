"""A comparison of training methods, from recipes to a table: measure costs, choose settings, train, judge, compare, write.

Law: every method has the same data, network, batch, precision, averaging, sampler, number of samples, seeds and grid; the
baseline chooses too. The same call given again after an interruption goes on, and one run that fails loses no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from evenscore.checkpoint import write_atomic
from evenscore.comparison.cost import one_thread
from evenscore.comparison.folder import LOCK, Folder
from evenscore.comparison.gather import gather
from evenscore.comparison.judge import Judge, cache_in
from evenscore.comparison.markdown import markdown
from evenscore.comparison.measuring import measure
from evenscore.comparison.page import write_page
from evenscore.comparison.plan import Planner
from evenscore.comparison.progress import STOPPED_STAGE, Stage
from evenscore.comparison.recipe import Recipe
from evenscore.comparison.result import Comparison, Found, write_json
from evenscore.comparison.running import run_all
from evenscore.comparison.settings import ComparisonConfig
from evenscore.comparison.trial import Setup
from evenscore.comparison.work import Work, prepared
from evenscore.comparison.workers import wait_for_orphans
from evenscore.data import Dataset
from evenscore.lock import hold
from evenscore.writing import check_outside


def compare(
    data: Dataset,
    recipes: Sequence[Recipe | str],
    out: Path | str,
    config: ComparisonConfig,
    stop: Callable[[], bool] = lambda: False,
    judge: Judge | None = None,
) -> Iterator[Stage]:
    """Compare ways to train on a data set; iterate to the end to have it done.

    Args:
        data: training data with a held-out part.
        recipes: methods, as records or as the command line names them; the baseline is added where it is not among them.
        out: folder to write, new or that of the same comparison.
        config: budget, seeds, grid and what is measured.
        stop: asked between steps; when true, the work stops in a state from which the same call goes on.
        judge: of samples; the one of held-out data when None.

    Raises:
        UsageError: recipes that do not compare, or unknown names and values.
        DataError: no held-out data, or a folder that cannot be used.
        RunError: the folder holds another comparison, or is in use.
        EvenscoreError: the baseline cannot train, or a worker process was killed.
    """
    out, work = Path(out), prepared(data, recipes, config, judge)
    check_outside(out, data)
    folder = Folder.begin(out)
    with hold(out, LOCK):
        wait_for_orphans(out)
        folder.claim(work.job)
        yield from _stages(work, folder, stop)


def _stages(work: Work, folder: Folder, stop: Callable[[], bool]) -> Iterator[Stage]:
    """Everything, from the folder as it is."""
    yield Stage("plan", work.words)
    yield Stage("prepare", "features of the held-out data")
    with one_thread():
        protocol = work.judge.prepare(cache_in(folder.root))
    measured = yield from measure(work, folder)
    setup = Setup(work.data, work.judge, work.config, folder.root)
    planner = Planner(work.recipes, work.config, measured)
    stopped = stop() or (yield from run_all(setup, "choose", planner.to_choose(), measured, stop))
    if not stopped:
        chosen = planner.choices(folder.part)
        stopped = yield from run_all(setup, "compare", planner.to_judge(chosen), measured, stop)
    if stopped:
        yield STOPPED_STAGE
        return
    yield Stage("write", "tables and page")
    comparison = write(Found(work.data, planner, chosen, folder, protocol, work.added))
    lost = len(comparison.failures)
    yield Stage("done", f"{lost} failures, the same command tries these again" if lost else f"{folder.root}", 1.0)


def write(found: Found) -> Comparison:
    """Write ``comparison.json``, ``comparison.md`` and ``index.html`` from what the folder holds.

    Raises:
        DataError: the disk is full.
    """
    comparison, root = gather(found), found.folder.root
    write_json(comparison, found.folder)
    write_atomic(root / "comparison.md", markdown(comparison).encode())
    if comparison.parts:
        write_page(found.folder, found.data)
    return comparison
