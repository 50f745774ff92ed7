import re
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SweepError
from detector.sweepfile.space import Categorical, Constant, IntUniform, LogUniform, Uniform
from detector.sweepfile.spec import MetricSpec, parse_sweep, read_sweep

WHOLE = """\
name: lr and decay
description: all that the file may hold
program: detsweep
project: receipts
entity: team
command: ["${env}", detsweep, train, "${args_no_hyphens}"]
method: bayes
metric: {name: val/hmean, goal: maximize}
run_cap: 24
early_terminate: {type: hyperband, min_iter: 5}
parameters:
  models.optimizer.lr: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-3}
  models.scheduler.T_max: {min: 10, max: 30}
  models:
    parameters:
      optimizer:
        parameters:
          weight_decay: {min: 0.0, max: 0.1}
      decoder:
        parameters:
          adaptive_scale_fusion: {values: [true, false], probabilities: [0.25, 0.75]}
  trainer.max_epochs: {value: 20}
"""


def changed(**keys: Any) -> str:
    """`WHOLE` with some keys set, or taken out by None."""
    tree = {**yaml.safe_load(WHOLE), **keys}
    return yaml.safe_dump({key: value for key, value in tree.items() if value is not None})


def error_of(text: str) -> str:
    with pytest.raises(SweepError) as caught:
        parse_sweep(text, "sweep.yaml")
    return str(caught.value)


def test_a_whole_file_is_read_with_nested_parameters_by_dotted_names() -> None:
    spec = parse_sweep(WHOLE, "sweep.yaml")
    kinds = {name: type(distribution) for name, distribution in spec.parameters.items()}
    assert kinds == {
        "models.optimizer.lr": LogUniform,
        "models.scheduler.T_max": IntUniform,
        "models.optimizer.weight_decay": Uniform,
        "models.decoder.adaptive_scale_fusion": Categorical,
        "trainer.max_epochs": Constant,
    }
    assert spec.run_cap == spec.trial_limit == 24


