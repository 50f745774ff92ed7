"""Which image a label file means. Names are compared as people read them: a file that came from
another system may be written in other cases, or with other code points for the same letters."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from detector.data.images import IMAGE_SUFFIXES

_UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded to it."""
_PREFIXES = ("gt_", "poly_gt_", "res_")
"""What ICDAR's and Total-Text's label files have before the name of their image."""


class ImageNames:
    """Images by what label files call them.

    Args:
        images: of one folder.
    """

    def __init__(self, images: Iterable[Path]):
        self._by_name: dict[str, Path] = {}
        self._by_stem: dict[str, Path] = {}
        self._exact = {path.name: path for path in images}
        self._exact_stems = {path.stem: path for path in self._exact.values()}
        for path in self._exact.values():
            self._by_name.setdefault(plain(path.name), path)
            self._by_stem.setdefault(plain(path.stem), path)

    def named(self, name: str) -> Path | None:
        """The image of a name or path, with its ending or without.

        Args:
            name: as a label file gives it; on Windows paths have backslashes.
        """
        last = PureWindowsPath(name).name
        found = self._exact.get(last) or self._by_name.get(plain(last))
        found = found or self._by_stem.get(plain(page_stem(last)))
        if found is None and (uploaded := _UPLOADED.match(last)):
            return self.named(last[uploaded.end() :])
        return found

    def of_label_file(self, name: str) -> Path | None:
        """The image that a label file is named after: a.txt, gt_a.txt or a.jpg.json."""
        stem = page_stem(Path(name).stem)
        read = plain(stem)
        if found := self._exact_stems.get(stem) or self._by_stem.get(read):
            return found
        bare = (read.removeprefix(prefix) for prefix in _PREFIXES if read.startswith(prefix))
        return next((self._by_stem[name] for name in bare if name in self._by_stem), None)


def page_stem(name: str) -> str:
    """The name of an image without its ending, if it has one that images have.

    >>> page_stem("shop.7.JPG"), page_stem("shop.7")
    ('shop.7', 'shop.7')
    """
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def plain(name: str) -> str:
    """The name as people read it, whatever system it came from."""
    return unicodedata.normalize("NFC", name).casefold()
