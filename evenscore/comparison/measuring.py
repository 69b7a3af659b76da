"""Measured once for a comparison: network, precision, memory format, what each method's step costs, the baseline's steps."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, replace
from typing import Any, Literal, TypeAlias

from evenscore.comparison.cost import cost, seconds_per_step
from evenscore.comparison.folder import Folder
from evenscore.comparison.plan import Measured, cost_name
from evenscore.comparison.progress import Stage
from evenscore.comparison.trial import sentence
from evenscore.comparison.work import Work
from evenscore.errors import EvenscoreError
from evenscore.training.resolve import resolve

FILE = "measured.json"
Measuring: TypeAlias = Generator[Stage, None, Measured]
"""Stages on the way; what was measured at the end."""


def measure(work: Work, folder: Folder, keep: Literal["in the folder", "nothing"] = "in the folder") -> Measuring:
    """Measure what the folder does not know yet.

    A method that cannot train has no cost, and a sentence among the failures.

    Args:
        work: what is compared.
        folder: where it is known, or kept.
        keep: whether anything is written.

    Raises:
        EvenscoreError: the baseline cannot train.
        RunError: what the folder knows cannot be understood.
    """
    writes, kept = keep != "nothing", folder.read(FILE)
    if kept is None:
        yield Stage("measure", f"a step of {work.recipes[0].title}")
    measured = _baseline(work) if kept is None else _known(folder, kept)
    if writes and kept is None:
        folder.write(FILE, asdict(measured))
    shared = measured.shared(work.config.common)
    for i, recipe in enumerate(work.recipes):
        if recipe.title in measured.costs:
            continue
        yield Stage("measure", f"a step of {recipe.title}", i / len(work.recipes))
        try:
            ratio = cost(work.data, recipe.config(shared), work.recipes[0].config(shared))
        except Exception as error:  # a method may raise anything, and must not lose the others
            if writes:
                folder.fail(cost_name(recipe.title), sentence(error))
            yield Stage("failed", f"{recipe.title}: {sentence(error)}")
            continue
        measured = replace(measured, costs={**measured.costs, recipe.title: ratio})
        if writes:
            folder.write(FILE, asdict(measured))
            folder.forget(cost_name(recipe.title))
    return measured


def _known(folder: Folder, kept: Any) -> Measured:
    try:
        return Measured(**kept)
    except TypeError:
        raise folder.damaged(FILE) from None


def _baseline(work: Work) -> Measured:
    config = resolve(work.recipes[0].config(work.config.common), work.data)
    try:
        seconds = seconds_per_step(work.data, config)
    except Exception as error:
        title = work.recipes[0].title
        raise EvenscoreError(
            f"the baseline {title!r} cannot train ({sentence(error)}): mend it, or give another --baseline"
        ) from error
    steps = work.config.budget.in_steps(seconds)
    costs = {work.recipes[0].title: 1.0}
    return Measured(config.network, config.precision, seconds, steps, costs, config.memory_format)
