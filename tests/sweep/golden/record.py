"""Records what W&B's engine says into `sweeps.json`, which `test_golden.py` compares with.

The engine, the package `sweeps`, needs numpy below 2 and so an environment of its own:

    python -m venv engine && engine/bin/pip install sweeps==0.3.0
    engine/bin/python tests/sweep/golden/record.py

Nothing here is drawn at random but the learning curves, whose seed is fixed.
"""

import json
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

LEARNING_RATE = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}
METRIC = {"name": "val/hmean", "goal": "maximize"}
HYPERBAND = {"type": "hyperband", "min_iter": 5}

RULES: list[dict[str, Any]] = [
    {"min_iter": 5},
    {"min_iter": 5, "eta": 2},
    {"min_iter": 3},
    {"min_iter": 1, "eta": 4},
    {"min_iter": 2, "eta": 1.5},
    {"min_iter": 5, "eta": 1.1},
    {"max_iter": 20, "s": 2},
    {"max_iter": 27, "s": 2},
    {"max_iter": 20, "s": 3, "eta": 2},
    {"max_iter": 20, "s": 9},
    {"max_iter": 81, "s": 4, "eta": 3},
    {"min_iter": 5, "max_iter": 20, "s": 2},
]

DISTRIBUTIONS: list[dict[str, Any]] = [
    {"value": 3},
    {"values": [1, 2, 3]},
    {"values": [1, 2, 3], "probabilities": [0.5, 0.2, 0.3]},
    {"min": 1, "max": 10},
    {"min": 0.0, "max": 1.0},
    {"min": 0, "max": 1.5},
    {"distribution": "uniform", "min": -1, "max": 3},
    {"distribution": "q_uniform", "min": 0, "max": 10},
    {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25},
    {"distribution": "log_uniform", "min": -9, "max": -2},
    {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
    {"distribution": "q_log_uniform", "min": 0, "max": 3, "q": 2},
    {"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 5},
    {"distribution": "inv_log_uniform", "min": 0, "max": 2},
    {"distribution": "inv_log_uniform_values", "min": 1e-5, "max": 1e-3},
    {"distribution": "normal"},
    {"distribution": "normal", "mu": 5, "sigma": 2},
    {"distribution": "q_normal", "mu": 5, "sigma": 2, "q": 0.5},
    {"distribution": "log_normal", "mu": 1, "sigma": 0.5},
    {"distribution": "q_log_normal", "mu": 1, "sigma": 0.5},
    {"distribution": "beta", "a": 2, "b": 5},
    {"distribution": "q_beta", "a": 2, "b": 2, "q": 0.1},
]

PARAMETERS: dict[str, Any] = {
    "list": {"values": ["a", "b"]},
    "falsy": {"values": [1, 0, False, None, ""]},
    "mixed": {"values": [1, "a", 2.5, True, None, [1], {"b": 2}]},
    "constant": {"value": None},
    "constant, named": {"distribution": "constant", "value": 1},
    "categorical, named": {"distribution": "categorical", "values": [1]},
    "weights": {"values": [1, 2], "probabilities": [0.25, 0.75]},
    "weights, named": {
        "distribution": "categorical_w_probabilities",
        "values": [1, 2],
        "probabilities": [0, 1],
    },
    "weights without the name": {
        "distribution": "categorical",
        "values": [1, 2],
        "probabilities": [0.25, 0.75],
    },
    "name without weights": {"distribution": "categorical_w_probabilities", "values": [1, 2]},
    "weights that add up to 1.1": {"values": [1, 2], "probabilities": [0.5, 0.6]},
    "a weight too few": {"values": [1, 2], "probabilities": [1.0]},
    "a weight below 0": {"values": [1, 2], "probabilities": [-0.5, 1.5]},
    "no values": {"values": []},
    "values repeated": {"values": [1, 1]},
    "nothing": {},
    "only min": {"min": 0},
    "ints": {"min": 0, "max": 3},
    "int and float": {"min": 0, "max": 3.5},
    "min equal to max": {"min": 1, "max": 1},
    "min above max": {"min": 2, "max": 1},
    "text": {"min": "1e-5", "max": "2e-4"},
    "values and min": {"values": [1], "min": 0},
    "value and values": {"value": 1, "values": [1]},
    "int_uniform of floats": {"distribution": "int_uniform", "min": 0.5, "max": 2.5},
    "int_uniform of whole floats": {"distribution": "int_uniform", "min": 1.0, "max": 2.0},
    "uniform of ints": {"distribution": "uniform", "min": 0, "max": 1},
    "uniform with q": {"distribution": "uniform", "min": 0, "max": 1, "q": 0.5},
    "q of 0": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0},
    "q_uniform": {"distribution": "q_uniform", "min": 0, "max": 10, "q": 2},
    "log_uniform_values": LEARNING_RATE,
    "log_uniform_values from 0": {"distribution": "log_uniform_values", "min": 0, "max": 1},
    "log_uniform": {"distribution": "log_uniform", "min": -5, "max": -1},
    "normal": {"distribution": "normal"},
    "normal with min": {"distribution": "normal", "min": 0},
    "sigma of 0": {"distribution": "normal", "sigma": 0},
    "sigma below 0": {"distribution": "normal", "sigma": -1},
    "beta": {"distribution": "beta", "a": 2, "b": 3},
    "a of 0": {"distribution": "beta", "a": 0},
    "unknown distribution": {"distribution": "triangular", "min": 0, "max": 1},
    "unknown setting": {"distribution": "uniform", "min": 0, "max": 1, "step": 1},
    "nested": {"parameters": {"b": {"values": [1, 2]}}},
    "nested twice": {"parameters": {"b": {"parameters": {"c": {"min": 0, "max": 1}}}}},
    "nested and empty": {"parameters": {}},
    "nested beside a value": {"parameters": {"b": {"value": 1}}, "value": 2},
    "nested, min above max": {"parameters": {"b": {"min": 2, "max": 1}}},
    "nested log_uniform": {
        "parameters": {"b": {"distribution": "log_uniform", "min": -5, "max": -1}}
    },
}

FILES: dict[str, Any] = {
    "whole": {
        "apiVersion": "1",
        "kind": "sweep",
        "controller": {"type": "local"},
        "description": "d",
        "program": "train.py",
        "job": "j",
        "image_uri": "i",
        "entity": "e",
        "project": "p",
        "method": "bayes",
        "command": ["python", "${program}", "${args}"],
        "name": "n",
        "run_cap": 3,
        "metric": {**METRIC, "target": 0.9, "impute": "best", "impute_while_running": "latest"},
        "early_terminate": {**HYPERBAND, "eta": 2, "strict": False},
    },
    "no method": {"method": None},
    "unknown method": {"method": "tpe"},
    "unknown kind": {"kind": "job"},
    "controller without a type": {"controller": {}},
    "unknown key": {"foo": 1},
    "run_cap of 0": {"run_cap": 0},
    "run_cap of 1.5": {"run_cap": 1.5},
    "random without a metric": {"method": "random", "metric": None},
    "metric without a name": {"metric": {"goal": "maximize"}},
    "goal max": {"metric": {"name": "x", "goal": "max"}},
    "impute none": {"metric": {"name": "x", "impute": "none"}},
    "metric with an unknown key": {"metric": {"name": "x", "direction": "up"}},
    "hyperband": {"early_terminate": HYPERBAND},
    "hyperband of another type": {"early_terminate": {"type": "median", "min_iter": 5}},
    "hyperband without bands": {"early_terminate": {"type": "hyperband"}},
    "max_iter without s": {"early_terminate": {"type": "hyperband", "max_iter": 20}},
    "max_iter with s": {"early_terminate": {"type": "hyperband", "max_iter": 20, "s": 2}},
    "min_iter of 0": {"early_terminate": {"type": "hyperband", "min_iter": 0}},
    "eta of 1": {"early_terminate": {**HYPERBAND, "eta": 1}},
    "hyperband with an unknown key": {"early_terminate": {**HYPERBAND, "foo": 1}},
    "both forms without s": {"early_terminate": {**HYPERBAND, "max_iter": 20}},
    "hyperband with random": {"method": "random", "early_terminate": HYPERBAND},
    "command as text": {"command": "python train.py"},
    "a name with a slash": {"parameters": {"a/b": {"value": 1}}},
    "a name with a dot": {"parameters": {"a.b": {"value": 1}}},
    "no parameters": {"parameters": None},
    "no parameter": {"parameters": {}},
    "custom": {"method": "custom", "scheduler": {"engine": "optuna"}},
    "scheduler beside early_terminate": {
        "method": "custom",
        "scheduler": {"engine": "optuna"},
        "early_terminate": HYPERBAND,
    },
}


def engine(module: str) -> Any:
    """A module of the engine, which the project's own environment does not have."""
    return import_module(module)


def main() -> None:
    warnings.filterwarnings("ignore")
    golden = {
        "bands": [{"rule": rule, "bands": bands(rule)} for rule in RULES],
        "stops": stops(),
        "quantiles": [{"parameter": p, "quantiles": quantiles(p)} for p in DISTRIBUTIONS],
        "verdicts": verdicts(),
    }
    # One case a line.
    text = json.dumps(golden).replace("[{", "[\n{").replace("}, {", "},\n{").replace("}]", "}\n]")
    Path(__file__).with_name("sweeps.json").write_text(text + "\n", encoding="utf-8")


def bands(rule: dict[str, Any]) -> list[int]:
    """The first eight bands."""
    hyperband_stop_runs = engine("sweeps.hyperband_stopping").hyperband_stop_runs
    states, run_of = engine("sweeps").RunState, engine("sweeps").SweepRun
    run = run_of(name="a", state=states.running, history=[{"x": 1.0}])
    hyperband_stop_runs([run], whole_rule(rule, "minimize"))
    first: list[int] = run.early_terminate_info["bands"][:8]
    return first


def whole_rule(rule: dict[str, Any], goal: str) -> dict[str, Any]:
    return {
        "method": "random",
        "metric": {"name": "x", "goal": goal},
        "early_terminate": {"type": "hyperband", **rule},
        "parameters": {"a": {"min": 0.0, "max": 1.0}},
    }


def stops() -> list[dict[str, Any]]:
    """Which of some running trials are stopped."""
    import numpy as np

    hyperband_stop_runs = engine("sweeps.hyperband_stopping").hyperband_stop_runs
    states, run_of = engine("sweeps").RunState, engine("sweeps").SweepRun
    rng = np.random.default_rng(20261125)
    recorded = []
    for number in range(60):
        rule = {**RULES[number % len(RULES)], "strict": bool(number % 2)}
        goal = ("minimize", "maximize")[number // 2 % 2]
        # To two digits, so that there are ties.
        curves = [
            [round(float(v), 2) for v in rng.normal(rng.normal(), 0.5, rng.integers(1, 40))]
            for _ in range(rng.integers(1, 12))
        ]
        runs = [
            run_of(name=str(i), state=states.running, history=[{"x": v} for v in curve])
            for i, curve in enumerate(curves)
        ]
        stopped = [int(run.name) for run in hyperband_stop_runs(runs, whole_rule(rule, goal))]
        recorded.append({"rule": rule, "goal": goal, "curves": curves, "stopped": stopped})
    return recorded


def quantiles(parameter: dict[str, Any]) -> list[Any]:
    """The values at probabilities 0.01, 0.03, … 0.99."""
    distribution_of = engine("sweeps.params").HyperParameter
    known = distribution_of("p", parameter)
    found = [known.ppf(probability / 100) for probability in range(1, 100, 2)]
    return [value.item() if hasattr(value, "item") else value for value in found]


def verdicts() -> list[dict[str, Any]]:
    """What the engine has against a file; nothing if it accepts it."""
    violations_of = engine("sweeps.config").schema_violations_from_proposed_config
    base = {
        "method": "random",
        "metric": METRIC,
        "program": "train.py",
        "parameters": {"lr": LEARNING_RATE},
    }
    files = {f"parameter: {name}": {"parameters": {"a": p}} for name, p in PARAMETERS.items()}
    recorded = []
    for name, changes in {**files, **FILES}.items():
        file = {key: v for key, v in {**base, **changes}.items() if v is not None}
        try:
            violations = violations_of(file)
        except Exception as error:
            violations = [repr(error)]
        recorded.append({"name": name, "file": file, "violations": violations})
    return recorded


if __name__ == "__main__":
    main()
