"""What a check found, as one HTML page."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from detector.data.check import check_data
from detector.report.problem_pages import problem_pages

WritePage = Callable[..., Path]
MAX_PIXELS = 10_000


class _Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_bad_boxes_are_drawn_on_their_page_and_named_by_file_and_line(
    root: Path, write_page: WritePage
) -> None:
    far = "100,2,130,2,130,10,100,10,far"
    write_page(name="a", text=f"2,2,30,2,30,10,2,10,good\n{far}\nnonsense", size=(64, 48))
    write_page(name="sound")
    page = problem_pages(check_data(root), "receipts", MAX_PIXELS)
    elements = _Elements(page)
    (picture,) = elements.of("image")
    assert str(picture["href"]).startswith("data:image/jpeg;base64,")
    assert [len(str(p["points"]).split()) for p in elements.of("polygon")] == [4, 4]
    (view,) = (str(svg["viewbox"]) for svg in elements.of("svg"))
    assert float(view.split()[2]) == 80, "what lies outside the picture is shown, to a quarter"
    assert page.count("gt/a.txt:2: the box lies outside") == 2, "in the list, and where it points"
    assert "gt/a.txt:3: field 1" in page
    assert "images/sound.jpg" not in page
    assert not re.search(r'(src|href)="(?!data:)', page), "one file is all"


def test_names_and_texts_are_no_markup(root: Path, write_page: WritePage) -> None:
    write_page(name="<b>&a", text="2,2,90,2,90,10,2,10,<script>alert(1)</script>")
    page = problem_pages(check_data(root), "<i>data", MAX_PIXELS)
    assert "<script" not in page
    assert not [tag for tag, _ in _Elements(page).found if tag == "i"]
    assert "&lt;b&gt;&amp;a" in page


def test_a_page_that_cannot_be_read_and_what_is_of_no_page_are_listed(
    root: Path, write_page: WritePage
) -> None:
    write_page(name="a").write_bytes(b"no image")
    write_page(name="b")
    (root / "gt" / "lost.txt").write_text("2,2,30,2,30,10,2,10", encoding="utf-8")
    page = problem_pages(check_data(root), "data", MAX_PIXELS)
    assert "images/a.jpg: not an image of a known format" in page
    assert "→ restore the file" in page
    assert "gt/lost.txt: annotates no image" in page
    assert not _Elements(page).of("image")
