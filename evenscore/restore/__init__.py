"""Restoring damaged samples: what is known of them, and how to draw the rest; one method per file.

Law: a restoration is found by its name in ``RESTORATIONS``, which is its name in the command line. ``exact`` says whether its
samples tend to the conditional law as particles and steps grow.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.restore.base import Restoration
from evenscore.restore.frame import LUMINANCE, PIXELS, Frame, channel_frame
from evenscore.restore.measurement import Measurement, colourisation, inpainting
from evenscore.restore.particles import Cloud
from evenscore.restore.repaint import RePaint
from evenscore.restore.replacement import Replacement
from evenscore.restore.smcdiff import SMCDiff
from evenscore.restore.twisted import Twisted

RESTORATIONS: Mapping[str, type[Restoration]] = {
    "replacement": Replacement,
    "repaint": RePaint,
    "smcdiff": SMCDiff,
    "twisted": Twisted,
}

__all__ = [
    "LUMINANCE",
    "PIXELS",
    "RESTORATIONS",
    "Cloud",
    "Frame",
    "Measurement",
    "RePaint",
    "Replacement",
    "Restoration",
    "SMCDiff",
    "Twisted",
    "channel_frame",
    "colourisation",
    "inpainting",
]
