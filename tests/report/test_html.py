import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from detector.choosing.bootstrap import Interval, score
from detector.choosing.candidates import Candidate, choose_candidate
from detector.choosing.pages import PageScores
from detector.choosing.ranking import Choice, Contender, Standing, choose_trial
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.evaluation.score_row import ScoreRow
from detector.report.content import ReportData
from detector.report.figures import timeline
from detector.report.html import render_report
from detector.sweep.trial import TrialRecord
from tests.report.outcomes import a_sweep, with_sweep

HOSTILE = "</script><img src=x onerror=alert(1)>&\"'{{ 7*7 }}"


class _Structure(HTMLParser):
    """Tags, and the text that a reader sees (not scripts' and styles')."""

    def __init__(self, document: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._is_code = False
        self._heading = ""
        self._within = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_code = tag in {"script", "style"}
        if tag == "h2":
            self._heading = ""
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        if tag in {"th", "td"}:
            self.tables[self._heading][-1].append("")
        if tag in {"h2", "th", "td"}:
            self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._is_code = False
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        if not self._is_code:
            self.text += data
        if self._within == "h2":
            self._heading += data
        elif self._within:
            self.tables[self._heading][-1][-1] += data

    def table(self, heading: str) -> dict[str, dict[str, str]]:
        """The rows below a heading, by their first cell without its tag, then by the column."""
        columns, *rows = self.tables[heading]
        return {
            row[0].removesuffix(" chosen"): dict(zip(columns, row, strict=True)) for row in rows
        }

    def charts(self) -> list[str | None]:
        return [a["id"] for _, a in self.tags if (a.get("class") or "").startswith("chart")]


def test_it_stays_below_3_mb_with_six_pictures(full_report: ReportData) -> None:
    document = render_report(full_report)
    assert document.count("data:image/jpeg;base64,") == 6
    assert len(document.encode()) < 3_000_000


def _candidate(name: str, found: float, ms: float) -> tuple[Candidate, ScoreRow]:
    """A candidate on twelve pages, and its row, as they come from one measurement."""
    shares = found + 0.01 * np.sin(np.arange(12) * (1 + len(name)))
    counts = [CLEvalCounts(gt_chars=1000, det_chars=1000, tp_chars=round(1000 * s)) for s in shares]
    pages = PageScores({f"page {i}": c for i, c in enumerate(counts)}, {})
    interval = score(pages)
    row = ScoreRow(name, 12, 0.9, 0.9, interval.value, 0.9, 0.8, ms, interval.low, interval.high)
    return Candidate(name, pages, ms), replace(row, ms_low=ms - 3, ms_high=ms + 4)


def test_what_the_reason_for_a_candidate_says_stands_in_the_table(full_report: ReportData) -> None:
    made = [_candidate("fold 0", 0.95, 41.4), _candidate("mean of maps", 0.9513, 121.6)]
    chosen, reason = choose_candidate([candidate for candidate, _ in made], "balance")
    assert full_report.model is not None
    choice = replace(
        full_report.model.choice, candidates=[row for _, row in made], chosen=chosen, reason=reason
    )
    report = replace(full_report, model=replace(full_report.model, choice=choice))
    structure = _Structure(render_report(report))
    table = structure.table("Candidates on the held-out pages")
    said = re.search(
        r"The model is (.+?): it takes (\d+) ms a page, (.+?) takes (\d+); the difference of "
        r"(0\.\d{4}) between them",
        structure.text,
    )
    assert said is not None
    taken, other = table[said[1]], table[said[3]]
    assert (said[2], said[4]) == ("41", "122")
    assert taken["ms a page"] == "41 (38\N{EN DASH}45)"
    assert other["ms a page"] == "122 (119\N{EN DASH}126)"
    difference = float(other["H-Mean"]) - float(taken["H-Mean"])
    assert difference == pytest.approx(float(said[5]), abs=1.01e-4)


def test_what_the_reasons_for_a_trial_say_stands_in_the_table_of_trials() -> None:
    rng = np.random.default_rng(4)
    levels = {0: 900, 1: 955, 2: 953}
    contenders = [
        Contender(number, _noisy_pages(level, rng), seconds=600.0, off_centre=0.1 * number)
        for number, level in levels.items()
    ]
    choice = choose_trial(contenders)
    trials = [
        TrialRecord(c.trial, {"lr": 1e-3 * (1 + c.trial)}, "finished", {1: c.pages.total.hmean})
        for c in contenders
    ]
    structure = _Structure(render_report(ReportData("Receipts", a_sweep(trials, choice=choice))))
    table = structure.table("Trials")
    best = re.search(r"Trial (\d) has the best H-Mean, (0\.\d{4})", structure.text)
    follows = re.search(r"Trial (\d) follows (0\.\d{4}) behind \((.+?)\)", structure.text)
    assert best is not None
    assert follows is not None
    assert table[best[1]]["Best"] == best[2]
    behind = table[follows[1]]["Behind the best score"]
    assert behind.startswith(f"{follows[2]} ({follows[3]})")
    assert behind.endswith("within noise")
    assert not table["0"]["Behind the best score"].endswith("within noise")


def _noisy_pages(level: int, rng: np.random.Generator) -> PageScores:
    names = [f"page {number}" for number in range(12)]
    found = level + rng.integers(-9, 9, len(names))
    counts = {n: CLEvalCounts(1000, 1000, int(f)) for n, f in zip(names, found, strict=True)}
    return PageScores(counts, {name: f"group {i % 6}" for i, name in enumerate(names)})


def test_it_loads_nothing_from_anywhere(full_report: ReportData) -> None:
    document = render_report(full_report)
    for tag, attributes in _Structure(document).tags:
        for name in ("src", "href", "data", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", document)


def test_the_headline_is_the_models_score_then_the_sweeps_best(full_report: ReportData) -> None:
    text = _Structure(render_report(full_report)).text
    assert text.index("0.8954") < text.index("val/hmean of the chosen trial")
    assert "mean of maps, on 60 held-out pages" in text


def test_a_chosen_trial_that_is_not_the_highest_is_not_called_the_best(
    full_report: ReportData,
) -> None:
    assert full_report.sweep.choice
    highest = full_report.sweep.choice.standings[0]
    choice = replace(full_report.sweep.choice, trial=0)
    cheaper = with_sweep(full_report, choice=choice)
    text = _Structure(render_report(cheaper)).text
    assert "Best val/hmean" not in text
    assert "val/hmean of the chosen trial" in text
    assert f"within noise of the highest, {highest.score.value:.4f} of trial 2" in text


def test_short_runs_are_drawn_in_minutes_and_long_ones_in_hours(full_report: ReportData) -> None:
    def unit(ended: float) -> str:
        trials = [replace(t, ended=ended if t.ended else None) for t in full_report.sweep.trials]
        figure = timeline(replace(full_report.sweep, trials=trials))
        assert figure is not None
        title: str = figure.layout.xaxis.title.text
        return title

    assert (unit(700.0), unit(100.0 + 3 * 3600)) == ("minutes", "hours")


def test_it_says_how_much_time_stopping_early_saved(full_report: ReportData) -> None:
    # 10 minutes for 3 of 9 epochs.
    assert "stopping early saved about 20 min" in _Structure(render_report(full_report)).text


def test_every_choice_is_given_with_its_reasons_and_its_noise(full_report: ReportData) -> None:
    text = " ".join(_Structure(render_report(full_report)).text.split())
    assert "Why trial 2 Trial 2 has the best H-Mean. Trial 0 is within noise." in text
    assert "0.0025 (-0.0011 to 0.0061)within noise" in text
    assert "The model is mean of maps: it has the best score" in text
    assert "the choice comes to 0.8921 (0.8800 to 0.9000)" in text
    assert "Against the baselinepromoted0.0244 (0.0100 to 0.0400)" in text


def test_every_trial_has_its_line_and_only_varied_parameters_a_chart(
    full_report: ReportData,
) -> None:
    page = _Structure(render_report(full_report))
    for state in ("finished", "stopped", "failed", "running", "waiting"):
        assert state in page.text
    assert "CUDA out of memory" in page.text
    charts = ["curves", "incumbents", "parallel", "parameter-0", "parameter-1", "timeline"]
    assert page.charts() == charts
    assert "trainer.max_epochs=9" in page.text


def test_rungs_changes_and_kinds_of_text_are_tables(full_report: ReportData) -> None:
    text = " ".join(_Structure(render_report(full_report)).text.split())
    # Four trials came to epoch 3, one was stopped there; of the others the lowest had 0.7233.
    assert "Least score that went on 341" in text
    assert "models.optimizer.lr0.000450.0002" in text
    assert "below 18 px high20090.0 %19098.9 %" in text
    assert "tilted below 2°0\N{EN DASH}0\N{EN DASH}" in text


def test_what_is_not_there_yet_is_left_out(full_report: ReportData) -> None:
    early = replace(full_report, model=None, kinds={}, overlays=())
    page = _Structure(render_report(early))
    for absent in ("Folds", "Candidates", "cost most", "held-out"):
        assert absent not in page.text
    assert "Learning curves" in page.text


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [TrialRecord(0, {"models.optimizer.lr": 1e-3}, "waiting")],
        [TrialRecord(0, {}, "failed", reason="no GPU"), TrialRecord(1, {}, "running")],
    ],
)
def test_before_any_epoch_there_are_no_charts_and_no_plotly(trials: list[TrialRecord]) -> None:
    document = render_report(ReportData("Receipts", a_sweep(trials)))
    assert _Structure(document).charts() == []
    assert "No trial has finished an epoch yet." in document
    assert len(document) < 20_000


