"""What `--fix` does to a sweep file is what it says that it does, and nothing else."""

import itertools
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detector.sweepfile.check import check_sweep, configs_of
from detector.sweepfile.check.mending import ABSENT, Mending, mend

HEAD = """\
method: bayes
metric: {name: val/hmean, goal: maximize}
run_cap: 30
"""
LR = "  models.optimizer.lr: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-3}\n"
EPOCHS = "  trainer.max_epochs: {value: 20}\n"


def mended(parameters: str, head: str = HEAD) -> Mending:
    text = f"{head}parameters:\n{parameters}"
    return mend(text, "sweep.yaml", configs_of(["preset=hrnet_w44_1280"]))


def announced(mending: Mending) -> list[str]:
    return [line for step in mending.steps for line in step.announced()]


def test_a_choice_that_becomes_a_constant_is_named_as_lost() -> None:
    mending = mended(f"{LR}{EPOCHS}  models.scheduler.T_max: {{values: [5, 10]}}  # short\n")
    assert "models.scheduler.T_max: {value: 20}  # short" in mending.text
    assert announced(mending) == [
        "models.scheduler.T_max: {values: [5, 10]} becomes {value: 20}",
        "the search space loses models.scheduler.T_max, which is {value: 20} now",
    ]


def test_what_a_second_round_takes_away_is_said_too() -> None:
    # Of two values one is refused. The other is then a choice of one.
    mending = mended(f"{LR}{EPOCHS}  data.batch_size: {{values: [2, -4]}}\n")
    assert "data.batch_size: {value: 2}" in mending.text
    lost = [line for step in mending.steps for line in step.lost]
    assert lost == ["the search space loses data.batch_size, which is {values: [2]} now"]
    assert [str(change) for change in mending.steps[-1].changes] == [
        "data.batch_size: {values: [2]} becomes {value: 2}"
    ]


def test_a_parameter_that_is_taken_out_is_named() -> None:
    mending = mended(f"{LR}{EPOCHS}  folds.count: {{values: [3, 5]}}\n")
    assert "folds.count" not in mending.text
    assert announced(mending) == [
        "folds.count: {values: [3, 5]} is taken out",
        "the search space loses folds.count, which is taken out",
    ]


def test_of_a_parameter_that_stands_twice_the_range_that_goes_is_named() -> None:
    twice = "  data.batch_size: {min: 2, max: 8}\n  data.batch_size: {value: 2}\n"
    mending = mended(f"{LR}{EPOCHS}{twice}")
    assert announced(mending) == [
        "keep one: --fix takes line 7 out and keeps line 8",
        "the search space loses data.batch_size, which is {value: 2} now",
    ]


def test_a_parameter_under_its_right_name_is_renamed_and_not_lost() -> None:
    mending = mended(LR.replace("optimizer.lr", "optimiser.lr") + EPOCHS)
    assert announced(mending) == ["models.optimiser.lr is renamed to models.optimizer.lr"]


def test_a_line_is_that_of_the_file_and_not_of_what_is_half_mended() -> None:
    head = HEAD.replace("run_cap: 30\n", "")
    mending = mended(f"{LR}{EPOCHS}  models.scheduler.T_max: {{values: [5, 10]}}\n", head)
    assert [step.finding.line for step in mending.steps] == [1, 6]


def test_a_warning_is_not_mended_at_the_price_of_an_error() -> None:
    # Without T_max nothing would vary.
    mending = mended("  models.scheduler.T_max: {values: [5, 10]}\n" + EPOCHS)
    assert "models.scheduler.T_max: {values: [5, 10, 20]}" in mending.text
    [(finding, harm)] = mending.refused
    assert finding.rule == "t_max_is_not_the_epochs"
    assert harm == "it would be an error: every parameter is a constant"


def test_a_value_that_stands_in_several_places_is_not_changed_in_all_of_them() -> None:
    shared = (
        "  models.optimizer.weight_decay: &small {min: 1, max: 3}\n"
        "  models.head.postprocess.unclip_ratio: *small\n"
    )
    mending = mended(f"{LR}{EPOCHS}{shared}")
    assert mending.text == mending.before
    assert {harm for _, harm in mending.refused} == {
        "the value stands in several places, and all of them would change"
    }


@pytest.mark.parametrize("form", ["{<<: *limits, max: 2.0e-3}", "{<<: [*limits]}"])
def test_keys_that_are_merged_in_are_seen(form: str) -> None:
    head = f"{HEAD}early_terminate: &limits {{min: 1.0e-4, max: 1.0e-3}}\n"
    text = f"{head}parameters:\n  models.optimizer.lr: {form}\n"
    problems = [f.problem for f in check_sweep(text, "f") if f.rule == "key_that_stands_twice"]
    assert problems == []


def test_the_diff_is_of_the_whole_change() -> None:
    mending = mended(f"{LR}{EPOCHS}", HEAD.replace("val/hmean", "val/hmaen"))
    removed_and_added = [line for line in mending.diff("f") if line[:2] in ("-m", "+m")]
    assert removed_and_added == [
        "-metric: {name: val/hmaen, goal: maximize}",
        "+metric: {name: val/hmean, goal: maximize}",
    ]


