"""What a training step shares among processes: the rows of its batch.

Law: the denoiser that computes has the parameters of the one that is trained, and says of a batch what it would say alone.
"""

from __future__ import annotations

from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError
from evenscore.networks.divided import Divided
from evenscore.objectives import Objective
from evenscore.ranks import Ranks


def sharing(model: Preconditioned, ranks: Ranks, divided: bool = False) -> Preconditioned:
    """``model`` with the rows of its backbone divided among the processes; itself where there is one.

    Args:
        model: what is trained.
        ranks: the processes.
        divided: whether its parameters are divided too.
    """
    if ranks.size == 1:
        return model
    backbone = Divided(model.backbone, ranks, always=divided)
    return Preconditioned(backbone, model.process, model.num_classes, model.shape, model.mean, model.std).to(
        model.mean.device
    )


def require_shareable(objective: Objective, ranks: Ranks) -> None:
    """Refuse objectives that need more of the network than what it says of rows.

    Raises:
        UsageError: several processes, and an objective with latents or a reserve.
    """
    if ranks.size > 1 and (objective.needs_latents or objective.needs_reserve):
        raise UsageError(
            f"{type(objective).__name__} looks inside the network, and {ranks.size} processes share only what it says: "
            "train with one process, or choose another objective"
        )


def require_rows(batch_size: int, ranks: Ranks) -> None:
    """Refuse batches of which a process would get no row.

    Raises:
        UsageError: fewer rows than processes.
    """
    if batch_size < ranks.size:
        raise UsageError(
            f"batch_size={batch_size} cannot be shared by {ranks.size} processes: give at least one sample for each, or start "
            "fewer"
        )
