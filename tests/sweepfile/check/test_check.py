"""Planted mistakes: each is found, in its line, and the mended file is clean."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SweepError
from detector.model.published import PPOCR_V4_MOBILE
from detector.sweepfile.check import RULES, check_sweep, configs_of, refuse_errors
from detector.sweepfile.check.finding import Finding
from detector.sweepfile.check.mending import mend
from detector.sweepfile.spec import parse_sweep, read_sweep
from detector.training.device import CUDA, present_devices

DETECTOR = """\
# A sweep that nothing is wrong with.
method: bayes
metric:
  name: val/hmean  # CLEval
  goal: maximize
run_cap: 24
early_terminate:
  type: hyperband
  min_iter: 5
parameters:
  models.optimizer.lr:
    distribution: log_uniform_values
    min: 1.0e-4
    max: 1.0e-3
  models.scheduler.eta_min: {distribution: log_uniform_values, min: 2.0e-6, max: 4.5e-5}
  models.scheduler.T_max:
    values: [20, 22]
  models.loss.negative_ratio: {values: [3.0, 5.0]}  # hard negatives
  trainer.max_epochs: {value: 20}
"""
PROGRAM = """\
program: train.py
command: ["${env}", "${interpreter}", "${program}", "${args}"]
method: random
run_cap: 10
metric: {name: loss, goal: minimize}
parameters:
  dropout: {min: 0.1, max: 0.5}
  epochs: {value: 20}
"""
WORDS = ["preset=hrnet_w44_1280"]
LR = """\
    distribution: log_uniform_values
    min: 1.0e-4
    max: 1.0e-3
