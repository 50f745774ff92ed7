"""The report as a real browser shows it, offline."""

import base64
from pathlib import Path

import pytest

from detector.report.content import ReportData
from detector.report.html import render_report
from tests.report.conftest import Browser

_MARKS = """
[...document.querySelectorAll(".chart")].map(
  (chart) => chart.querySelectorAll(".js-line, .point, .parcoords .y-axis").length)
"""
_CHART_TEXT_COLOR = 'getComputedStyle(document.querySelector("#curves .xtick text")).fill'


@pytest.fixture(scope="module")
def report(full_report: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(full_report), encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_the_window_without_scrolling_sideways(
    browser: Browser, report: Path, width: int
) -> None:
    page = browser.open(report, width=width)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("document.querySelector('#curves svg').clientWidth") <= width


def test_every_chart_has_marks_and_the_console_stays_silent(browser: Browser, report: Path) -> None:
    page = browser.open(report, width=1200)
    marks = page.evaluate(_MARKS)
    assert len(marks) == 6 and all(marks)
    assert page.complaints == []


def test_nothing_but_the_file_itself_is_asked_for(browser: Browser, report: Path) -> None:
    page = browser.open(report, width=1200)
    loaded = {url for url in page.requests if not url.startswith("data:")}
    assert loaded == {report.as_uri()}


def test_charts_follow_the_color_scheme(browser: Browser, report: Path) -> None:
    light = browser.open(report, width=1200, scheme="light").evaluate(_CHART_TEXT_COLOR)
    dark = browser.open(report, width=1200, scheme="dark").evaluate(_CHART_TEXT_COLOR)
    assert light == "rgb(92, 102, 117)"
    assert dark == "rgb(154, 165, 180)"


def test_tables_fit_on_paper_and_their_names_can_be_read(browser: Browser, report: Path) -> None:
    page = browser.open(report, width=680, media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    right = "[...document.querySelectorAll('td, th')].map((c) => c.getBoundingClientRect().right)"
    assert max(page.evaluate(right)) <= 681
    names = "[...document.querySelectorAll('td.name')].map((cell) => cell.clientWidth)"
    assert min(page.evaluate(names)) >= 60


def test_charts_go_to_paper_narrow_and_light_and_come_back(browser: Browser, report: Path) -> None:
    page = browser.open(report, width=1600, scheme="dark")
    page.evaluate(
        """
      addEventListener("beforeprint", () => {
        window.printed = [document.querySelector("#curves svg").clientWidth, """
        + _CHART_TEXT_COLOR
        + """];
      })
    """
    )
    before = page.evaluate("document.querySelector('#curves svg').clientWidth")
    printed = browser.call("Page.printToPDF")
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    assert page.evaluate("window.printed") == [680, "rgb(92, 102, 117)"]
    assert page.evaluate("document.querySelector('#curves svg').clientWidth") == before
