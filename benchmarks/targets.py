"""Target maps of a page of words against docTR's `build_target` (PyPI python-doctr).

docTR takes quads only and knows no don't-cares, so both draw the same quads: a curved word by its
rectangle of least area. docTR gives float32 shrink and threshold maps and bool masks; detsweep
gives a float32 threshold map and uint8 for the other three, which is timed as it is and once more
with docTR's types. The last row has the words as they are, which docTR cannot draw.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Contender, compare, console, find_peer, use_threads, version
from benchmarks.pages import SIZE, Words, draw_pages
from detector.data.targets import Targets, build_targets
from tests.data.reference_targets import reference_targets

CHECKED_PAGES = 10

Maps = tuple[NDArray[Any], ...]


def main() -> None:
    """Print the agreement and the table."""
    use_threads(1)
    pages = draw_pages()
    agreement_with_the_reference(pages[:CHECKED_PAGES])
    peers = []
    module = find_peer("doctr.models.detection.differentiable_binarization.base", "python-doctr")
    if module:
        network = module._DBNet()  # docTR offers `build_target` on its networks only.

        def peer(targets: list[dict[str, NDArray[np.float32]]]) -> Maps:
            maps: Maps = network.build_target(targets, (1, SIZE, SIZE))
            return maps

        agreement_with_doctr(pages[:CHECKED_PAGES], peer)
        peers.append(Contender(version("python-doctr"), peer, doctr_input))
    ours = [
        Contender("detsweep", draw_quads, Words.quads),
        Contender(
            "detsweep, docTR's types", lambda quads: as_doctr(draw_quads(quads)), Words.quads
        ),
        Contender("detsweep, curves and don't-cares", draw_words),
    ]
    compare("Target maps, 1280 x 1280", pages, ours, peers)


def draw_quads(quads: NDArray[np.float32]) -> Targets:
    """The maps of quads."""
    return build_targets(list(quads), [False] * len(quads), SIZE, SIZE)


def draw_words(page: Words) -> Targets:
    """The maps of words that are polygons."""
    return build_targets(page.polygons, page.ignore, SIZE, SIZE)


def doctr_input(page: Words) -> list[dict[str, NDArray[np.float32]]]:
    """The same words as docTR takes them."""
    return [{"words": page.quads() / np.float32(SIZE)}]


def as_doctr(targets: Targets) -> Maps:
    """The maps in docTR's types and order."""
    return (
        targets.shrink_map.astype(np.float32),
        targets.shrink_mask.view(bool),
        targets.thresh_map,
        targets.thresh_mask.view(bool),
    )


def agreement_with_the_reference(pages: list[Words]) -> None:
    """Against the plain transcription of the definitions that the tests compare with."""
    report(
        "the definitions",
        (
            differences(draw_words(page), reference_targets(page.polygons, page.ignore, SIZE, SIZE))
            for page in pages
        ),
    )


def agreement_with_doctr(pages: list[Words], peer: Callable[[Any], Maps]) -> None:
    """docTR's maps have a dimension more for the page of a batch and one for the class."""
    report(
        "docTR",
        (
            differences(
                draw_quads(page.quads()), tuple(plane[0, 0] for plane in peer(doctr_input(page)))
            )
            for page in pages
        ),
    )


def differences(found: Targets, expected: Maps) -> list[float]:
    """Of one page, as `report` names them."""
    shrink_map, shrink_mask, thresh_map, thresh_mask = expected
    both = (found.thresh_mask > 0) & (thresh_mask > 0)
    thresholds = np.abs(found.thresh_map - thresh_map)[both]
    return [
        1e6 * np.mean(found.shrink_map != shrink_map),
        1e6 * np.mean(found.shrink_mask != shrink_mask),
        1e6 * np.mean(found.thresh_mask != thresh_mask),
        thresholds.mean(),
        100 * np.mean(thresholds > 0.01),
    ]


def report(name: str, pages: Iterable[list[float]]) -> None:
    """Print how many pixels of the binary maps differ, and the thresholds where both count."""
    rows = np.array(list(pages))
    shrink_map, shrink_mask, thresh_mask, mean, large = rows.mean(axis=0)
    console.print(
        f"against {name} on {len(rows)} pages: {shrink_map:.2f} ppm of the pixels differ in the "
        f"shrink map, {shrink_mask:.2f} in its mask, {thresh_mask:.2f} in the threshold mask; "
        f"thresholds by {mean:.1e} in the mean, {large:.4f} % by more than 0.01"
    )


if __name__ == "__main__":
    main()
