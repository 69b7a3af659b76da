"""Our measures against independent implementations, on random and on real features, and the cost of an evaluation.

Ours against scipy (matrix root), scikit-learn (neighbours, kernel) and, where they are installed, torchmetrics and prdc,
which are never asked for: torchmetrics needs torchvision for its image measures' own networks. Real features are what the
classifier of the digits sees. Order and batch size are changed, and the largest change is told. The cost is that of
features 50,000 x 192 in 10 classes, in a process of its own, so that its memory is its own: every measure of every class,
with intervals, and the Frechet distance of the whole.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import sqrtm
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from benchmarks.runner import Outcome
from evenscore.metrics.base import METRICS
from evenscore.metrics.frechet import FeatureStatistics, frechet_distance, frechet_estimates
from evenscore.metrics.inception_score import inception_score
from evenscore.metrics.interval import Resampling
from evenscore.metrics.kernel import kernel_distance
from evenscore.metrics.measure import Grouping, Plan, Samples, measure, measure_part
from evenscore.metrics.neighbourhood import neighbourhood
from evenscore.random import generator

SUMMARY = (
    "Measures equal scipy, scikit-learn, torchmetrics and prdc to 1e-3; 50,000 x 192 by class within 60 s and 1 GiB"
)
RELATIVE, SECONDS, GIBIBYTES = 1e-3, 60.0, 1.0
K = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--samples", type=int, default=50_000, help="rows of the timed evaluation")
    parser.add_argument("--dimension", type=int, default=192, help="columns of the timed evaluation")
    parser.add_argument("--rows", type=int, default=1500, help="rows of the comparisons")


def run(args: argparse.Namespace) -> Outcome:
    """Compare every measure with every peer, then measure the cost."""
    differences: dict[str, float] = {}
    for name, (x, y, p) in {"random": random_sets(args.rows), "real": real_sets(args.rows)}.items():
        for peer, difference in compared(x, y, p).items():
            differences[f"{name}: {peer}"] = difference
        differences[f"{name}: order"], differences[f"{name}: batch size"] = order(x, y, p), batches(x, y)
    command = [sys.executable, "-c", COST, str(args.samples), str(args.dimension)]
    seconds, peak = map(float, subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split())
    values = {"relative difference": differences, "seconds": seconds, "GiB": peak}
    bound = {"relative difference": dict.fromkeys(differences, RELATIVE), "seconds": SECONDS, "GiB": GIBIBYTES}
    holds = max(differences.values()) <= RELATIVE and seconds <= SECONDS and peak <= GIBIBYTES
    return Outcome(values, bound, holds)


COST = "import sys; from benchmarks.metrics_peers import cost; print(*cost(int(sys.argv[1]), int(sys.argv[2])))"


def random_sets(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Generated and reference features (N,32), and probabilities (N,10) of the generated."""
    draws = generator(0, "metrics-peers")
    x, y = torch.randn(2, rows, 32, generator=draws, dtype=torch.float64)
    return 1.1 * x + 0.2, y, torch.softmax(2 * torch.randn(rows, 10, generator=draws, dtype=torch.float64), 1)


