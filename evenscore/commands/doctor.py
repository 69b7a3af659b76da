"""``evenscore doctor``."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from evenscore.commands.terminal import emit
from evenscore.training.resolve import matmul_gain

PACKAGES = ("evenscore", "torch", "diffusers", "accelerate", "numpy", "pillow", "safetensors", "scikit-learn")
FREE_GIB = 2.0


def run(as_json: bool) -> None:
    """Print what this machine has, and what stands in the way."""
    found = examine()
    if as_json:
        emit(found)
        return
    for key, value in found.items():
        if key not in ("versions", "problems"):
            print(f"{key}: {value}")
    print("versions: " + ", ".join(f"{name} {number}" for name, number in found["versions"].items()))
    for problem in found["problems"]:
        print(f"problem: {problem}")
    print("ready" if not found["problems"] else f"{len(found['problems'])} problems")


def examine() -> dict[str, Any]:
    """Facts about the machine, and problems in words."""
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "bfloat16 over float32 matrix speed": round(matmul_gain(), 1),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "free disk, GiB": round(free, 1),
        "versions": {name: version(name) for name in PACKAGES},
        "problems": _problems(free),
    }


def _problems(free: float) -> list[str]:
    found = []
    if free < FREE_GIB:
        found.append(f"only {free:.1f} GiB of disk are free here: free at least {FREE_GIB:.0f} GiB")
    if importlib.util.find_spec("torchvision") is not None:
        found.append(
            "torchvision is installed; it is not needed, and one built for another torch breaks imports: remove it"
        )
    return found