"""


class Mistake(NamedTuple):
    """A file with a mistake.

    Attributes:
        old, new: what is changed in the clean file.
        line: the start of the line that the finding points to.
        mended: what the mended file holds; None where no edit can mend it.
    """

    rule: str
    level: str
    old: str
    new: str
    line: str
    mended: str | None
    file: str = DETECTOR
    agents: int | None = None


MISTAKES = [
    Mistake(
        "number_that_yaml_reads_as_text", "warning", "min: 1.0e-4", "min: 1e-4", "min: 1e-4",
        "min: 1.0e-4",
    ),
    Mistake(
        "number_that_yaml_reads_as_text", "warning", "{values: [3.0, 5.0]}",
        "{values: [3.0, 5e0]}", "models.loss", "[3.0, 5.0e+0]",
    ),
    Mistake("number_in_quotes", "error", "min: 1.0e-4", "min: '1e-4'", "min: '", "min: 1.0e-4"),
    Mistake(
        "key_that_stands_twice", "error", "run_cap: 24", "run_cap: 99\nrun_cap: 24",
        "run_cap: 99", "maximize\nrun_cap: 24\nearly",
    ),
    Mistake("unknown_key", "error", "run_cap", "run_capp", "run_capp", "run_cap: 24"),
    Mistake("unknown_key", "error", "  goal:", "  gaol:", "gaol", "  goal: maximize"),
    Mistake("unknown_key", "error", "min_iter", "min_itr", "min_itr", "min_iter: 5"),
    Mistake("unknown_key", "error", "    max: 1.0e-3", "    mx: 1.0e-3", "mx:", "max: 1.0e-3"),
    Mistake(
        "unknown_distribution", "error", "distribution: log_uniform_values\n",
        "distribution: loguniform_values\n", "distribution: log", LR,
    ),
    Mistake("goal_that_is_no_goal", "error", "goal: maximize", "goal: max", "goal", "maximize"),
    Mistake(
        "max_iter_without_s", "error", "  min_iter: 5", "  min_iter: 5\n  max_iter: 20",
        "max_iter", "  min_iter: 5\nparameters",
    ),
    Mistake(
        "max_iter_without_s", "error", "min_iter: 5", "max_iter: 20", "max_iter",
        "  max_iter: 20\n  s: 2\n",
    ),
    Mistake(
        "min_iter_that_max_iter_overrides", "warning", "  min_iter: 5",
        "  min_iter: 5\n  max_iter: 20\n  s: 2", "min_iter", "hyperband\n  max_iter: 20\n  s: 2",
    ),
    Mistake(
        "s_without_max_iter", "note", "  min_iter: 5", "  min_iter: 5\n  s: 2", "s: 2", None,
    ),
    Mistake(
        "metric_missing", "error", "metric:\n  name: val/hmean  # CLEval\n  goal: maximize\n", "",
        "method", "metric: {name: val/hmean, goal: maximize}",
    ),
    Mistake("run_cap_missing", "warning", "run_cap: 24\n", "", "method", "run_cap: 40"),
    Mistake(
        "range_reversed_or_empty", "error", "min: 2.0e-6, max: 4.5e-5", "min: 4.5e-5, max: 2.0e-6",
        "models.scheduler.eta_min", "min: 2.0e-06, max: 4.5e-05",
    ),
    Mistake(
        "range_reversed_or_empty", "error",
        "  models.scheduler.eta_min: {distribution: log_uniform_values, min: 2.0e-6, max: 4.5e-5}",
        "  models: {parameters: {scheduler: {parameters: {eta_min: {min: 0.1, max: 0.1}}}}}",
        "models: {", None,
    ),
    Mistake(
        "exponents_that_look_like_limits", "error", "log_uniform_values\n", "log_uniform\n",
        "distribution", LR,
    ),
    Mistake(
        "exponents_that_look_like_limits", "note", LR,
        "    distribution: log_uniform\n    min: -9.21\n    max: -6.9\n", "distribution", None,
    ),
    Mistake("value_repeated", "error", "[20, 22]", "[20, 22, 20]", "values", "[20, 22]"),
    Mistake(
        "value_repeated", "error", "values: [20, 22]",
        "values:\n      - 20\n      - 22  # longer\n      - 20", "- 20\n  models.loss",
        "      - 20\n      - 22  # longer\n  models.loss",
    ),
    Mistake(
        "single_value_as_a_choice", "warning", "{values: [3.0, 5.0]}", "{values: [3.0]}",
        "models.loss", "models.loss.negative_ratio: {value: 3.0}  # hard",
    ),
    Mistake(
        "nothing_varies", "error", DETECTOR[DETECTOR.index("  models.optimizer") :],
        "  trainer.max_epochs: {value: 20}\n", "parameters", None,
    ),
    Mistake(
        "quantised_to_little", "error", "log_uniform_values\n", "q_log_uniform_values\n",
        "models.optimizer.lr", LR,
    ),
    Mistake(
        "quantised_to_little", "warning", LR,
        "    distribution: q_log_uniform_values\n    min: 1.0e-4\n    max: 1.0e-3\n    q: 0.0005\n",
        "models.optimizer.lr", LR + "  models.sched",
    ),
    Mistake(
        "orders_of_magnitude_drawn_linearly", "warning", LR, "    min: 5.0e-5\n    max: 1.0e-2\n",
        "models.optimizer.lr", "    max: 1.0e-2\n    distribution: log_uniform_values\n",
    ),
    Mistake(
        "whole_numbers_for_a_real_range", "warning", "{values: [3.0, 5.0]}", "{min: 2, max: 5}",
        "models.loss", "{min: 2.0, max: 5.0}",
    ),
    Mistake(
        "whole_numbers_for_a_real_range", "warning", "{min: 0.1, max: 0.5}", "{min: 0, max: 1}",
        "dropout", "{min: 0.0, max: 1.0}", PROGRAM,
    ),
    Mistake(
        "falsy_value_behind_others", "warning",
        "models.loss.negative_ratio: {values: [3.0, 5.0]}",
        "models.decoder.adaptive_scale_fusion: {values: [true, false]}",
        "models.decoder", "{values: [false, true]}",
    ),
    Mistake(
        "eta_min_above_lr", "warning", "max: 4.5e-5", "max: 2.0e-4", "models.scheduler.eta_min",
        "min: 2.0e-6, max: 0.0001",
    ),
    Mistake(
        "eta_min_above_lr", "error", "min: 2.0e-6, max: 4.5e-5", "min: 2.0e-3, max: 2.0e-2",
        "models.scheduler.eta_min", None,
    ),
    Mistake(
        "grid_beyond_run_cap", "warning",
        "method: random\nrun_cap: 10", "method: grid\nrun_cap: 3", "run_cap: 3", None,
        PROGRAM.replace("{min: 0.1, max: 0.5}", "{values: [1, 2, 3, 4]}"),
    ),
    Mistake("more_agents_than_trials", "warning", "24", "4", "run_cap", None, agents=8),
    Mistake("more_agents_than_trials", "note", "24", "12", "run_cap", None, agents=8),
    Mistake(
        "unknown_configuration_key", "error", "models.optimizer.lr", "models.optimiser.lr",
        "models.optimiser", "  models.optimizer.lr:\n",
    ),
    Mistake(
        "unknown_configuration_key", "error", "models.loss.negative_ratio: {values: [3.0, 5.0]}",
        "models: {parameters: {loss: {parameters: {negativ_ratio: {values: [3.0, 5.0]}}}}}",
        "models: {", "{parameters: {negative_ratio:",
    ),
    Mistake(
        "key_settled_before_the_sweep", "error", "  trainer.max",
        "  folds.count: {values: [3, 5]}\n  trainer.max", "folds.count",
        "# hard negatives\n  trainer.max",
    ),
    Mistake(
        "value_that_the_configuration_refuses", "error", "[3.0, 5.0]", "[3.0, -5.0, 5.0]",
        "models.loss", "[3.0, 5.0]",
    ),
    Mistake(
        "value_that_the_configuration_refuses", "warning", "values: [20, 22]",
        "min: 20.0\n    max: 25.0", "models.scheduler.T_max", "    min: 20\n    max: 25\n",
    ),
    Mistake(
        "need_that_is_not_met", "error", "  trainer.max",
        "  models.encoder.model_name: {values: [hrnet_w44, hrnet_w444, hrnet_w48]}\n  trainer.max",
        "models.encoder", "{values: [hrnet_w44, hrnet_w48]}",
    ),
    Mistake(
        "need_that_is_not_met", "error", "  trainer.max",
        "  models.init: {value: nonsense}\n  trainer.max", "models.init", None,
    ),
    Mistake(
        "need_that_is_not_met", "warning", "  trainer.max",
        "  models.init: {value: elsewhere/best.ckpt}\n  trainer.max", "models.init", None,
    ),
    Mistake(
        "incumbent_outside_its_range", "warning", "max: 1.0e-3", "max: 2.0e-4",
        "models.optimizer.lr", "    min: 1.0e-4\n    max: 0.0009\n",
    ),
    Mistake(
        "incumbent_outside_its_range", "warning", "[3.0, 5.0]", "[4.0, 5.0]",
        "models.loss", "[4.0, 5.0, 3.0]",
    ),
    Mistake(
        "t_max_is_not_the_epochs", "warning", "[20, 22]", "[15, 18, 20, 25]",
        "models.scheduler.T_max", "values: [20, 25]",
    ),
    Mistake(
        "t_max_is_not_the_epochs", "warning", "[20, 22]", "[20, 60]", "models.scheduler.T_max",
        None,
    ),
    Mistake("t_max_is_not_the_epochs", "note", "22", "25", "models.scheduler.T_max", None),
    Mistake(
        "bands_that_cannot_act", "warning", "min_iter: 5", "min_iter: 20", "min", "min_iter: 2",
    ),
    Mistake(
        "bands_that_cannot_act", "error", "min_iter: 5", "max_iter: 2\n  s: 1", "early_terminate",
        None,
    ),
    Mistake("stopping_rule", "note", "min_iter: 5", "min_iter: 3", "early_terminate", None),
    Mistake(
        "stopping_rule", "note", "early_terminate:\n  type: hyperband\n  min_iter: 5\n", "",
        "method", None,
    ),
    Mistake(
        "stopping_rule", "note", "run_cap", "detsweep: {stopping: adaptive}\nrun_cap", "detsweep",
        None,
    ),
    Mistake(
        "unknown_key", "error", "run_cap", "detsweep: {stoping: adaptive}\nrun_cap", "detsweep",
        "detsweep: {stopping: adaptive}",
    ),
    Mistake("metric_that_is_not_logged", "error", "val/hmean", "val/hmaen", "name", "val/hmean"),
    Mistake(
        "goal_against_the_metric", "error", "\n  goal: maximize", "", "name",
        "  name: val/hmean  # CLEval\n  goal: maximize\n",
    ),
    Mistake(
        "goal_against_the_metric", "warning", "goal: minimize", "goal: maximize", "metric",
        "goal: minimize", PROGRAM,
    ),
    Mistake("unknown_macro", "error", "${args}", "${argz}", "command", "${args}", PROGRAM),
    Mistake("program_missing", "warning", "train.py", "gone.py", "program", None, PROGRAM),
    Mistake(
        "parameters_not_handed_over", "note", ', "${args}"', "", "command", None, PROGRAM
    ),
    Mistake(
        "nested_parameters_as_one_flag", "note", "  dropout: {min: 0.1, max: 0.5}",
        "  net: {parameters: {dropout: {min: 0.1, max: 0.5}}}", "net", None, PROGRAM,
    ),
    Mistake(
        "metric_not_in_the_program", "warning", "name: loss", "name: val/lozz", "metric", None,
        PROGRAM,
    ),
    Mistake(
        "imputation_without_effect", "note", "name: loss", "name: loss, impute: best", "metric",
        None, PROGRAM,
    ),
    Mistake("not_valid", "error", "method: bayes", "method: bays", "method", None),
    Mistake(
        "not_valid", "error", "  trainer.max",
        "  models: {parameters: {optimizer: {parameters: {lr: {value: 1.0e-3}}}}}\n  trainer.max",
        "models.optimizer.lr", None,
    ),
    Mistake("not_valid", "error", "method: bayes", "method: [bayes", "metric", None),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder_with_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("log({'loss': 0.1})", encoding="utf-8")


def mistaken(mistake: Mistake) -> str:
    assert mistake.old in mistake.file
    return mistake.file.replace(mistake.old, mistake.new, 1)


def check(text: str, agents: int | None = None) -> list[Finding] | list[Any]:
    return check_sweep(text, "sweep.yaml", configs_of(WORDS), agents)


def fix(text: str, agents: int | None = None) -> str:
    return mend(text, "sweep.yaml", configs_of(WORDS), agents).text


by_rule = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.rule)


@by_rule
def test_a_mistake_is_found_in_its_line(mistake: Mistake) -> None:
    text = mistaken(mistake)
    found = [f for f in check(text, mistake.agents) if f.rule == mistake.rule]
    assert mistake.level in [finding.level for finding in found]
    first = next(finding for finding in found if finding.level == mistake.level)
    from_line = "".join(text.splitlines(keepends=True)[first.line - 1 :])
    assert from_line.lstrip().startswith(mistake.line)
    assert first.problem
    assert first.cost
    assert first.fix


@by_rule
def test_a_mended_file_is_clean_and_differs_in_nothing_else(mistake: Mistake) -> None:
    if mistake.mended is None:
        return
    text = mistaken(mistake)
    mended = fix(text, mistake.agents)
    assert mistake.mended in mended
    assert {f.level for f in check(mended, mistake.agents)} <= {"note"}
    assert mended.count("#") == text.count("#"), "comments stay"
    read_sweep(mended, "sweep.yaml")


@pytest.mark.parametrize(
    ("word", "level", "said"),
    [
        ("models.init=nonsense", "error", "there is no file 'nonsense'"),
        ("models.init=ppocr_v4_mobile", "error", "is another network than the configuration's"),
        ("models.init=elsewhere/best.ckpt", "warning", "there is no file 'elsewhere/best.ckpt'"),
        ("models.encoder.model_name=resnett18", "error", "timm has no model 'resnett18'"),
        pytest.param(
            "trainer.device=cuda", "warning", "cuda is not there",
            marks=pytest.mark.skipif(CUDA in present_devices(), reason="it is there"),
        ),
    ],
)  # fmt: skip
def test_an_override_that_every_trial_would_fail_by_is_found(
    word: str, level: str, said: str
) -> None:
    found = check_sweep(DETECTOR, "sweep.yaml", configs_of([*WORDS, word]))
    finding = next(f for f in found if f.rule == "need_that_is_not_met")
    assert (finding.level, finding.line) == (level, 1)
    assert said in finding.problem
    # A sweep of a program has no networks.
    assert "need_that_is_not_met" not in {
        f.rule for f in check_sweep(PROGRAM, "sweep.yaml", configs_of([*WORDS, word]))
    }


def test_weights_go_with_a_network_that_the_file_sets() -> None:
    published = PPOCR_V4_MOBILE.settings()
    words = [*WORDS, *(f"{k}={v}" for k, v in published.items() if k.startswith("data."))]
    given = "  models.init: {value: ppocr_v4_mobile}\n" + "".join(
        f"  {key}: {{value: {value}}}\n"
        for key, value in published.items()
        if not key.startswith("data.")
    )
    text = DETECTOR.replace("  trainer.max", f"{given}  trainer.max")
    found = check_sweep(text, "sweep.yaml", configs_of(words))
    assert "need_that_is_not_met" not in {finding.rule for finding in found}


def test_every_rule_has_a_planted_mistake() -> None:
    planted = {mistake.rule for mistake in MISTAKES}
    assert planted == {rule.__name__ for rule in RULES} | {"not_valid"}


def test_every_rule_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sweep-file.md").read_text(encoding="utf-8")
    assert [rule.__name__ for rule in RULES if f"`{rule.__name__}`" not in page] == []


@pytest.mark.parametrize("text", [DETECTOR, PROGRAM], ids=["detector", "program"])
def test_a_clean_file_has_no_errors_and_no_warnings_and_is_left_alone(text: str) -> None:
    assert {finding.level for finding in check(text)} <= {"note"}
    assert fix(text) == text


REFERENCE = """\
program: detsweep
method: bayes
metric: {name: val/hmean, goal: maximize}
early_terminate: {type: hyperband, min_iter: 5}
parameters:
  models.optimizer.lr: {distribution: log_uniform_values, min: 1e-5, max: 2e-4}
  models.optimizer.weight_decay: {distribution: log_uniform_values, min: 6.1e-6, max: 1.23e-4}
  models.scheduler.T_max: {values: [15, 18, 20, 25]}
  models.scheduler.eta_min: {distribution: log_uniform_values, min: 2.2e-6, max: 4.5e-5}
