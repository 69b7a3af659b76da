"""``module:Class``: any torch module that Python can import, called on samples as features.

The class is made without arguments, in evaluation mode; it gets samples (N, C, H, W) in [-1, 1] or (N, D) and returns
features (N, F), or a pair of features and class probabilities (N, P).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from evenscore.errors import DataError, UsageError
from evenscore.features.base import Features, Seen, device, digest, on_cpu


class Foreign(Features):
    """A module of the user's own as features.

    Args:
        name: ``module:Class``.

    Raises:
        UsageError: nothing of that name can be imported, or it is no torch module.
        DataError: it cannot be made without arguments.
    """

    def __init__(self, name: str) -> None:
        self.name, kind = name, _find(name)
        try:
            self.module = kind().eval().requires_grad_(False).to(device())
        except Exception as error:
            raise DataError(
                f"features {name!r} cannot be made ({type(error).__name__}: {error}): "
                "give a class that needs no arguments"
            ) from error
        self.key = digest(name, self.module)

    def check(self, shape: Sequence[int], num_classes: int) -> None:
        """Try the module on two samples of zeros."""
        try:
            with torch.inference_mode():
                found = self.see(torch.zeros(2, *shape))
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"features {self.name!r} cannot see samples of shape {tuple(shape)} ({type(error).__name__}: {error}): "
                "give a module for such samples"
            ) from error
        self.own_classes = found.probabilities is not None and found.probabilities.shape[1] == num_classes

    def see(self, x: Tensor) -> Seen:
        """Call the module on one batch."""
        answer = self.module(x.to(device()))
        features, probabilities = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        for part, what in ((features, "features"), (probabilities, "probabilities")):
            if part is not None and not (isinstance(part, Tensor) and part.ndim == 2 and len(part) == len(x)):
                form = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
                raise DataError(
                    f"features {self.name!r} returned {what} {form} for {len(x)} samples: return one row for each sample"
                )
        return on_cpu(features, probabilities)


def _find(name: str) -> type[nn.Module]:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"features {name!r} cannot be imported ({error}): give module:Class that Python can import"
        ) from None
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise UsageError(f"features {name!r} is not a torch module: give the name of a class derived from nn.Module")
    return kind
