"""Whether an objective keeps what training relies on: ``check_objective(MyObjective())``, for one from anywhere.

The checks run on a small network of vectors with four unequal classes, in a second or two. Each holds one law, named in
:data:`CHECKS`; the first that does not hold is told in one sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

import torch
from torch import Tensor, nn

from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.networks.mlp import MLP, MLPSize
from evenscore.objectives import ClassMoments, Composed, Denoising, Noised, Objective, Terms, noised
from evenscore.objectives.naming import objective_name, read_objective, write_objective
from evenscore.process import VP

CLASSES, ROWS, SIZE = 4, 12, 3
LABELS = LabelDistribution((50, 20, 5, 1))
WORDS = 3
"""With how many words a field is to be described, at least."""
BF16 = 0.1
"""Relative difference of the loss under bfloat16 that is taken for rounding."""
TIGHT, MERGED = 1e-9, 1e-5


class ObjectiveError(UsageError):
    """An objective that does not keep what training relies on (exit code 2)."""


@dataclass(frozen=True)
class Case:
    """An objective under examination.

    Attributes:
        objective: bound to the classes of the checks.
        given: the objective as it was given.
    """

    objective: Objective
    given: Objective

    @classmethod
    def of(cls, objective: Objective) -> Case:
        """The case of an objective."""
        means = torch.arange(CLASSES * SIZE, dtype=torch.float64).reshape(CLASSES, SIZE).sin()
        moments = ClassMoments(means, LABELS.counts, torch.eye(SIZE, dtype=torch.float64))
        return cls(objective.bind(lambda: moments), objective)

    def denoiser(self, dtype: torch.dtype = torch.float32) -> Preconditioned:
        """A small network with weights that are nowhere zero, equipped for the objective."""
        return self.equipped(plain_denoiser(), dtype)

    def equipped(self, denoiser: Preconditioned, dtype: torch.dtype = torch.float32) -> Preconditioned:
        """The denoiser with what the objective trains beside it."""
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.objective.equip(denoiser)
            _fill(denoiser)
        return denoiser.to(dtype)

    def terms(
        self, denoiser: Preconditioned, batch: Noised | None = None, objective: Objective | None = None
    ) -> dict[str, Tensor]:
        """Loss terms of a batch, with what the objective remembers at the start and the same draws in every call."""
        chosen, rows = objective or self.objective, batch or make_batch(_dtype(denoiser))
        rows = replace(rows, memory=chosen.remember(LABELS))
        return dict(chosen(denoiser, rows, LABELS, torch.Generator().manual_seed(5)))


def plain_denoiser() -> Preconditioned:
    """A small denoiser of vectors, always the same, float32."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        denoiser = Preconditioned(MLP(MLPSize(16, 2), SIZE, CLASSES), VP(), CLASSES, (SIZE,))
        _fill(denoiser)
    return denoiser


def make_batch(dtype: torch.dtype = torch.float32, dropped: str = "some", seed: int = 0) -> Noised:
    """Twelve rows of all classes at all noise levels; ``dropped`` says how many have lost their label: some or all."""
    random = torch.Generator().manual_seed(seed)
    y = torch.arange(ROWS) % CLASSES
    lost = torch.arange(ROWS) % 5 == 2 if dropped == "some" else torch.ones(ROWS, dtype=torch.bool)
    x0, eps = (torch.randn(ROWS, SIZE, generator=random, dtype=torch.float64).to(dtype) for _ in range(2))
    t = torch.linspace(0.02, 0.98, ROWS, dtype=torch.float64).to(dtype)
    return noised(VP(), x0, y, torch.where(lost, CLASSES, y), t, eps)


def check_objective(objective: Objective) -> tuple[str, ...]:
    """Examine an objective; returns the names of the laws that it keeps.

    Raises:
        ObjectiveError: a law that it does not keep; the sentence says which, and what was found.
    """
    case = Case.of(objective)
    for name, examine in CHECKS.items():
        found = examine(case)
        if found:
            raise ObjectiveError(f"objective {objective_name(objective)} does not keep the law {name!r}: {found}")
    return tuple(CHECKS)