def test_a_single_trial_has_a_curve_and_nothing_to_compare_parameters_by() -> None:
    trial = TrialRecord(0, {"models.optimizer.lr": 1e-3}, "finished", {1: 0.5}, epoch=1)
    page = _Structure(render_report(ReportData("One", a_sweep([trial]))))
    assert page.charts() == ["curves"]
    assert "models.optimizer.lr=0.001" in page.text


def test_nan_is_shown_as_nothing_and_never_reaches_the_charts(full_report: ReportData) -> None:
    nan = float("nan")
    row = ScoreRow("fold 0", 4, nan, 0.5, nan, 0.5, None, nan)
    trials = [
        *full_report.sweep.trials,
        TrialRecord(9, {"models.optimizer.lr": nan}, "finished", {1: 0.5, 2: nan}, epoch=2),
    ]
    assert full_report.model
    report = replace(full_report, model=replace(full_report.model, folds=[row]))
    document = render_report(with_sweep(report, trials=trials))
    figures = document.split('id="figures">')[1].split("</script>")[0]
    assert "NaN" not in figures
    folds = document.split("Folds, each on its own pages")[1].split("</table>")[0]
    assert "nan" not in folds


def test_hostile_names_are_shown_as_text(full_report: ReportData) -> None:
    trials = [
        TrialRecord(i, {HOSTILE: HOSTILE * (i + 1)}, "failed", {1: 0.5}, reason=HOSTILE)
        for i in range(2)
    ]
    model = full_report.model
    assert model
    choice = replace(model.choice, reason=HOSTILE, thresholds=HOSTILE)
    standing = Standing(0, Interval(0.5, 0.4, 0.6), Interval(0, 0, 0))
    hostile = replace(
        with_sweep(
            full_report,
            id=HOSTILE,
            metric=HOSTILE,
            trials=trials,
            choice=Choice(0, [standing], [HOSTILE]),
        ),
        title=HOSTILE,
        model=replace(model, choice=choice, folds=[replace(model.folds[0], name=HOSTILE)]),
        overlays=[replace(full_report.overlays[0], caption=HOSTILE)],
        commands=[(HOSTILE, HOSTILE)],
        facts={HOSTILE: HOSTILE},
    )
    page = _Structure(render_report(hostile))
    assert page.text.count(HOSTILE) > 10
    harmless = [tag for tag, _ in _Structure(render_report(full_report)).tags]
    assert {tag for tag, _ in page.tags} <= set(harmless)
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_the_same_data_gives_the_same_bytes(full_report: ReportData) -> None:
    assert render_report(full_report) == render_report(full_report)
