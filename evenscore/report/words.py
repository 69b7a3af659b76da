"""Words of a report: the summary in sentences, and which classes to trust least.

Law: every number in a sentence is one of the records or a sum over them. A class is doubted for the reasons in
:func:`reasons` only, and their limits are the constants below, which the page states.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from evenscore.report.records import BalanceReport, ClassReport

FEW_REAL = 20
MANY_REJECTED = 0.5
LOW_AGREEMENT = 0.6
LIMITS = (
    f"fewer than {FEW_REAL} real ones to learn from, more than {MANY_REJECTED:.0%} of the candidates rejected, "
    f"label agreement below {LOW_AGREEMENT:.2f}, or a plan that was not met"
)
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Doubt:
    """A class to trust less than others, and why."""

    name: str
    reasons: tuple[str, ...]


def plain(text: str) -> str:
    """Text on one line, that any file can hold: white space to blanks, control, direction and surrogate marks to U+FFFD."""
    kept = (" " if c.isspace() else c for c in text)
    return "".join("\ufffd" if c in _BIDI or unicodedata.category(c) in ("Cc", "Cs") else c for c in kept)


def inert(text: str) -> str:
    """Text on one line of Markdown, in a cell too, that makes no element, link, picture or further cell."""
    return re.sub(r"([\\|]|(?<=\])[(\[])", r"\\\1", plain(text).replace("&", "&amp;").replace("<", "&lt;"))


def number(n: float) -> str:
    """``1,234``, or ``0.0123`` to three digits for what is not whole."""
    return f"{n:,.0f}" if n == int(n) and abs(n) < 1e15 else f"{n:.3g}"


def many(n: int, noun: str) -> str:
    """``1 image``, ``2,000 images``, ``3 classes``."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number(n)} {noun if n == 1 else plural}"


def join(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([*([", ".join(words[:-1])] if words[:-1] else []), *words[-1:]])


def agreement(each: ClassReport) -> str:
    """``0.91 (0.86 to 0.95)``, without the interval where there is none, or ``not measured``."""
    if each.agreement is None:
        return "not measured"
    interval = each.agreement_interval
    return f"{each.agreement:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def summary(report: BalanceReport) -> tuple[str, ...]:
    """What was lacking, what was made, what was rejected, and whether the plan was met, one sentence or two each."""
    if not report.classes:
        return ("The data set has no class, so nothing was made.",)
    return (_lacking(report), _made(report), _rejected(report), _plan(report))


def _lacking(report: BalanceReport) -> str:
    noun, total = report.noun, report.total("real")
    large = max(report.classes, key=lambda each: each.real)
    small = min(report.classes, key=lambda each: each.real)
    text = f"The source holds {many(total, f'real {noun}')} in {many(len(report.classes), 'class')}"
    if large.real > small.real:
        text += f", from {number(large.real)} ({large.name}) down to {number(small.real)} ({small.name})"
    lacking = [max(0, each.wanted - each.kept) for each in report.classes]
    classes = sum(n > 0 for n in lacking)
    if not classes:
        return f"{text}. Against the plan no class lacked anything."
    return f"{text}. Against the plan {many(classes, 'class')} lacked {many(sum(lacking), noun)} together."


def _made(report: BalanceReport) -> str:
    made, kept = report.total("made"), report.total("kept")
    classes = sum(each.made > 0 for each in report.classes)
    if not made:
        return f"No synthetic {report.noun} was made: the output holds {number(kept)} real ones."
    return (
        f"{many(made, f'synthetic {report.noun}')} went into {many(classes, 'class')}: the output holds "
        f"{many(kept + made, report.noun)}, {number(kept)} real and {number(made)} synthetic ({made / (kept + made):.0%})."
    )


def _rejected(report: BalanceReport) -> str:
    drawn, copies, wrong = (report.total(key) for key in ("candidates", "copies", "mislabelled"))
    if not drawn:
        return "No candidate was drawn."
    if not copies + wrong:
        return f"Of {many(drawn, 'candidate')} drawn none was rejected."
    return (
        f"Of {many(drawn, 'candidate')} drawn the filter rejected {number(copies)} as near-copies of a training "
        f"{report.noun} and {number(wrong)} because a classifier confidently gave them to another class."
    )


def _plan(report: BalanceReport) -> str:
    short = sorted((each for each in report.classes if each.short), key=lambda each: -each.short)
    if not short:
        return "The plan was met in every class."
    named = [f"{each.name} ({number(each.short)} short of {number(each.wanted)})" for each in short[:5]]
    if len(short) > 5:
        named.append(f"{number(len(short) - 5)} more")
    missing = many(report.total("short"), report.noun)
    return f"The plan was not met in {many(len(short), 'class')}, {missing} in all: {join(named)}."


def reasons(each: ClassReport) -> tuple[str, ...]:
    """Why the synthetic part of a class is to be trusted less; empty for a class that nothing had to be made for."""
    if not each.made and not each.short:
        return ()
    found = []
    if each.real < FEW_REAL:
        found.append(f"only {number(each.real)} real to learn from")
    if each.candidates and each.rejected / each.candidates > MANY_REJECTED:
        found.append(f"{each.rejected / each.candidates:.0%} of {number(each.candidates)} candidates rejected")
    if each.agreement is not None and each.agreement < LOW_AGREEMENT:
        found.append(f"label agreement {agreement(each)}")
    if each.short:
        found.append(f"plan not met, {number(each.short)} short of {number(each.wanted)}")
    return tuple(found)


def doubts(report: BalanceReport) -> tuple[Doubt, ...]:
    """The classes to trust least, worst first: most reasons, then lowest agreement, then fewest real samples."""

    def rank(each: ClassReport) -> tuple[int, float, int]:
        return -len(reasons(each)), 1.0 if each.agreement is None else each.agreement, each.real

    return tuple(Doubt(each.name, reasons(each)) for each in sorted(report.classes, key=rank) if reasons(each))