# Files as people write them, with the mistakes that rules look for, comments and keys that stand
# twice, as text: what YAML makes of them is for the test to find out.
NAMES = (
    "models.optimizer.lr", "models.optimiser.lr", "models.scheduler.T_max", "data.batch_size",
    "models.scheduler.eta_min", "models.optimizer.weight_decay", "folds.count", "dropout",
)  # fmt: skip
NUMBERS = ("0", "1", "2", "5", "20", "30", "0.5", "1.0e-5", "1e-5", "2e-4", "'3'", "-4", "null")
number = st.sampled_from(NUMBERS)
distribution = st.sampled_from(
    ["uniform", "log_uniform", "log_uniform_values", "q_uniform", "q_log_uniform", "loguniform"]
)
setting = st.one_of(
    st.builds("values: [{}]".format, st.lists(number, min_size=1, max_size=4).map(", ".join)),
    st.builds("value: {}".format, number),
    st.builds("min: {}, max: {}".format, number, number),
    st.builds("distribution: {}, min: {}, max: {}".format, distribution, number, number),
    st.builds(
        "distribution: {}, min: {}, mx: {}, q: {}".format, distribution, number, number, number
    ),
)
comment = st.sampled_from(["", "  # why", "  # 1e-5: {a}"])


def in_block(settings: str) -> str:
    """The settings of a parameter, a line each."""
    words = settings.split(", ") if "[" not in settings else [settings]
    return "".join(f"\n    {word}" for word in words)


@st.composite
def files(draw: st.DrawFn) -> str:
    lines = [f"method: {draw(st.sampled_from(['bayes', 'random', 'grid', 'bays']))}"]
    lines += draw(
        st.lists(
            st.sampled_from(
                [
                    "run_cap: 20", "run_capp: 20", "# a word", "metric: {name: val/hmean}",
                    "metric: {name: val/hmaen, goal: max}", "early_terminate: {min_iter: 30}",
                    "early_terminate: {type: hyperband, max_iter: 27}", "program: train.py",
                ]
            ),
            max_size=4,
        )
    )  # fmt: skip
    lines.append("parameters:")
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    for position, name in enumerate(names):
        settings, after = draw(setting), draw(comment)
        anchor = "&first " if position == 0 and draw(st.booleans()) else ""
        if position and "&first" in lines[-position] and draw(st.booleans()):
            lines.append(f"  {name}: *first{after}")
        elif anchor or draw(st.booleans()):
            lines.append(f"  {name}: {anchor}{{{settings}}}{after}")
        else:
            lines.append(f"  {name}:{after}{in_block(settings)}")
    return "\n".join(lines) + draw(st.sampled_from(["", "\n"]))


def facts(text: str) -> dict[tuple[str, ...], object]:
    """What a file says by plain YAML, in the form in which changes are announced."""
    tree = yaml.safe_load(text)
    parameters = tree.pop("parameters")
    found = dict(leaves(tree, ()))
    return {**found, **{("parameters", name): value for name, value in parameters.items()}}


def leaves(value: object, path: tuple[str, ...]) -> Any:
    if isinstance(value, dict) and value:
        return itertools.chain.from_iterable(leaves(v, (*path, k)) for k, v in value.items())
    return [(path, value)]


@given(files())
def test_the_mended_file_is_what_was_announced(text: str) -> None:
    mending = mend(text, "f")
    expected = facts(text)
    for change in (change for step in mending.steps for change in step.changes):
        assert repr(expected.pop(change.path, ABSENT)) == repr(change.before)
        if change.after is not ABSENT:
            expected[change.path] = change.after
    written = facts(mending.text)
    assert {path: repr(value) for path, value in written.items()} == {
        path: repr(value) for path, value in expected.items()
    }


def is_searched(value: object) -> bool:
    if not isinstance(value, dict) or "value" in value:
        return False
    return len(value.get("values", [1, 2])) > 1


@given(files())
def test_no_parameter_leaves_the_search_unannounced(text: str) -> None:
    mending = mend(text, "f")
    said = "\n".join(announced(mending))
    before, after = facts(text), facts(mending.text)
    for path, value in before.items():
        if path[0] == "parameters" and is_searched(value) and not is_searched(after.get(path)):
            one_value = isinstance(value, dict) and value.get("min") == value.get("max", ABSENT)
            assert one_value or f"loses {path[1]}" in said or f"{path[1]} is renamed" in said


@given(files())
def test_mended_twice_is_mended_once(text: str) -> None:
    once = mend(text, "f").text
    assert mend(once, "f").text == once


@given(files())
def test_comments_stay_but_with_what_they_explain(text: str) -> None:
    mending = mend(text, "f")
    kept = [line for line in mending.text.splitlines() if line.startswith("#")]
    assert kept == [line for line in text.splitlines() if line.startswith("#")]