def test_what_the_file_leaves_out_is_as_w_and_b_has_it() -> None:
    spec = parse_sweep(
        changed(
            metric={"name": "train/loss"}, early_terminate={"type": "hyperband", "min_iter": 5}
        ),
        "sweep.yaml",
    )
    assert spec.metric.goal == "minimize"
    assert spec.early_terminate is not None
    assert spec.early_terminate.eta == 3
    assert spec.early_terminate.strict is True
    assert spec.bands()[:2] == [5, 15]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"run_capp": 3}, "did you mean 'run_cap'"),
        ({"metric": {"name": "x", "goall": "maximize"}}, "metric.goall: .*'goal'"),
        ({"early_terminate": {"type": "hyperband", "min_itr": 5}}, "min_itr.*'min_iter'"),
        ({"parameters": {"models.optimizer.lr": {"mim": 0, "max": 1}}}, "'max', 'mim'"),
        (
            {"parameters": {"models.optimizer.lr": {"distribution": "uniform", "mn": 0, "max": 1}}},
            "lr.mn: .*did you mean 'min'",
        ),
        (
            {"parameters": {"models.optimizer.lr": {"distribution": "unifrm", "min": 0, "max": 1}}},
            "did you mean 'uniform'",
        ),
        ({"parameters": {"models.optimiser.lr": {"value": 1.0}}}, "'models.optimizer.lr'"),
        ({"source": "x"}, "no key 'source'"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(keys: Any, expected: str) -> None:
    text = error_of(changed(**keys))
    assert text.startswith("sweep.yaml: ")
    assert re.search(expected, text), text


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"method": None}, "'method' is missing"),
        ({"method": "bays"}, "'bays' is not allowed"),
        ({"parameters": None}, "mapping of parameters"),
        ({"parameters": {"seed": {"values": [date(2024, 1, 31)]}}}, "is no plain value"),
        ({"parameters": {"models.optimizer.lr": 3}}, "write `{value: 3}`"),
        ({"metric": {"name": "x", "goal": "max"}}, "'max' is not allowed"),
        ({"metric": {"goal": "maximize"}}, "'name' is missing"),
        ({"metric": None}, "need a metric"),
        ({"run_cap": 0}, "greater than or equal to 1"),
        ({"early_terminate": {"type": "hyperband"}}, "min_iter, or max_iter and s"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 20}}, "max_iter needs s"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 2, "s": 1}}, "leaves no band"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 0}}, "min_iter: 0 is not allowed"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 5, "eta": 1}}, "eta: 1"),
        ({"early_terminate": {"type": "median"}}, "'median' is not allowed"),
        ({"method": "grid"}, "a grid needs values"),
        ({"scheduler": {"engine": "optuna"}}, "does not support W&B's 'scheduler'"),
        ({"scheduler": {"engine": "optuna"}, "method": "custom"}, "a search of your own"),
        ({"command": ["detsweep", "train", "preset=quickstart"]}, "would have no effect"),
        ({"command": ["python", "train.py", "${argz}"]}, "did you mean 'args'"),
        ({"command": ["python", "${program}"], "program": None}, "has no `program`"),
        ({"command": ["${env}", "${interpreter}"]}, "runs nothing"),
        ({"program": "train.py", "command": None, "metric": None}, "needs the name of the metric"),
        ({"parameters": {"a/b": {"value": 1}}}, "no name for a parameter"),
        ({"parameters": {"models": {"parameters": {}, "value": 1}}}, "beside nested"),
        ({"parameters": {"data.path": {"value": "x"}}}, "settled before the sweep begins"),
        ({"parameters": {"folds.count": {"values": [3, 5]}}}, "settled before the sweep begins"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_with_its_reason(keys: Any, expected: str) -> None:
    assert expected in error_of(changed(**keys))


def test_a_key_that_stands_twice_is_refused() -> None:
    assert "'method' stands here twice" in error_of(WHOLE + "method: random\n")


def test_a_parameter_that_stands_twice_nested_and_dotted_is_refused() -> None:
    nested = WHOLE + "  models.optimizer.weight_decay: {value: 0.1}\n"
    assert "'models.optimizer.weight_decay' stands here twice" in error_of(nested)


def test_a_number_that_yaml_1_1_takes_for_text_is_read_as_a_number() -> None:
    spec = parse_sweep(WHOLE.replace("min: 1.0e-5", "min: 1e-5"), "sweep.yaml")
    rate = spec.parameters["models.optimizer.lr"]
    assert isinstance(rate, LogUniform)
    assert rate.min == 1e-5


def test_quoted_text_stays_text() -> None:
    spec = read_sweep("method: random\nrun_cap: 1\nparameters: {a: {values: ['1e-5', x]}}", "f")
    choice = spec.parameters["a"]
    assert isinstance(choice, Categorical)
    assert choice.values == ["1e-5", "x"]


@pytest.mark.parametrize("text", ["yes", "1e3", "1e-5", "2024-01-31", "0x10", "32", ".nan", "~"])
def test_values_of_text_keys_are_text_as_they_are_written(text: str) -> None:
    head = "method: random\nrun_cap: 1\nparameters:\n"
    dotted = f"  models.encoder.model_name: {{values: [{text}, b]}}\n  models.init: {{value: null}}"
    inner = f"{{encoder: {{parameters: {{model_name: {{value: {text}}}}}}}}}"
    nested = f"  models: {{parameters: {inner}}}"
    spec = parse_sweep(head + dotted, "f")
    name, init = spec.parameters["models.encoder.model_name"], spec.parameters["models.init"]
    assert isinstance(name, Categorical)
    assert isinstance(init, Constant)
    assert (name.values, init.value) == ([text, "b"], None)
    constant = parse_sweep(head + nested, "f").parameters["models.encoder.model_name"]
    assert isinstance(constant, Constant)
    assert constant.value == text


@pytest.mark.parametrize("text", ["yes", "1e3", "2024-01-31"])
def test_names_and_words_of_a_command_are_text_as_they_are_written(text: str) -> None:
    spec = read_sweep(
        f"name: {text}\nprogram: p\ncommand: [p, {text}]\nmetric: {{name: {text}}}\n"
        "method: random\nparameters: {on: {value: yes}}",
        "f",
    )
    assert (spec.name, spec.command, spec.metric.name) == (text, ("p", text), text)
    # The value is the program's, which gets what W&B would give it.
    assert spec.parameters["on"] == Constant(value=True)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1.0e+999"])
@pytest.mark.parametrize(
    "keys",
    [
        "models.optimizer.lr: {min: %s, max: 1.0}",
        "models.optimizer.lr: {min: 0.1, max: %s}",
        "models.optimizer.lr: {distribution: log_uniform_values, min: 0.1, max: %s}",
        "models.optimizer.lr: {distribution: q_uniform, min: 0.1, max: 1.0, q: %s}",
        "models.optimizer.lr: {distribution: normal, mu: %s, sigma: 1.0}",
        "models.optimizer.lr: {distribution: beta, a: %s, b: 1.0}",
        "models.optimizer.lr: {value: %s}",
        "models.optimizer.lr: {values: [0.1, %s]}",
        "data.mean: {value: [0.1, 0.1, %s]}",
        "models.optimizer.lr: {values: [0.1, 0.2], probabilities: [0.5, %s]}",
    ],
)
def test_a_number_that_is_not_finite_is_refused(keys: str, number: str) -> None:
    name = keys.partition(":")[0]
    text = f"method: random\nrun_cap: 1\nparameters: {{{keys % number}}}"
    assert f"parameters.{name}" in error_of(text)


@pytest.mark.parametrize("number", [".nan", ".inf"])
def test_a_target_and_an_eta_that_are_not_finite_are_refused(number: str) -> None:
    metric = {"name": "val/hmean", "goal": "maximize"}
    target = changed(metric={**metric, "target": float(number.strip("."))})
    eta = changed(early_terminate={"type": "hyperband", "min_iter": 5, "eta": float(number[1:])})
    assert "metric.target" in error_of(target)
    assert "early_terminate.eta" in error_of(eta)


def test_keys_that_concern_the_server_of_w_and_b_are_read() -> None:
    keys = {
        "apiVersion": "1",
        "kind": "sweep",
        "controller": {"type": "local"},
        "job": "team/project/job:v1",
        "image_uri": "registry/image",
        "metric": {
            "name": "val/hmean",
            "goal": "maximize",
            "target": 0.99,
            "impute": "best",
            "impute_while_running": "latest",
        },
    }
    spec = parse_sweep(changed(**keys), "sweep.yaml")
    assert spec.api_version == "1"
    assert spec.controller is not None
    assert spec.controller.type == "local"


def test_a_target_is_reached_from_the_side_of_the_goal() -> None:
    falls = MetricSpec(name="loss", goal="minimize", target=0.1)
    rises = MetricSpec(name="hmean", goal="maximize", target=0.9)
    assert [falls.is_reached(value) for value in (0.2, 0.1, 0.05)] == [False, True, True]
    assert [rises.is_reached(value) for value in (0.2, 0.9, 0.95)] == [False, True, True]
    assert not MetricSpec(name="loss").is_reached(0.0)


def test_parameters_of_another_program_may_have_any_names() -> None:
    keys = {"program": "train.py", "command": None}
    spec = parse_sweep(changed(**keys, parameters={"depth": {"values": [2, 4]}}), "sweep.yaml")
    assert not spec.trains_detector


def test_the_paths_tell_nested_parameters_from_dotted_ones() -> None:
    spec = parse_sweep(WHOLE, "sweep.yaml")
    assert spec.paths["models.optimizer.lr"] == ("models.optimizer.lr",)
    assert spec.paths["models.optimizer.weight_decay"] == ("models", "optimizer", "weight_decay")


def test_a_grid_has_as_many_trials_as_points_or_its_cap_if_that_is_less() -> None:
    grid = "method: grid\nparameters: {a: {values: [1, 2]}, b: {min: 1, max: 3}}\n"
    assert read_sweep(grid, "f").trial_limit == 6
    assert read_sweep(grid + "run_cap: 4", "f").trial_limit == 4


def test_the_seed_follows_from_what_decides_the_search() -> None:
    spec = read_sweep(WHOLE, "f")
    assert read_sweep(WHOLE.replace("lr and decay", "again"), "f").seed == spec.seed
    assert read_sweep(WHOLE.replace("value: 20", "value: 21"), "f").seed != spec.seed


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_sweep_error(text: str) -> None:
    try:
        parse_sweep(text, "sweep.yaml")
    except SweepError as error:
        assert error.remedy
