"""Guidance methods of sampling jobs: sets that are never divided, settings that are refused, and jobs that go on."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenscore.commands.sample import guided
from evenscore.data import Dataset
from evenscore.denoisers.conditional import label_log_probability
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import RunError, UsageError
from evenscore.guidance import SetDiversity
from evenscore.process import VP
from evenscore.run import Run
from evenscore.sampling import Sampler, generate, labels_for
from evenscore.sampling.files import SampleJob, sample_files
from evenscore.sampling.methods import Classifier, Diversity, Method, Minority, Plain, Shifted, read_method, set_numbers
from evenscore.training.classifier import fit_noisy_classifier
from evenscore.training.run_classifier import classifier_config, classifier_folder

COUNTS = (3, 0, 2, 1, 0, 0, 0, 0, 0, 4)
QUICK = Minority(per_class=4, levels=2, level=0.5, steps=2)


class Exact(nn.Module):
    """The exact classifier of noisy samples."""

    def __init__(self, oracle: GaussianMixture) -> None:
        super().__init__()
        self.oracle = oracle

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        return label_log_probability(self.oracle, x_t, t, y)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory, trained: Path, digits: Dataset) -> Path:
    """A run with a classifier; tests must not change it."""
    path = Path(shutil.copytree(trained, tmp_path_factory.mktemp("judged") / "run"))
    judge(path, digits, seed=0)
    return path


def judge(path: Path, data: Dataset, seed: int) -> None:
    run = Run.open(path)
    shutil.rmtree(classifier_folder(run), ignore_errors=True)
    settings = {"steps": 4, "batch_size": 16, "lr": 0.01, "seed": seed}
    fit_noisy_classifier(data, classifier_config(run, settings), classifier_folder(run))


@pytest.fixture
def oracle() -> GaussianMixture:
    means = torch.tensor([[1.0, -1.0], [-0.5, 0.5], [0.8, 0.8]])
    return GaussianMixture.isotropic(VP(), means, [0.3, 0.3, 0.3], [0, 1, 1])


def test_sets_are_of_one_class_and_of_the_size_at_most() -> None:
    labels = labels_for([5, 0, 2, 3])
    assert set_numbers(labels, 2).tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert set_numbers(labels, 1).tolist() == list(range(10))
    assert set_numbers(labels, 9).tolist() == [0] * 5 + [1] * 2 + [2] * 3
    assert Plain().sets(labels) is Minority().sets(labels) is None


@pytest.mark.parametrize("solver", ["dpm++2m", "euler-maruyama"])
def test_a_set_is_whole_in_every_batch_and_the_same_in_each(oracle: GaussianMixture, solver: str) -> None:
    labels, method, sampler = labels_for([7, 8]), Diversity(eta=5.0, size=3), Sampler(solver, nfe=9)
    sets, guide = method.sets(labels), method.guide(oracle, sampler, 0, "cpu")
    assert sets is not None
    wholes = {}
    for size in (64, 7, 2):
        batches = list(generate(oracle, labels, seed=1, sampler=sampler, batch_size=size, sets=sets, guide=guide))
        wholes[size] = torch.cat([b.x for b in batches])
        held = [set(sets[list(b.indices)].tolist()) for b in batches]
        assert sum(len(h) for h in held) == len(set.union(*held)), "no set is divided"
    torch.testing.assert_close(wholes[7], wholes[64], rtol=0, atol=1e-5)
    torch.testing.assert_close(wholes[2], wholes[64], rtol=0, atol=1e-5)
    plain = torch.cat([b.x for b in generate(oracle, labels, seed=1, sampler=sampler)])
    assert not torch.allclose(plain, wholes[64])
    none = Diversity(eta=0.0, size=3).guide(oracle, sampler, 0, "cpu")
    (same,) = generate(oracle, labels, seed=1, sampler=sampler, sets=sets, guide=none)
    assert torch.equal(same.x, plain)


def test_sets_that_do_not_fit_are_refused_at_the_call(oracle: GaussianMixture) -> None:
    for sets, words in (([0, 0], "2 set numbers were given for 3 labels"), ([0, 1, 0], "do not stand together")):
        with pytest.raises(UsageError, match=words):
            generate(oracle, [0, 1, 0], seed=0, sampler=Sampler(nfe=3), sets=torch.tensor(sets))


@pytest.mark.parametrize(
    "method",
    [QUICK, Minority(form="self"), Diversity(size=2), Classifier(3.0), Shifted(0.1)],
    ids=lambda m: f"{m.name}-{m!r:.20}",
)
def test_a_guided_job_goes_on_to_the_same_bytes(judged: Path, tmp_path: Path, method: Method) -> None:
    run, job = Run.open(judged), SampleJob(COUNTS, Sampler(nfe=3), 1, batch_size=4, method=method)
    list(sample_files(run, tmp_path / "whole", job))
    list(sample_files(run, tmp_path / "parts", job, stop=lambda: True))
    assert list(sample_files(run, tmp_path / "parts", job))[-1] == (10, 10)
    for file in sorted((tmp_path / "whole").rglob("*.png")):
        other = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
        assert other.read_bytes() == file.read_bytes()
    line = json.loads((tmp_path / "parts" / "metadata.jsonl").read_text().splitlines()[0])
    assert line["guidance_method"] == method.name
    assert read_method(method.name, line["guidance_settings"]) == method
    plain = SampleJob(COUNTS, Sampler(nfe=3), 1, batch_size=4)
    with pytest.raises(RunError, match="holds samples of another job"):
        list(sample_files(run, tmp_path / "parts", plain))


def test_samples_of_another_classifier_are_another_job(judged: Path, tmp_path: Path, digits: Dataset) -> None:
    path = Path(shutil.copytree(judged, tmp_path / "run"))
    job = SampleJob(COUNTS, Sampler(nfe=3), 1, batch_size=4, method=Classifier())
    list(sample_files(Run.open(path), tmp_path / "out", job, stop=lambda: True))
    judge(path, digits, seed=1)
    with pytest.raises(RunError, match="holds samples of another job"):
        list(sample_files(Run.open(path), tmp_path / "out", job))
    judge(path, digits, seed=0)
    assert list(sample_files(Run.open(path), tmp_path / "out", job))[-1] == (10, 10)


@pytest.mark.parametrize(("scale", "weight"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 1.5), (2.0, 0.0)])
def test_classifier_guidance_adds_to_the_score_that_the_scale_gives(
    oracle: GaussianMixture, scale: float, weight: float
) -> None:
    """With the exact classifier, scale s and weight w are classifier-free guidance of scale s + w."""
    labels, sampler = labels_for([6, 6]), Sampler(nfe=9, guidance=scale)
    guide = Classifier(weight).guide(oracle, sampler, 0, "cpu", Exact(oracle))
    (found,) = generate(oracle, labels, seed=3, sampler=sampler, guide=guide)
    (expected,) = generate(oracle, labels, seed=3, sampler=Sampler(nfe=9, guidance=scale + weight))
    torch.testing.assert_close(found.x, expected.x, atol=1e-4, rtol=1e-4)
    if weight == 0:
        assert torch.equal(found.x, expected.x)


def test_classifier_guidance_keeps_to_the_interval(oracle: GaussianMixture) -> None:
    labels, span = labels_for([6, 6]), (-2.0, 1.0)
    sampler = Sampler(nfe=9, guidance=1.0, interval=span)
    guide = Classifier(1.5).guide(oracle, sampler, 0, "cpu", Exact(oracle))
    (found,) = generate(oracle, labels, seed=3, sampler=sampler, guide=guide)
    (expected,) = generate(oracle, labels, seed=3, sampler=Sampler(nfe=9, guidance=2.5, interval=span))
    torch.testing.assert_close(found.x, expected.x, atol=1e-4, rtol=1e-4)
    with pytest.raises(UsageError, match="was given no classifier"):
        Classifier().guide(oracle, sampler, 0, "cpu")


def test_the_plain_method_changes_nothing(trained: Path, tmp_path: Path) -> None:
    job = SampleJob(COUNTS, Sampler(nfe=3), 1, batch_size=4)
    list(sample_files(Run.open(trained), tmp_path / "out", job))
    assert "guidance" not in (tmp_path / "out" / "metadata.jsonl").read_text()
    assert Plain().guide(GaussianMixture.isotropic(VP(), torch.ones(1, 2), [1.0], [0]), job.sampler, 0, "cpu") is None


def test_minority_guides_to_the_rare_mode_of_each_class() -> None:
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    oracle = GaussianMixture.isotropic(VP(), means, [0.2, 0.2], [0, 0], weights=[0.9, 0.1])
    labels, sampler = labels_for([150]), Sampler(nfe=12)
    shares = {}
    for name, method in (
        ("plain", Plain()),
        ("classifier", Minority(level=0.9, weight=1.0, steps=150)),
        ("self", Minority(form="self", weight=1.5)),
    ):
        guide = method.guide(oracle, sampler, 0, "cpu")
        x = torch.cat([b.x for b in generate(oracle, labels, seed=2, sampler=sampler, guide=guide)])
        shares[name] = float((x[:, 0] > 0).double().mean())
    assert shares["plain"] < 0.2
    assert shares["classifier"] > 3 * shares["plain"]
    assert shares["self"] > 1.5 * shares["plain"]


def test_settings_go_to_the_method_or_the_solver() -> None:
    assert guided("cfg", [], "dpm++2m") == (Plain(), {})
    method, rest = guided("minority", ["level=0.8", "form=classifier"], "dpm++2m")
    assert (method, rest) == (Minority(level=0.8), {})
    assert guided("diversity", ["eta=2", "size=4", "until=none"], "heun")[0] == Diversity(2.0, until=None, size=4)
    assert guided("classifier", ["weight=2", "eta=0.5"], "ddim") == (Classifier(2.0), {"eta": "0.5"})
    assert guided("cfg", ["eta=1"], "ddim") == (Plain(), {"eta": "1"})


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("minorty", [], "unknown guidance method 'minorty': did you mean 'minority'?"),
        ("minority", ["levl=0.9"], "unknown key 'levl': did you mean 'level'?"),
        ("cfg", ["level=0.9"], "unknown key 'level'"),
        ("minority", ["level=1"], "level must be a quantile from 0 to below 1"),
        ("minority", ["form=slef"], "unknown form 'slef': did you mean 'self'?"),
        ("minority", ["form=self", "level=0.9"], "level=0.9 has no meaning for form=self"),
        ("minority", ["levels=1"], "levels must be at least 2"),
        ("minority", ["per_class=3"], "per_class must be at least levels (10)"),
        ("minority", ["steps=0"], "steps must be at least 1"),
        ("minority", ["weight=-1"], "minority weight is -1"),
        ("classifier", ["weight=-1"], "weight must be a number from 0"),
        ("classifier", ["wieght=2"], "unknown key 'wieght': did you mean 'weight'?"),
        ("time-shift", ["shift=2"], "shift must be from -1 to 1, 0 for none"),
        ("diversity", ["eta=-1"], "eta must be a number from 0"),
        ("diversity", ["size=0"], "size must be at least 1"),
        ("diversity", ["size=two"], "size takes a whole number"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, settings: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        guided(name, settings, "dpm++2m")
    assert words in str(caught.value)


def test_defaults_are_filled_in() -> None:
    strengths: list[Any] = [Minority(), Minority(form="self"), Minority(weight=0.0)]
    assert [m.strength for m in strengths] == [3.5, 0.6, 0.0]
    assert math.isclose(Minority().quantile, 0.9)
    found = Diversity().guide(GaussianMixture.isotropic(VP(), torch.ones(1, 2), [1.0], [0]), Sampler(), 0, "cpu")
    assert found is not None
    base = GaussianMixture.isotropic(VP(), torch.ones(1, 2), [1.0], [0])
    assert isinstance(found(base, torch.zeros(1, dtype=torch.int64)), SetDiversity)
