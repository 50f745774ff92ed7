from dataclasses import replace

import pytest

from detector.choosing.ranking import Choice
from detector.report.canvas import COLORS
from detector.report.content import ReportData
from detector.report.figures import MOST_CURVES, incumbents, learning_curves, timeline
from detector.report.parameters import parallel_coordinates, parameter_scores
from detector.sweep.outcome import SweepOutcome
from detector.sweep.trial import Hold, TrialRecord
from detector.sweepfile.space import Extent
from tests.report.outcomes import a_sweep


def _sweep(*values: object) -> SweepOutcome:
    trials = [
        TrialRecord(i, {"key": value}, "finished", {1: 0.5 + i / 10, 2: 0.4}, epoch=2)
        for i, value in enumerate(values)
    ]
    return a_sweep(trials, choice=Choice(trials[-1].number, [], []))


def test_curves_name_each_kind_once_and_draw_the_best_on_top(full_report: ReportData) -> None:
    figure = learning_curves(full_report.sweep)
    assert figure is not None
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(legend) == ["chosen", "finished", "running", "stopped"]
    line, end = figure.data[-2:]
    assert line.name == end.name == "chosen"
    assert line.line.color == end.marker.color == COLORS["chosen"]


def test_the_best_so_far_never_falls(full_report: ReportData) -> None:
    figure = incumbents(full_report.sweep)
    assert figure is not None
    dots, line = figure.data
    assert sorted(dots.customdata) == [0, 1, 2]
    assert list(line.y) == sorted(line.y)
    assert line.y[-1] == max(dots.y)
    lower = incumbents(replace(full_report.sweep, goal="minimize"))
    assert lower is not None
    assert list(lower.data[1].y) == sorted(lower.data[1].y, reverse=True)


def test_parallel_coordinates_join_a_trials_parameters_with_its_score(
    full_report: ReportData,
) -> None:
    figure = parallel_coordinates(full_report.sweep)
    assert figure is not None
    labels = [axis.label for axis in figure.data[0].dimensions]
    assert labels == ["lr", "model_name", "val/hmean"]
    assert len(figure.data[0].line.color) == 3
    assert parallel_coordinates(_sweep(1e-3, 1e-2)) is None


def test_the_timeline_has_a_bar_for_each_trial_that_has_begun(full_report: ReportData) -> None:
    figure = timeline(full_report.sweep)
    assert figure is not None
    begun = {number for trace in figure.data for number in trace.customdata}
    assert begun == {t.number for t in full_report.sweep.trials if t.started}
    assert {agent for trace in figure.data for agent in trace.y} == {"agent-0", "agent-1", None}
    first = next(trace for trace in figure.data if trace.customdata[0] == 0)
    assert list(first.x[:2]) == pytest.approx([0, 600 / 60])
    assert first.x[2] is None
    assert timeline(a_sweep()) is None


def test_a_trial_that_was_taken_over_stands_with_both_agents() -> None:
    holds = (Hold("lost", 100.0, 160.0), Hold("quick", 220.0, 400.0))
    trial = TrialRecord(0, {}, "finished", {1: 0.5}, "quick", 100.0, 400.0, holds=holds)
    figure = timeline(a_sweep([trial]))
    assert figure is not None
    lost, quick = figure.data
    assert (lost.y[0], lost.opacity) == ("lost", 0.5)
    assert list(lost.x[:2]) == pytest.approx([0, 1])
    assert (quick.y[0], quick.opacity) == ("quick", 1)
    assert list(quick.x[:2]) == pytest.approx([2, 5])
    assert "went on elsewhere" in lost.hovertemplate


def test_only_trials_that_ended_early_close_with_a_cross(full_report: ReportData) -> None:
    figure = learning_curves(full_report.sweep)
    assert figure is not None
    crossed = {trace.name for trace in figure.data if "x-thin" in (trace.marker.symbol or ())}
    assert crossed == {"stopped"}


