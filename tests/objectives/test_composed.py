"""Several objectives as one: the sum of what each adds, neutral parts, shared predictions, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch

from evenscore.configuration import TrainConfig
from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import (
    CBDM,
    CCUA,
    CapacityManipulation,
    ClassNoise,
    Composed,
    Coral,
    CountAlignment,
    Denoising,
    DiffROP,
    Mutual,
    Noised,
    Objective,
    OrientedCalibration,
    Reweighting,
    Terms,
    WorstClass,
)
from evenscore.objectives.naming import compose, objective_name, read_objective, write_objective
from tests.objectives.nets import draws, network, rows_of

LABELS = LabelDistribution((50, 20, 5, 1))
TOGETHER = "class-noise+oriented-calibration+worst-class+cbdm+coral"


def test_its_terms_are_the_denoising_loss_and_what_each_part_adds() -> None:
    whole, batch = compose(CBDM(tau=0.5), Coral()), rows_of()
    denoiser = network(whole)
    with torch.no_grad():
        found = whole(denoiser, batch, LABELS, draws())
        cbdm, coral = (part(denoiser, batch, LABELS, draws()) for _, part in whole.parts)
    assert list(found) == ["denoising", "cbdm.pull", "cbdm.commitment", "coral.contrast"]
    for name, term in (("pull", cbdm["pull"]), ("commitment", cbdm["commitment"])):
        assert torch.equal(found[f"cbdm.{name}"], term)
    assert torch.equal(found["coral.contrast"], coral["contrast"])
    assert torch.equal(found["denoising"], cbdm["denoising"])


def test_one_prediction_serves_all_parts(affine: Denoiser, batch: Noised) -> None:
    asked: list[int] = []

    class Counting(type(affine)):  # type: ignore[misc]
        def forward(self, x_t: Any, t: Any, y: Any) -> Any:
            asked.append(len(y))
            return super().forward(x_t, t, y)

    whole = compose(OrientedCalibration(), CBDM(), DiffROP(), Reweighting())
    whole(Counting(), batch, LABELS, draws())
    assert len(asked) == whole.cost().forwards == 3


def test_layers_act_in_order_and_weights_multiply_the_shared_loss(affine: Denoiser, batch: Noised) -> None:
    noise, aim, weights = ClassNoise(0.2), OrientedCalibration("full"), Reweighting("inverse")
    found = compose(weights, aim, noise)(affine, batch, LABELS, draws())
    t = noise.times(affine.process, batch, LABELS)
    moved = replace(batch, t=t, x_t=affine.process.perturb(batch.x0, t, batch.eps))
    aimed = aim.aim(affine.process, moved, LABELS, draws())
    plain = Denoising()(affine, aimed, LABELS, draws())["denoising"]
    assert torch.equal(found["denoising"], weights.class_weights(LABELS)[batch.y] * plain)
    assert not torch.equal(aimed.x0, batch.x0)


def test_parts_at_their_neutral_settings_add_nothing() -> None:
    parts = [CBDM(tau=0.0), Coral(strength=0.0), DiffROP(strength=0.0), CapacityManipulation(strength=0.0)]
    parts += [ClassNoise(0.0), OrientedCalibration("none"), Reweighting(strength=0.0)]
    whole, batch = compose(*parts), rows_of()
    denoiser = network(whole)
    terms = whole(denoiser, batch, LABELS, draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(denoiser, batch, LABELS, draws())["denoising"])


def test_a_part_that_is_denoising_keeps_its_cap(affine: Denoiser, batch: Noised) -> None:
    capped = Denoising("min-snr", snr_cap=0.5)
    whole = compose(CBDM(tau=0.0, weighting="min-snr"), capped)
    found = whole(affine, batch, LABELS, draws())["denoising"]
    assert torch.equal(found, capped(affine, batch, LABELS, draws())["denoising"])


def test_each_part_remembers_under_its_own_name(affine: Denoiser, batch: Noised) -> None:
    alone, whole = WorstClass(step=0.5), compose(CBDM(), WorstClass(step=0.5))
    memory, mine = whole.remember(LABELS), alone.remember(LABELS)
    assert list(memory) == ["worst-class.log_weights"]
    for _ in range(3):
        terms = whole(affine, replace(batch, memory=memory), LABELS, draws())
        memory = whole.learn(memory, replace(batch, memory=memory), terms, LABELS)
        own = alone(affine, replace(batch, memory=mine), LABELS, draws())
        mine = alone.learn(mine, replace(batch, memory=mine), own, LABELS)
        assert torch.equal(terms["denoising"], own["denoising"])
        assert torch.equal(memory["worst-class.log_weights"], mine["log_weights"])
    assert float(memory["worst-class.log_weights"].abs().max()) > 0


def test_labels_are_dropped_as_the_one_part_that_decides_says() -> None:
    whole = compose(Coral(), CountAlignment(dropout_k0=3.0))
    assert torch.equal(
        torch.as_tensor(whole.label_dropout(0.1, LABELS)),
        torch.as_tensor(CountAlignment(dropout_k0=3.0).label_dropout(0.1, LABELS)),
    )
    assert compose(Coral(), CBDM()).label_dropout(0.1, LABELS) == 0.1
    assert whole.needs("null")
    assert whole.needs("latents")
    assert not whole.needs("reserve")


@dataclass(frozen=True)
class Whole(Objective):
    """An objective without layers."""

    weighting: str = "edm"
    source: ClassVar[str] = "none"

    def __call__(self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: Any) -> Terms:
        return {"denoising": torch.zeros(len(batch.y))}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((CBDM(),), "objective 'cbdm' cannot be combined: give at least two different ones, such as cbdm+coral"),
        ((CBDM(), CBDM(tau=2.0)), "objective 'cbdm+cbdm' cannot be combined"),
        ((CBDM(), Whole()), "Whole cannot be combined with others: it is not made of layers (derive it from Layered)"),
        ((Reweighting(), WorstClass()), "objectives reweighting and worst-class both decide what each row counts"),
        (
            (CBDM(weighting="simple"), Coral()),
            "objective cbdm has weighting=simple and coral weighting=edm, but they share one denoising loss",
        ),
        (
            (DiffROP(time_weight="constant"), Mutual()),
            "objective mutual pulls predictions together at high noise, where diffrop parts them: give diffrop a time_weight",
        ),
    ],
)
def test_contradictions_are_refused(parts: tuple[Any, ...], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose(*parts)
    assert words in str(caught.value)


@pytest.mark.parametrize("pulling", [CCUA(gamma=0.0), Mutual(strength=0.0)])
def test_what_does_not_pull_goes_with_what_parts(pulling: Any) -> None:
    parting = DiffROP(time_weight="constant")
    assert compose(pulling, parting).named["diffrop"] == parting
    with pytest.raises(UsageError, match="pulls predictions together at high noise"):
        compose(type(pulling)(), parting)


def test_two_reserves_are_refused() -> None:
    @dataclass(frozen=True)
    class Other(CapacityManipulation):
        """Another one that reserves capacity."""

    with pytest.raises(UsageError, match="both reserve capacity: give only one of them"):
        Composed((("capacity-manipulation", CapacityManipulation()), ("other", Other())))


@pytest.mark.parametrize("name", ["cbdm+coral", TOGETHER, "capacity-manipulation+mutual", "alignment+denoising"])
def test_a_configuration_gives_it_back_through_json(name: str) -> None:
    config = TrainConfig.from_mapping({"steps": 1, "objective": name})
    plain = json.loads(json.dumps(config.to_mapping()))
    assert plain["objective"]["name"] == name == objective_name(config.objective)
    assert TrainConfig.from_mapping(plain) == config
    assert read_objective(write_objective(config.objective)) == config.objective


def test_settings_of_parts_are_set_by_their_own_name_or_with_the_name_of_the_part() -> None:
    wanted = TrainConfig(steps=1, objective=compose(CBDM(tau=0.3, weighting="simple"), Coral(0.2, weighting="simple")))
    for given in (
        {"cbdm.tau": "0.3", "coral.strength": "0.2", "weighting": "simple"},
        {"tau": 0.3, "strength": 0.2, "cbdm.weighting": "simple", "coral.weighting": "simple"},
    ):
        assert TrainConfig.from_mapping({"steps": 1, "objective": "cbdm+coral", **given}) == wanted
    nested = {"name": "cbdm+coral", "cbdm": {"tau": 9.0, "weighting": "simple"}, "coral": {"strength": 0.2}}
    over = TrainConfig.from_mapping({"steps": 1, "objective": nested, "tau": "0.3", "coral.weighting": "simple"})
    assert over == wanted, "what stands beside goes before what stands inside"
    alone = TrainConfig.from_mapping({"steps": 1, "objective": "class-noise", "class_noise.shift": "0.3"})
    assert alone.objective == ClassNoise(0.3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objective": "cbdm+cbdm"}, "objective 'cbdm+cbdm' names 'cbdm' twice: give each objective once"),
        ({"objective": "cbdm+corral"}, "unknown objective 'corral': did you mean 'coral'?"),
        ({"objective": "cbdm+"}, "unknown objective ''"),
        (
            {"objective": "cbdm+diffrop", "time_weight": "constant"},
            "key 'time_weight' is a setting of cbdm and diffrop: write cbdm.time_weight or diffrop.time_weight",
        ),
        ({"objective": "cbdm+coral", "cbdm.tua": 1}, "unknown key 'cbdm.tua': did you mean 'cbdm.tau'?"),
        ({"objective": "cbdm+coral", "mutual.strength": 1}, "unknown key 'mutual.strength'"),
        ({"objective": "cbdm+coral", "tau": 1, "cbdm.tau": 2}, "key 'cbdm.tau' is given twice: give cbdm.tau once"),
        ({"objective": {"name": "cbdm+coral", "coral": 5}}, "coral=5 cannot be used: give a mapping of the settings"),
        ({"objective": {"name": "cbdm+coral", "coral": {"tau": 5}}}, "unknown key 'coral.tau'"),
        ({"objective": "coral", "players": "separate"}, "players must be shared or trunk with objective coral"),
        (
            {"objective": "mutual+capacity-manipulation", "players": "separate"},
            "players must be shared or trunk with objective mutual+capacity-manipulation, which needs one network",
        ),
        ({"objective": "coral+ccua", "label_dropout": 0}, "label_dropout must be above 0 with objective coral+ccua"),
    ],
)
def test_what_is_misspelt_or_ambiguous_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainConfig.from_mapping({"steps": 1, **given})
    assert words in str(caught.value)


def test_configurations_of_before_there_were_parts_are_read() -> None:
    old = {"name": "cbdm", "tau": 0.5, "gamma": 0.25, "law": "from-scratch", "time_weight": "reference"}
    old |= {"weighting": "edm", "start": 0.0, "rows": 1.0}
    assert TrainConfig.from_mapping({"steps": 1, "objective": old}).objective == CBDM(tau=0.5)