def real_sets(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same of digits: half of them, with noise, as generated, the others as reference."""
    from evenscore.data import digits
    from evenscore.metrics.fit import fit_classifier

    data = digits()
    images, labels = data.tensor(), torch.from_numpy(data.labels)
    classifier = fit_classifier(images, labels, data.num_classes, seed=0, steps=60).eval()
    noise = 0.1 * torch.randn(images.shape, generator=generator(0, "noise"))
    with torch.no_grad():
        x, y = classifier.features(images[::2] + noise[::2])[:rows], classifier.features(images[1::2])[:rows]
        return x.double(), y.double(), classifier.head(x).double().softmax(1)


def compared(x: Tensor, y: Tensor, p: Tensor) -> dict[str, float]:
    """Relative difference of ours to each peer."""
    ours = {
        "frechet": frechet_distance(FeatureStatistics.of(x), FeatureStatistics.of(y)),
        "kernel": kernel_distance(x, y),
        "inception-score": inception_score(p, seed=0, splits=1)[0],
        **neighbourhood(x, y, K),
    }
    found = {}
    for peer, values in (
        ("textbook", textbook(x, y, p)),
        ("torchmetrics", torchmetrics(x, y, p)),
        ("prdc", prdc(x, y)),
    ):
        for name, value in values.items():
            found[f"{name}, {peer}"] = abs(ours[name] - value) / max(abs(value), 1e-12)
    return found


def textbook(x: Tensor, y: Tensor, p: Tensor) -> dict[str, float]:
    """By scipy's matrix root, scikit-learn's kernel, distances and neighbours, and the definition of the score."""
    first, second = torch.cov(x.T), torch.cov(y.T)
    root = float(np.trace(sqrtm((first @ second).numpy())).real)
    apart, own = (x.mean(0) - y.mean(0)).square().sum(), first.trace() + second.trace()
    kernels = [polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    radius = [NearestNeighbors(n_neighbors=K).fit(s).kneighbors()[0][:, -1] for s in (x, y)]
    distance = pairwise_distances(y, x)
    inside = distance < radius[1][:, None]
    return {
        "frechet": float(apart + own) - 2 * root,
        "kernel": float(sum(within) - 2 * kernels[2].mean()),
        "inception-score": float((p * (p / p.mean(0)).log()).sum(1).mean().exp()),
        "precision": float(inside.any(0).mean()),
        "recall": float((distance < radius[0]).any(1).mean()),
        "density": float(inside.sum() / (K * len(x))),
        "coverage": float((distance.min(1) < radius[1]).mean()),
    }


def torchmetrics(x: Tensor, y: Tensor, p: Tensor) -> dict[str, float]:
    """By torchmetrics, empty where it is not installed."""
    if find_spec("torchmetrics") is None:
        return {}
    from torchmetrics.image.fid import _compute_fid
    from torchmetrics.image.inception import InceptionScore
    from torchmetrics.image.kid import poly_mmd

    score = InceptionScore(feature=torch.nn.Identity(), splits=1)
    score.update(p.log())
    return {
        "frechet": float(_compute_fid(x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T))),
        "kernel": _same_size(poly_mmd, x, y),
        "inception-score": float(score.compute()[0]),
    }


def _same_size(mmd: Any, x: Tensor, y: Tensor) -> float:
    """torchmetrics takes sets of one size, so the larger loses rows; ours on the same rows gives the ratio."""
    rows = min(len(x), len(y))
    return float(mmd(x[:rows], y[:rows])) * kernel_distance(x, y) / kernel_distance(x[:rows], y[:rows])


def prdc(x: Tensor, y: Tensor) -> dict[str, float]:
    """By prdc, empty where it is not installed."""
    if find_spec("prdc") is None:
        return {}
    import prdc as peer

    with contextlib.redirect_stdout(io.StringIO()):
        found: dict[str, float] = peer.compute_prdc(y.numpy(), x.numpy(), nearest_k=K)
    return {name: float(value) for name, value in found.items()}


def order(x: Tensor, y: Tensor, p: Tensor) -> float:
    """Largest relative change of a figure or an end of its interval when both sets are shuffled."""
    shuffled, plan = torch.randperm(len(x), generator=generator(0, "order")), Plan(replicates=20)
    labels = torch.zeros(len(x), dtype=torch.int64), torch.zeros(len(y), dtype=torch.int64)
    sides = Samples(x, labels[0], p), Samples(y, labels[1])
    moved = Samples(x[shuffled], labels[0], p[shuffled]), Samples(y.flip(0), labels[1])
    first, second = (measure(list(METRICS), *both, Grouping((1,)), plan).whole for both in (sides, moved))
    return max(
        abs(a - b) / max(abs(a), 1e-12)
        for name in METRICS
        for a, b in zip(_numbers(first[name]), _numbers(second[name]), strict=True)
    )


def _numbers(figure: Any) -> list[float]:
    return [value for value in (figure.value, figure.low, figure.high) if value is not None]


def batches(x: Tensor, y: Tensor) -> float:
    """Largest relative change of the Frechet distance with the batch size of streamed statistics."""
    reference = FeatureStatistics.of(y)
    found = [frechet_distance(FeatureStatistics.of_batches(x.split(size)), reference) for size in (1, 7, 64, len(x))]
    return (max(found) - min(found)) / found[-1]


def cost(samples: int, dimension: int, classes: int = 10) -> tuple[float, float]:
    """Seconds of an evaluation by class and of the Frechet distance of the whole, with intervals, and peak memory in GiB."""
    draws = generator(0, "cost")
    x, y = torch.randn(2, samples, dimension, generator=draws).unbind()
    x += 0.1
    started = time.perf_counter()
    asked = [metric for metric in METRICS.values() if metric.needs == "features"]
    for k in range(classes):
        measure_part(asked, *(Samples(side[k::classes].double(), None) for side in (x, y)), Plan(), 1)
        print(f"class {k}: {time.perf_counter() - started:.1f} s, {_peak():.2f} GiB", file=sys.stderr, flush=True)
    frechet_estimates(x, y, Resampling())
    return time.perf_counter() - started, _peak()


def _peak() -> float:
    """The most memory that this process has held, GiB; what it was started from does not count where the system tells."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
