"""The page of mistakes as a real browser shows it, by its keys."""

from pathlib import Path

import numpy as np
import pytest

from detector.data.page import Page, TextBox
from detector.evaluation.mistakes import PageMistakes, find_mistakes
from detector.report.mistakes import render_mistakes
from tests.report.conftest import Browser

ODD = 'images/</script><b>한글 & "b".png'
_NAMES = "[...document.querySelectorAll('#pages button')].map((b) => b.firstChild.textContent)"
_CURRENT = "document.querySelector('#name').textContent"
_DRAWN = """
Object.fromEntries(["truth", "found", "missed", "split", "merged", "false"].map(
  (kind) => [kind, document.querySelectorAll(`polygon.${kind}`).length]))
"""


def word(left: int, top: int) -> np.ndarray:
    return np.array([[left, top], [left + 80, top], [left + 80, top + 20], [left, top + 20]], float)


def looked_at(name: str, truth: list[np.ndarray], found: list[np.ndarray]) -> PageMistakes:
    boxes = tuple(TextBox(points, "word") for points in truth)
    return PageMistakes(Page(name, Path(name), boxes), found, find_mistakes(boxes, found))


PAGES = [
    looked_at(ODD, [word(10, 10), word(10, 50)], [word(10, 10)]),
    looked_at("b.png", [word(10, 10)], [word(10, 10), word(10, 80), word(110, 80)]),
    looked_at("c.png", [word(10, 10)], [word(10, 10), word(10, 80)]),
    looked_at("d.png", [word(10, 10)], [word(10, 10)]),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mistakes") / "errors.html"
    blank = np.full((120, 200, 3), 255, np.uint8)
    path.write_text(render_mistakes(PAGES, 2, "m.onnx", lambda _: blank), encoding="utf-8")
    return path


def press(browser: Browser, key: str) -> None:
    browser.evaluate(f"document.dispatchEvent(new KeyboardEvent('keydown', {{key: {key!r}}}))")


def test_keys_go_from_page_to_page_and_stop_at_the_ends(browser: Browser, file: Path) -> None:
    page = browser.open(file, width=1200)
    assert page.evaluate(_NAMES) == [ODD, "b.png"]
    seen = [page.evaluate(_CURRENT)]
    for key in "nnpp":
        press(browser, key)
        seen.append(page.evaluate(_CURRENT))
    assert seen == [ODD, "b.png", "b.png", ODD, ODD]
    assert page.evaluate("document.querySelectorAll('b').length") == 0
    assert page.complaints == []


def test_a_kind_of_mistake_has_its_own_pages_the_worst_first(browser: Browser, file: Path) -> None:
    page = browser.open(file, width=1200)
    press(browser, "f")
    assert page.evaluate(_NAMES) == ["b.png", "c.png"]
    drawn = {"truth": 1, "found": 3, "missed": 0, "split": 0, "merged": 0, "false": 2}
    assert page.evaluate(_DRAWN) == drawn
    pressed = "document.querySelector('[data-kind=false]').getAttribute('aria-pressed')"
    assert page.evaluate(pressed) == "true"
    press(browser, "g")
    assert page.evaluate(_CURRENT) == "No page has such a mistake."
    press(browser, "m")
    assert page.evaluate(_NAMES) == [ODD]
    press(browser, "o")
    assert not any(page.evaluate(_DRAWN).values())


@pytest.mark.parametrize("width", [400, 1600])
def test_outlines_lie_on_the_picture_and_nothing_sticks_out(
    browser: Browser, file: Path, width: int
) -> None:
    page = browser.open(file, width=width)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    sides = page.evaluate(
        "['#picture img', '#picture svg'].map((s) => document.querySelector(s)"
        ".getBoundingClientRect()).map((r) => [r.left, r.top, r.width, r.height])"
    )
    np.testing.assert_allclose(sides[0], sides[1], atol=1)
    loaded = {url for url in page.requests if not url.startswith("data:")}
    assert loaded == {file.as_uri()}


def test_a_table_says_how_much_of_each_kind_of_text_is_found(browser: Browser, file: Path) -> None:
    page = browser.open(file, width=1200)
    captions = "[...document.querySelectorAll('caption')].map((c) => c.textContent)"
    assert page.evaluate(captions) == ["By height", "By tilt", "By density"]
