"""The pages that a detector gets wrong as one HTML file that needs nothing else. A person goes
through them by keys, one kind of mistake after the other."""

import base64
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.mistakes import PageMistakes, by_kind
from detector.evaluation.overlay import encode_jpeg
from detector.wording import counted

KINDS = ("missed", "split", "merged", "false")
_LONGEST_SIDE, _MAX_BYTES = 1600, 250_000


def render_mistakes(
    pages: Sequence[PageMistakes],
    worst: int,
    about: str,
    read: Callable[[PageMistakes], NDArray[np.uint8]],
) -> str:
    """The HTML document of the worst pages, and of the worst by each kind of mistake.

    Args:
        pages: all that were looked at, the worst first.
        worst: how many pages are shown, and how many more by each kind.
        about: what was measured on what, in a line.
        read: the pixels of a page.
    """
    shown = _shown(pages, worst)
    tree = {
        "about": f"{about}, {counted(len(pages), 'page')}",
        "totals": {kind: sum(len(_of(page, kind)) for page in pages) for kind in KINDS},
        "tables": {name: [row.cells for row in rows] for name, rows in by_kind(pages).items()},
        "pages": [_page(pages[i], i < worst, read(pages[i])) for i in shown],
    }
    # Nothing in it ends the element that it stands in.
    content = json.dumps(tree, ensure_ascii=False).replace("<", "\\u003c")
    template = files("detector.report").joinpath("template/mistakes.html")
    return template.read_text(encoding="utf-8").replace("{{data}}", content)


def _shown(pages: Sequence[PageMistakes], worst: int) -> list[int]:
    found = set(range(min(worst, len(pages))))
    for kind in KINDS:
        counts = [len(_of(page, kind)) for page in pages]
        most = sorted(range(len(pages)), key=lambda i: -counts[i])[:worst]
        found |= {i for i in most if counts[i]}
    return sorted(found)


def _page(page: PageMistakes, is_worst: bool, image: NDArray[np.uint8]) -> dict[str, Any]:
    height, width = image.shape[:2]
    picture = encode_jpeg(image, longest_side=_LONGEST_SIDE, max_bytes=_MAX_BYTES)
    outlines = {
        "truth": [box.points for box in page.page.boxes],
        "found": page.predictions,
        **{kind: _of(page, kind) for kind in KINDS},
    }
    return {
        "name": page.page.name,
        "is_worst": is_worst,
        "width": width,
        "height": height,
        "picture": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}",
        "outlines": {
            name: [np.asarray(points, np.float64).round(1).tolist() for points in drawn]
            for name, drawn in outlines.items()
        },
    }


def _of(page: PageMistakes, kind: str) -> list[NDArray[Any]]:
    """The outlines of a kind of mistake: of words or of what was found."""
    indices = getattr(page.mistakes, kind)
    if kind in {"missed", "split"}:
        return [page.page.boxes[i].points for i in indices]
    return [page.predictions[i] for i in indices]
