"""Whom a row moves: in a game of classes its owner only, and with separate players one class trains as it does alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError
from evenscore.games.base import ClassGame, Solo, make_game
from evenscore.labels import LabelDistribution
from evenscore.networks import PLAYERS, SeparatePlayers, TrunkPlayers, build_network
from evenscore.networks.mlp import MLP, MLPSize
from evenscore.objectives import CBDM, Denoising, Mutual, Noised, Objective, Terms, noised
from evenscore.process import VP
from evenscore.random import generator
from evenscore.training import train

K = 3
LABELS = LabelDistribution((40, 20, 4))
COUPLINGS: list[Objective] = [
    Denoising(),
    CBDM(gamma=0.0, law="uniform", time_weight="constant"),
    Mutual(strength=5.0),
    Mutual(strength=5.0, coupling="uniform-enumerated", time_weight="constant", rows=1.0),
]
NAMES = ["denoising", "cbdm without commitment", "mutual, drawn", "mutual, enumerated"]


def denoiser(players: str, shape: tuple[int, ...] = (1, 8, 8)) -> Preconditioned:
    """Untrained weights moved at random, so that every gradient that can be is other than zero."""
    torch.manual_seed(0)
    network = build_network("tiny", shape, K, players=players)
    with torch.no_grad():
        for p in network.parameters():
            p += 0.05 * torch.randn_like(p)
    return Preconditioned(network, VP(), K, shape)


def batch(model: Preconditioned, y_in: list[int]) -> Noised:
    random, n = generator(1, "rows"), len(y_in)
    x0, eps = (torch.randn(n, *model.shape, generator=random) for _ in range(2))
    given = torch.tensor(y_in)
    y = torch.where(given == K, torch.zeros_like(given), given)
    return noised(model.process, x0, y, given, torch.linspace(0.3, 0.9, n), eps)


def loss_of(objective: Objective, model: Preconditioned, rows: Noised, player: int) -> Tensor:
    game = make_game("separate", objective)
    terms = game(model, rows, LABELS, generator(2, "labels"))
    return game.losses(terms, rows)[player]


def moved(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter, zero where the loss does not reach."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    grads = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, grads, strict=True)}


@pytest.mark.parametrize("objective", COUPLINGS, ids=NAMES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (6,)], ids=["image", "vector"])
def test_a_row_moves_its_own_separate_player_only(objective: Objective, shape: tuple[int, ...]) -> None:
    model = denoiser("separate", shape)
    rows = batch(model, [0, 1, 2, 1, K, 0, 1, 2, 2])
    for player in range(K + 1):
        grads = moved(model, loss_of(objective, model, rows, player))
        reached = {name.split(".")[2] for name, grad in grads.items() if bool(grad.any())}
        assert reached == {str(player)}


@pytest.mark.parametrize("objective", COUPLINGS, ids=NAMES)
def test_a_row_moves_the_trunk_and_its_own_strategy_only(objective: Objective) -> None:
    model = denoiser("trunk")
    assert isinstance(model.backbone, TrunkPlayers)
    rows = batch(model, [0, 1, 2, 1, K, 0, 1, 2, 2])
    for player in range(K + 1):
        grads = moved(model, loss_of(objective, model, rows, player))
        for part in ("inner", "outer", "offset"):
            by_label = grads[f"backbone.{part}.weight"].abs().amax(1)
            assert by_label.nonzero().flatten().tolist() == [player]
        assert bool(grads["backbone.backbone.unet.conv_out.weight"].any())
        assert bool(grads["backbone.backbone.unet.conv_in.weight"].any())


def test_a_term_that_moves_the_other_side_is_found_to_do_so() -> None:
    """The commitment term of CBDM does not stop the gradient at the other player: the test above can fail."""
    model = denoiser("separate")
    rows = batch(model, [0, 0, 0, 0, 1])
    grads = moved(model, loss_of(CBDM(gamma=0.25, law="uniform", time_weight="constant"), model, rows, 0))
    assert len({name.split(".")[2] for name, grad in grads.items() if bool(grad.any())}) > 1


def test_a_batch_is_a_simultaneous_step_with_the_old_profile() -> None:
    """Players 0 and 1 step at once as each would from the old profile; in turns, the second one steps differently."""
    objective = Mutual(strength=5.0, coupling="uniform-enumerated", time_weight="constant", rows=1.0)
    together, apart, turns = (denoiser("separate", (6,)) for _ in range(3))
    rows = batch(together, [0, 1, 0, 1, 0, 1, 0, 1])

    def step(model: Preconditioned, *players: int) -> dict[str, Tensor]:
        grads = moved(model, torch.stack([loss_of(objective, model, rows, player) for player in players]).sum())
        with torch.no_grad():
            for name, p in model.named_parameters():
                p -= 0.05 * grads[name]
        return {name: p.detach().clone() for name, p in model.named_parameters()}

    after = step(together, 0, 1)
    old = {player: moved(apart, loss_of(objective, apart, rows, player)) for player in (0, 1)}
    for name, p in apart.named_parameters():
        torch.testing.assert_close(after[name], p - 0.05 * (old[0][name] + old[1][name]), rtol=1e-5, atol=1e-7)
    step(turns, 0)
    alternating = step(turns, 1)
    first, second = ("backbone.players.0.", "backbone.players.1.")
    assert max(float((after[n] - alternating[n]).abs().max()) for n in after if n.startswith(first)) < 1e-6
    assert max(float((after[n] - alternating[n]).abs().max()) for n in after if n.startswith(second)) > 1e-5


@dataclass(frozen=True)
class Alone(Objective):
    """Plain denoising of the rows of one player; no other player has a loss."""

    player: int = 0
    source: ClassVar[str] = "this test"

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        terms = Denoising()(denoiser, batch, labels, generator)
        return {name: torch.where(batch.y_in == self.player, term, 0.0) for name, term in terms.items()}


def weights_of(path: Path, player: int) -> Mapping[str, Tensor]:
    tensors = load_checkpoint(path / "checkpoints").tensors
    return {name: value for name, value in tensors.items() if f".backbone.players.{player}." in name}


def test_without_coupling_a_player_trains_as_it_does_alone_bit_for_bit(
    tmp_path: Path, digits: Dataset, quick: Callable[..., TrainConfig]
) -> None:
    """The whole loop: AdamW, averages, and gradients that are clipped hard; the null label's player too."""
    common = {"players": "separate", "clip": 0.01, "label_dropout": 0.3, "steps": 2, "lr": 0.01}
    list(train(digits, tmp_path / "game", quick(objective=Mutual(strength=0.0), **common)))
    for player in (1, 10):
        list(train(digits, tmp_path / f"{player}", quick(objective=Alone(player), **common)))
        alone, game = weights_of(tmp_path / f"{player}", player), weights_of(tmp_path / "game", player)
        assert len(alone) > 100
        assert alone.keys() == game.keys()
        assert [name for name in alone if not torch.equal(alone[name], game[name])] == []
    other = weights_of(tmp_path / "10", 1)
    assert any(not torch.equal(value, other[name]) for name, value in weights_of(tmp_path / "game", 1).items())