"""


def test_the_faults_of_a_file_that_many_have_are_found_and_mended() -> None:
    configs = configs_of([*WORDS, "models.optimizer.lr=3e-4"])
    found = check_sweep(REFERENCE, "sweep.yaml", configs)
    assert {f.rule for f in found if f.level != "note"} == {
        "run_cap_missing",
        "number_that_yaml_reads_as_text",
        "incumbent_outside_its_range",
        "t_max_is_not_the_epochs",
        "eta_min_above_lr",
    }
    incumbent = next(f for f in found if f.rule == "incumbent_outside_its_range")
    assert "0.0003 and 0.00045" in incumbent.problem, "the preset's and the one that was given"
    mended = mend(REFERENCE, "sweep.yaml", configs).text
    assert {f.level for f in check_sweep(mended, "sweep.yaml", configs)} == {"note"}


def test_a_program_of_the_users_own_with_the_same_keys_is_checked_alike() -> None:
    text = REFERENCE.replace("program: detsweep", "program: train.py").replace("val/hmean", "loss")
    rules = {finding.rule for finding in check(text)}
    assert {"incumbent_outside_its_range", "t_max_is_not_the_epochs", "eta_min_above_lr"} <= rules


def test_the_mended_file_keeps_its_line_ends() -> None:
    text = DETECTOR.replace("run_cap: 24\n", "").replace("\n", "\r\n")
    mended = fix(text)
    assert "run_cap" in mended
    assert mended.count("\n") == mended.count("\r\n") == text.count("\r\n") + 1


def test_errors_are_refused_with_their_line() -> None:
    with pytest.raises(SweepError, match=r"f, line 4: no training logs 'loss'"):
        refuse_errors(check(DETECTOR.replace("val/hmean", "loss")), "f")
    refuse_errors(check(DETECTOR.replace("run_cap: 24\n", "")), "f")


@given(st.text(max_size=200))
def test_any_text_is_checked_and_what_has_no_error_is_valid(text: str) -> None:
    if not [f for f in check_sweep(text, "sweep.yaml") if f.level == "error"]:
        parse_sweep(text, "sweep.yaml")


numbers = st.one_of(
    st.sampled_from([0, 1, 20, 0.5, 1e-5, 2e-4, "1e-5", "x", None, True, -3]),
    st.integers(-5, 50),
    st.floats(1e-6, 100),
)
settings = st.dictionaries(
    st.sampled_from(["min", "max", "q", "value", "values", "distribution", "mx"]),
    st.one_of(
        numbers,
        st.lists(numbers, max_size=4),
        st.sampled_from(["uniform", "log_uniform", "q_log_uniform_values", "int_uniform", "unif"]),
    ),
    max_size=4,
)
files = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["bayes", "random", "grid", "bays"]),
        "parameters": st.dictionaries(
            st.sampled_from(
                ["models.optimizer.lr", "models.scheduler.T_max", "models.scheduler.eta_min", "lr"]
            ),
            settings,
            max_size=3,
        ),
    },
    optional={
        "run_cap": numbers,
        "metric": st.dictionaries(st.sampled_from(["name", "goal", "gaol"]), st.text(max_size=5)),
        "early_terminate": st.dictionaries(
            st.sampled_from(["type", "min_iter", "max_iter", "s", "eta"]), numbers
        ),
        "program": st.sampled_from(["detsweep", "train.py"]),
    },
)


@given(files, st.booleans())
def test_mending_ends_and_a_file_without_errors_is_valid(tree: Any, in_flow: bool) -> None:
    mended = mend(yaml.safe_dump(tree, default_flow_style=in_flow, sort_keys=False), "f").text
    assert mend(mended, "f").text == mended
    assert isinstance(yaml.safe_load(mended), dict)
    if not [f for f in check_sweep(mended, "f") if f.level == "error"]:
        parse_sweep(mended, "f")
