"""The configuration of a run: complete, strict, and the same after reading it back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from evenscore.commands.train import DEFAULT_MINUTES, read_config
from evenscore.configuration import TrainConfig, objective_name, parse_settings, read_config_file
from evenscore.errors import DataError, UsageError
from evenscore.objectives import CBDM, CountAlignment, Denoising, Mutual, Reweighting, WorstClass

CONFIGS = [
    TrainConfig(steps=5),
    TrainConfig(minutes=0.5, seed=2**60 + 1, lr=1e-7, dropout=0.3),
    TrainConfig(steps=1, objective=CBDM(tau=0.25, law="fine-tune", time_weight="constant", weighting="simple")),
    TrainConfig(steps=1, objective=Reweighting("inverse", 0.5), network="base", policy="sqrt", process="ou"),
    TrainConfig(steps=1, objective=Mutual(strength=2.0, strength_rule="by-count", coupling="similarity", start=0.5)),
    TrainConfig(steps=1, objective=CountAlignment(kappa=0.5, dropout_k0=2.0)),
    TrainConfig(steps=1, objective=WorstClass(step=0.1, adjustment=1.0), policy="uniform"),
]


@dataclass(frozen=True)
class Foreign(Denoising):
    """An objective from elsewhere."""

    extra: float = 2.0


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: objective_name(c.objective))
def test_a_configuration_survives_yaml(config: TrainConfig) -> None:
    text = yaml.safe_dump(config.to_mapping())
    assert TrainConfig.from_mapping(yaml.safe_load(text)) == config


def test_an_objective_from_elsewhere_is_read_where_its_module_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("elsewhere")
    module.Foreign = Foreign  # type: ignore[attr-defined]
    monkeypatch.setattr(Foreign, "__module__", "elsewhere")
    config = TrainConfig(steps=1, objective=Foreign(extra=3.0))
    assert config.to_mapping()["objective"]["name"] == "elsewhere:Foreign"
    with pytest.raises(UsageError, match="objective 'elsewhere:Foreign' is not known here: import elsewhere first"):
        TrainConfig.from_mapping(config.to_mapping())
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    assert TrainConfig.from_mapping(config.to_mapping()) == config
    with pytest.raises(UsageError, match="not known here"):
        TrainConfig.from_mapping({"objective": "pathlib:Path", "steps": 1})


def test_settings_of_the_objective_may_stand_beside_the_others() -> None:
    beside = TrainConfig.from_mapping({"steps": 1, "objective": "cbdm", "tau": "0.5"})
    inside = TrainConfig.from_mapping({"steps": 1, "objective": {"name": "cbdm", "tau": 0.5}})
    assert beside == inside == TrainConfig(steps=1, objective=CBDM(tau=0.5))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"objective": "cbmd"}, "unknown objective 'cbmd': did you mean 'cbdm'?"),
        ({"objective": {"name": "denoisng"}}, "unknown objective 'denoisng': did you mean 'denoising'?"),
        ({"objective": {"name": "cbdm", "tua": 1}}, "unknown key 'tua': did you mean 'tau'?"),
        ({"objective": 5}, "objective=5 cannot be used: give a name"),
        ({"objective": None}, "objective=None cannot be used: give a name"),
        ({"batch_sise": 5}, "unknown key 'batch_sise': did you mean 'batch_size'?"),
        ({"objective": "cbdm", "gama": 1}, "unknown key 'gama': did you mean 'gamma'?"),
        ({"objective": "cbdm", "law": "uniforn"}, "unknown law 'uniforn': did you mean 'uniform'?"),
        ({"objective": "cbdm", "time_weight": "constnt"}, "unknown time_weight 'constnt': did you mean 'constant'?"),
        ({"objective": "cbdm", "tau": -1}, "tau=-1.0 cannot be used: tau must be at least 0"),
        ({"objective": "reweighting", "scheme": "invers"}, "unknown scheme 'invers': did you mean 'inverse'?"),
        ({"objective": "reweighting", "effective_beta": 1}, "effective_beta must be from 0 to below 1"),
        ({"objective": "reweighting", "strength": 2}, "strength must be between 0 and 1"),
        ({"weighting": "min-srn"}, "unknown weighting 'min-srn': did you mean 'min-snr'?"),
        ({"snr_cap": 0}, "snr_cap must be above 0"),
        ({"network": "smal"}, "unknown network 'smal': did you mean 'small'?"),
        ({"process": "pv"}, "unknown process 'pv': did you mean 'vp'?"),
        ({"weighting": "likelihood"}, "noise must be uniform with weighting=likelihood"),
        ({"noise": "lognormel"}, "unknown noise law 'lognormel': did you mean 'lognormal'?"),
        ({"policy": "unifrom"}, "unknown policy 'unifrom': did you mean 'uniform'?"),
        ({"augmentation": "flp"}, "unknown augmentation 'flp': did you mean 'flip'?"),
        ({"precision": "float23"}, "unknown precision 'float23': did you mean 'float32'?"),
        ({"batch_size": 0}, "batch_size=0 cannot be used: batch_size must be at least 1"),
        ({"lr": 0}, "lr must be above 0"),
        ({"label_dropout": 1.5}, "label_dropout must be between 0 and 1"),
        ({"dropout": 1}, "dropout must be from 0 to below 1"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"shard": True, "players": "separate"}, "players must be shared or trunk with shard=on"),
        ({"shard": True, "compile": True}, "compile must be off with shard=on"),
        ({"steps": 0}, "steps=0 cannot be used: steps must be above 0"),
        ({"seed": "x"}, "seed='x' cannot be used: seed takes a whole number"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        TrainConfig.from_mapping({"steps": 1, **given})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({}, "neither steps nor minutes given"),
        ({"steps": 1, "minutes": 1.0}, "both steps and minutes given"),
        ({"minutes": 0.0}, "minutes must be above 0"),
    ],
)
def test_there_is_exactly_one_budget(budget: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainConfig(**budget)


def test_settings_are_parsed() -> None:
    assert parse_settings(["lr=3e-4", "label-dropout = 0.2 ", "a=b=c"]) == {
        "lr": "3e-4",
        "label_dropout": "0.2",
        "a": "b=c",
    }
    for settings, words in ((["lr"], "has no key=value form"), (["=3"], "no key=value"), (["a=1", "a=2"], "twice")):
        with pytest.raises(UsageError, match=words):
            parse_settings(settings)


def test_options_go_before_settings_and_settings_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("lr: 1e-5\nseed: 7\nbatch_size: 8\nobjective: {name: cbdm, tau: 0.5}\n", encoding="utf-8")
    config = read_config({"objective": "cbdm", "seed": 1, "steps": None}, ["lr=1e-4", "seed=3"], file)
    assert (config.lr, config.seed, config.batch_size, config.minutes) == (1e-4, 1, 8, DEFAULT_MINUTES)
    assert config.objective == CBDM(tau=0.5), "naming the same objective keeps the settings of the file"
    assert read_config({"objective": "denoising"}, [], file).objective == Denoising()
    assert read_config({}, ["objective=reweighting", "strength=0.5"], file).objective == Reweighting(strength=0.5)
    assert read_config({"steps": 3}, ["minutes=none"]).steps == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"lr: [1", "is not valid YAML"),
        (b"when: 2001-99-99", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"- lr\n- 3", "holds no keys"),
        (b"", "holds no keys"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "run.yaml").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_config_file(tmp_path / "run.yaml")


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read .*give an existing file"):
        read_config_file(tmp_path / "none.yaml")
    with pytest.raises(DataError, match="cannot be read"):
        read_config_file(tmp_path)


def test_json_is_yaml(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"lr": 1e-4, "objective": "cbdm"}', encoding="utf-8")
    assert read_config_file(tmp_path / "run.json") == {"lr": "1e-4", "objective": "cbdm"}
    assert read_config({"steps": 1}, [], tmp_path / "run.json").lr == 1e-4
