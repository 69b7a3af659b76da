"""A restoration draws samples that agree with a measurement, from a denoiser that never heard of it.

Law: everything random comes from ``noise``, row by row, so that sample i does not depend on the batch it is drawn in; the
known coordinates of what is returned are those measured. A restoration states whether its samples follow the conditional
law of the denoiser's model, or how they miss it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.restore.measurement import Measurement
from evenscore.restore.move import Noise


class Restoration(ABC):
    """How to sample given a measurement. Subclasses are frozen dataclasses whose fields are their settings.

    Attributes:
        source: paper that defines it.
        exact: whether its law tends to the exact conditional one as steps and particles grow.
    """

    source: ClassVar[str]
    exact: ClassVar[bool]

    @property
    def width(self) -> int:
        """Samples that the denoiser sees at once for each sample that comes out."""
        return 1

    @abstractmethod
    def __call__(self, denoiser: Denoiser, measurement: Measurement, y: Tensor, times: Tensor, noise: Noise) -> Tensor:
        """Restored samples (B, *shape).

        Args:
            denoiser: gives the predictions.
            measurement: what is known of each of the B samples.
            y: (B,) labels, null where there is none.
            times: (N + 1,) falling times, float64.
            noise: maps the shape of one sample to (B, *shape) standard normal values.
        """