def _documented(case: Case) -> str:
    parts = case.given.named.values() if isinstance(case.given, Composed) else (case.given,)
    for part in parts:
        if not is_dataclass(part) or not part.__dataclass_params__.frozen:
            return f"{type(part).__name__} is no frozen dataclass: decorate it with @dataclass(frozen=True)"
        if not getattr(part, "source", ""):
            return (
                f"{type(part).__name__} names no source: set source to a paper and equation, or say that it is your own"
            )
        described = (type(part).__doc__ or "").partition("Attributes:")[2]
        for field in (f for f in fields(part) if f.init):
            found = re.search(rf"^\s+{field.name}: (.+)$", described, re.MULTILINE)
            if found is None or len(found[1].split()) < WORDS:
                return f"field {field.name} is not described: say under Attributes what it is, its unit and its neutral value"
    return ""


def _survives_json(case: Case) -> str:
    read = read_objective(json.loads(json.dumps(write_objective(case.given))))
    return "" if read == case.given else f"after JSON it is {read}"


def _per_sample(case: Case) -> str:
    for dtype in (torch.float32, torch.float64):
        terms = case.terms(case.denoiser(dtype))
        if not terms:
            return "it gives no term: give at least the denoising loss"
        found = _misshapen(terms)
        if found:
            return found
        if any(term.dtype != dtype for term in terms.values()):
            return f"terms for {dtype} samples are {[term.dtype for term in terms.values()]}"
    return ""


def _misshapen(terms: Terms) -> str:
    for name, term in terms.items():
        if term.shape != (ROWS,):
            return f"term {name} has shape {tuple(term.shape)}: give one value for each of the {ROWS} rows"
        if not bool(torch.isfinite(term).all()):
            return f"term {name} is not finite: {term.detach().tolist()}"
    return ""


def _null_label(case: Case) -> str:
    return _misshapen(case.terms(case.denoiser(), make_batch(dropped="all")))


def _deterministic(case: Case) -> str:
    denoiser, batch, before = case.denoiser(), make_batch(), torch.get_rng_state()
    kept = [value.clone() for value in (batch.x0, batch.y, batch.y_in, batch.t, batch.eps, batch.x_t)]
    one = case.terms(denoiser, batch)
    now = (batch.x0, batch.y, batch.y_in, batch.t, batch.eps, batch.x_t)
    if not all(map(torch.equal, kept, now)):
        return "it changes the batch in place"
    other = case.terms(denoiser, batch)
    if one.keys() != other.keys() or not all(torch.equal(one[name], other[name]) for name in one):
        return (
            "two calls with one seed differ: draw from the generator that is passed in, and keep nothing on the object"
        )
    same = torch.equal(before, torch.get_rng_state())
    return "" if same else "it draws from the global generator: draw from the one that is passed in"


def _rows_alone(case: Case) -> str:
    if not case.objective.independent():
        return ""
    denoiser, batch, other = case.denoiser(torch.float64), make_batch(torch.float64), make_batch(torch.float64, seed=1)
    first = (torch.arange(ROWS) < 1)[:, None]
    x0, eps, x_t = (
        torch.where(first, a, b) for a, b in ((batch.x0, other.x0), (batch.eps, other.eps), (batch.x_t, other.x_t))
    )
    mixed = replace(batch, x0=x0, eps=eps, x_t=x_t)
    one, two = case.terms(denoiser, batch), case.terms(denoiser, mixed)
    for name in one:
        if not abs(float((one[name] - two[name])[0].detach())) <= TIGHT:
            return f"term {name} of a row changes with the other rows: set couples_rows = True"
    return ""


def _neutral(case: Case) -> str:
    if type(case.given) is Denoising:
        return ""
    if not isinstance(case.objective, Composed) and not case.objective.neutral:
        return "it names no neutral settings: set neutral to those at which it is plain denoising"
    objective, denoiser = neutral(case.objective), case.denoiser()
    mine = case.terms(denoiser, objective=objective)
    plain = case.terms(denoiser, objective=Denoising(getattr(objective, "weighting", "edm")))["denoising"]
    total = torch.stack(list(mine.values())).sum(0)
    return (
        "" if torch.equal(total, plain) else f"at {_words(case)} its loss is not that of plain denoising, bit for bit"
    )


def neutral(objective: Objective) -> Objective:
    """The objective at its neutral settings."""
    if isinstance(objective, Composed):
        return replace(objective, parts=tuple((name, replace(part, **part.neutral)) for name, part in objective.parts))  # type: ignore[type-var]
    changed: Objective = replace(objective, **objective.neutral)  # type: ignore[type-var]
    return changed