def test_of_many_curves_the_best_half_and_some_of_the_others_are_drawn() -> None:
    trials = [
        TrialRecord(i, {}, "finished", {1: 0.1, 2: i / 1000}, epoch=2)
        for i in range(3 * MOST_CURVES)
    ]
    figure = learning_curves(a_sweep(trials, choice=Choice(5, [], [])))
    assert figure is not None
    drawn = {number for trace in figure.data for number in trace.customdata}
    best = {trial.number for trial in trials[-MOST_CURVES // 2 + 1 :]}
    assert len(drawn) == MOST_CURVES
    assert drawn >= best | {5}
    assert min(drawn - {5}) < MOST_CURVES // 2
    assert figure.layout.annotations[0].text.startswith("400 of 1,200 curves")


def test_bands_are_lines_at_their_epochs_as_far_as_curves_go(full_report: ReportData) -> None:
    figure = learning_curves(replace(full_report.sweep, rungs=(3, 9, 27)))
    assert figure is not None
    assert [shape.x0 for shape in figure.layout.shapes] == [3, 9]


@pytest.mark.parametrize(
    "values, axis",
    [
        ([1e-5, 1e-2], "log"),
        ([1, 30], "log"),
        ([0.1, 0.9], None),
        ([0.0, 1e-2], None),
        ([-1.0, 50.0], None),
        (["resnet18", "resnet34"], "category"),
        ([True, False], "category"),
        ([float("nan"), 1.0], "category"),
    ],
)
def test_values_choose_their_axis(values: list[object], axis: str | None) -> None:
    figure = parameter_scores("key", _sweep(*values))
    assert figure is not None
    assert figure.layout.xaxis.type == axis


@pytest.mark.parametrize(
    "extent, values, axis, ends",
    [
        # The values alone would ask for the other scale.
        (Extent("linear", 1.0, 40.0), [1.5, 38.0], None, [1.0, 40.0]),
        (Extent("log", 0.1, 0.2), [0.11, 0.12], "log", [-1.0, -0.69897]),
        # One that was tried beside the search is shown as well.
        (Extent("linear", 0.0, 1.0), [0.5, 2.0], None, [0.0, 2.0]),
    ],
)
def test_an_axis_shows_all_that_was_searched(
    extent: Extent, values: list[object], axis: str | None, ends: list[float]
) -> None:
    figure = parameter_scores("key", replace(_sweep(*values), extents={"key": extent}))
    assert figure is not None
    low, high = figure.layout.xaxis.range
    margin = 0.06 * (ends[1] - ends[0])
    assert [low + margin, high - margin] == pytest.approx(ends, abs=1e-5)
    assert figure.layout.xaxis.type == axis


def test_a_choice_among_numbers_has_its_values_at_equal_distances() -> None:
    extent = Extent("choice", values=["2", "4", "16"])
    figure = parameter_scores("key", replace(_sweep(2, 16), extents={"key": extent}))
    assert figure is not None
    assert figure.layout.xaxis.type == "category"
    assert figure.layout.xaxis.categoryarray == ("2", "4", "16")
    assert sorted(x for trace in figure.data for x in trace.x) == ["16", "2"]


def test_every_color_has_a_name_in_the_legend(full_report: ReportData) -> None:
    for chart in (learning_curves, incumbents, timeline):
        figure = chart(full_report.sweep)
        assert figure is not None
        named = [trace.name for trace in figure.data if trace.showlegend is not False]
        assert figure.layout.showlegend is not False
        assert {trace.name for trace in figure.data} == set(named)
        assert len(named) == len(set(named))


@pytest.mark.parametrize("epochs, step", [(3, 1), (100, None)])
def test_few_epochs_are_marked_one_by_one(epochs: int, step: int | None) -> None:
    trial = TrialRecord(0, {}, "finished", dict.fromkeys(range(1, epochs + 1), 0.5))
    figure = learning_curves(a_sweep([trial]))
    assert figure is not None
    assert figure.layout.xaxis.dtick == step


def test_a_trial_stands_at_its_best_epoch() -> None:
    figure = parameter_scores("key", _sweep(1, 2, 3))
    assert figure is not None
    assert sorted(y for trace in figure.data for y in trace.y) == pytest.approx([0.5, 0.6, 0.7])


def test_a_parameter_that_no_scored_trial_has_gets_no_figure() -> None:
    assert parameter_scores("another", _sweep(1, 2)) is None