def test_owners_and_losses() -> None:
    model = denoiser("shared", (6,))
    rows = batch(model, [0, 2, K, 2])
    assert isinstance(make_game("shared", Denoising()), Solo)
    assert {type(make_game(players, Denoising())) for players in PLAYERS[1:]} == {ClassGame}
    with pytest.raises(UsageError, match="unknown form of players 'solo'"):
        make_game("solo", Denoising())
    terms = {"a": torch.tensor([1.0, 2.0, 3.0, 6.0]), "b": torch.tensor([0.0, 1.0, 0.0, 1.0])}
    assert make_game("shared", Denoising()).losses(terms, rows) == {0: torch.tensor(3.5)}
    assert make_game("trunk", Denoising()).losses(terms, rows) == {
        0: torch.tensor(1.0),
        2: torch.tensor(5.0),
        K: torch.tensor(3.0),
    }


def test_players_that_are_computed_at_once_are_moved_by_their_own_rows_only() -> None:
    torch.manual_seed(1)
    network = SeparatePlayers(MLP(MLPSize(16, 1), 2, 0), 4, "stacked")
    nn.init.normal_(network.players[2].outward.weight)  # type: ignore[arg-type, union-attr]
    y = torch.tensor([0, 2, 2, 3])
    out = network(torch.randn(4, 2), torch.linspace(0, 900, 4), y)
    grads = moved(network, out[1:3].square().sum())
    assert {name.split(".")[1] for name, grad in grads.items() if bool(grad.any())} == {"2"}
