"""What `detsweep data check` found, as one HTML page: each page that something is wrong with is
shown with its boxes, the bad ones in color. Needs no template engine, which `pip install .` lacks.
"""

import base64
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from detector.data.check import CheckReport, FlawedPage
from detector.data.images import read_image
from detector.data.page import TextBox
from detector.data.problem import Problem
from detector.errors import DataError
from detector.evaluation.overlay import DONT_CARE, FALSE, MISSED, SPLIT, Color, encode_jpeg
from detector.wording import counted

_MOST_PAGES = 100
_MOST_PROBLEMS = 200
_FAR = 0.25
"""How far beyond its picture a page is shown, at most, as a share of its width or height."""
_COLORS = {"error": MISSED, "warning": SPLIT, "skip": DONT_CARE}
_STYLE = """
figure { margin: 0 0 .75rem; }
svg { display: block; width: 100%; max-height: 90vh; background: var(--raised); }
polygon { fill-opacity: .12; vector-effect: non-scaling-stroke; }
li { overflow-wrap: anywhere; }
"""


def problem_pages(report: CheckReport, name: str, max_pixels: int) -> str:
    """The page, which needs no other file.

    Args:
        report: of a data set.
        name: what a person calls the data set.
        max_pixels: images with more are not shown.
    """
    shown = report.flawed[:_MOST_PAGES]
    of_pages = {problem for flawed in report.flawed for problem in flawed.problems}
    others = [problem for problem in report.problems if problem not in of_pages]
    counts = report.counts()
    summary = (
        f"{counted(counts['pages'], 'usable page')}, {counted(counts['errors'], 'error')}, "
        f"{counts['skipped']} skipped, {counted(counts['warnings'], 'warning')}"
    )
    left_out = len(report.flawed) - len(shown)
    style = (files(__package__) / "template" / "report.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(name)}: problems</title><style>{style}{_STYLE}</style></head>",
            f"<body><main><h1>{escape(name)}</h1><p>{summary}</p>",
            f'<p class="quiet">{escape(report.labels)}</p>',
            _section("Of the data set", others) if others else "",
            *(_page(flawed, max_pixels) for flawed in shown),
            f"<p>and {counted(left_out, 'page')} more, which --json lists</p>" if left_out else "",
            "</main></body></html>\n",
        ]
    )


def _section(title: str, problems: Sequence[Problem], picture: str = "") -> str:
    rows = [f"<li>{_in_words(problem)}</li>" for problem in problems[:_MOST_PROBLEMS]]
    more = len(problems) - len(rows)
    rows += [f"<li>and {more} more</li>"] if more else []
    return f"<section><h2>{escape(title)}</h2>{picture}<ul>{''.join(rows)}</ul></section>"


def _in_words(problem: Problem) -> str:
    color = _css(_COLORS[problem.level])
    remedy = f"<br>→ {escape(problem.remedy)}" if problem.remedy else ""
    return f'<b style="color: {color}">{problem.level}</b> {escape(str(problem))}{remedy}'


def _page(flawed: FlawedPage, max_pixels: int) -> str:
    try:
        picture = "".join(_picture(flawed, max_pixels))
    except DataError:
        picture = ""  # That it cannot be read is one of its problems.
    return _section(flawed.page.name, flawed.problems, picture)


def _picture(flawed: FlawedPage, max_pixels: int) -> Iterator[str]:
    image = read_image(flawed.page.image, max_pixels)
    height, width = image.shape[:2]
    reasons = {problem.box: problem for problem in flawed.problems[::-1] if problem.box is not None}
    bad = [flawed.page.boxes[i] for i in reasons]
    left, top, right, bottom = _view(bad, width, height)
    encoded = base64.b64encode(encode_jpeg(image)).decode()
    yield f'<figure><svg viewBox="{left:g} {top:g} {right - left:g} {bottom - top:g}">'
    yield f'<image width="{width}" height="{height}" preserveAspectRatio="none"'
    yield f' href="data:image/jpeg;base64,{encoded}"/>'
    for i, box in enumerate(flawed.page.boxes):
        if i not in reasons:
            yield _polygon(box, DONT_CARE if box.ignore else FALSE, 1)
    for i, problem in reasons.items():
        color = _COLORS[problem.level]
        yield _polygon(flawed.page.boxes[i], color, 3, str(problem))
    yield "</svg></figure>"


def _view(bad: Sequence[TextBox], width: int, height: int) -> tuple[float, float, float, float]:
    """The picture, and what of bad boxes lies a little beyond it."""
    corners = [(float(x), float(y)) for box in bad for x, y in box.points]
    xs, ys = [0.0, float(width), *(x for x, _ in corners)], [0.0, float(height)]
    ys += [y for _, y in corners]
    return (
        max(min(xs), -_FAR * width),
        max(min(ys), -_FAR * height),
        min(max(xs), (1 + _FAR) * width),
        min(max(ys), (1 + _FAR) * height),
    )


def _polygon(box: TextBox, color: Color, thickness: int, title: str = "") -> str:
    points = " ".join(f"{x:g},{y:g}" for x, y in box.points.tolist())
    css = _css(color)
    return (
        f'<polygon points="{points}" stroke="{css}" fill="{css}" stroke-width="{thickness}">'
        f"<title>{escape(title or box.text or '')}</title></polygon>"
    )


def _css(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