def _words(case: Case) -> str:
    parts = case.given.named.values() if isinstance(case.given, Composed) else (case.given,)
    return ", ".join(f"{key}={value}" for part in parts for key, value in part.neutral.items())


def _gradients(case: Case) -> str:
    denoiser = case.denoiser()
    torch.stack(list(case.terms(denoiser).values())).sum(0).mean().backward()  # type: ignore[no-untyped-call]
    for name, parameter in denoiser.named_parameters():
        if parameter.grad is None:
            if name.startswith("parts."):
                return f"no gradient reaches {name}, which it trains"
        elif not bool(torch.isfinite(parameter.grad).all()):
            return f"the gradient of {name} is not finite"
    reached = [name for name, p in denoiser.named_parameters() if p.grad is not None and bool(p.grad.any())]
    outward = [name for name in reached if "outward" in name]
    return "" if outward else "no gradient reaches the network's last layer"


def _bfloat16(case: Case) -> str:
    denoiser = case.denoiser()
    exact = torch.stack(list(case.terms(denoiser).values())).sum(0).mean()
    with torch.autocast("cpu", torch.bfloat16):
        terms = case.terms(denoiser)
    found = _misshapen(terms)
    rough = torch.stack([term.float() for term in terms.values()]).sum(0).mean()
    apart = float(((rough - exact).abs() / exact.abs().clamp_min(1e-12)).detach())
    return found or ("" if apart < BF16 else f"its loss under bfloat16 is {apart:.0%} off that in float32")


def _remembers(case: Case) -> str:
    denoiser, batch = case.denoiser(), make_batch()
    memory = dict(case.objective.remember(LABELS))
    kept = {key: value.clone() for key, value in memory.items()}
    learned = case.objective.learn(memory, replace(batch, memory=memory), case.terms(denoiser, batch), LABELS)
    if {k: v.shape for k, v in learned.items()} != {k: v.shape for k, v in kept.items()}:
        return "what it learns has other names or shapes than what it remembers at the start"
    same = memory.keys() == kept.keys() and all(torch.equal(memory[key], kept[key]) for key in kept)
    return "" if same else "it changes its memory in place"


@torch.no_grad()
def _releases(case: Case) -> str:
    plain = plain_denoiser()
    names, batch = plain.state_dict().keys(), make_batch()
    denoiser = case.denoiser()
    before = denoiser.predict(batch.x_t, batch.t, batch.y_in).x0
    case.objective.release(denoiser)
    after = denoiser.predict(batch.x_t, batch.t, batch.y_in).x0
    if denoiser.state_dict().keys() != names:
        return f"release leaves {sorted(set(denoiser.state_dict()) ^ set(names))} behind"
    apart = float((before - after).abs().max())
    return "" if apart <= MERGED else f"release changes predictions by {apart:.2g}"


def _levels(case: Case) -> str:
    levels = torch.linspace(10, -10, 41, dtype=torch.float64)
    stated = case.objective.level_weights(levels)
    for name, weight in stated.items():
        if weight.shape != levels.shape or not bool((torch.isfinite(weight) & (weight >= 0)).all()):
            return f"the level weights of {name} are not one finite number of at least 0 for each level"
    unstated = [name for name in case.terms(case.denoiser()) if name != "denoising" and name not in stated]
    return f"level_weights says nothing of term {unstated[0]}" if unstated else ""


CHECKS: Mapping[str, Callable[[Case], str]] = {
    "fields are documented": _documented,
    "JSON gives it back": _survives_json,
    "one finite value for each row": _per_sample,
    "rows without a label are handled": _null_label,
    "the same seed gives the same terms": _deterministic,
    "a row stands alone where that is claimed": _rows_alone,
    "neutral settings are plain denoising": _neutral,
    "gradients are finite and reach what is trained": _gradients,
    "bfloat16 gives the same loss": _bfloat16,
    "it remembers in fixed shapes": _remembers,
    "what it adds to a network is taken away without a trace": _releases,
    "its weight at each noise level is stated": _levels,
}
"""What every objective keeps."""


def _fill(module: nn.Module) -> None:
    """Give parameters that are zero (last layers start so) small random values, so that everything has a gradient."""
    for parameter in module.parameters():
        if not bool(parameter.detach().any()):
            nn.init.normal_(parameter, std=0.05)


def _dtype(denoiser: Preconditioned) -> torch.dtype:
    return next(denoiser.parameters()).dtype
