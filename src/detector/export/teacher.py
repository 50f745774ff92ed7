"""Pages without labels, labelled by a model: what another network may learn from besides."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector.config.schema import Config
from detector.console import say
from detector.data.folds import Folds
from detector.data.images import IMAGE_SUFFIXES, read_bytes, read_image
from detector.data.page import Page, TextBox
from detector.data.source import cache_root, fetch
from detector.errors import DataError
from detector.export.model import Model
from detector.pace import paced
from detector.storage.atomic import write_atomically
from detector.wording import counted

if TYPE_CHECKING:
    from detector.detecting.inference import Detect


def require_teacher(file: str) -> None:
    """Look at the model that `models.teacher` names.

    Raises:
        ExportError: it is no model that detsweep exported.
    """
    _ = Model(Path(file)).card


def with_taught_pages(config: Config, folds: Folds) -> Folds:
    """The folds, with the pages of `data.unlabelled` and what `models.teacher` finds on them.

    A page that the data set has too is left out, for it may be one to measure by. What the teacher
    finds is kept in the cache, so that the next training need not look again.

    Raises:
        DataError: there is no such folder, or no image in it.
        ExportError: the teacher is no model that detsweep exported.
    """
    if config.data.unlabelled is None or config.models.teacher is None:
        return folds
    root = fetch(config.data.unlabelled)
    images = _new_images(root, config.data.unlabelled, folds)
    teacher = _Teacher(Path(config.models.teacher), config.data.max_pixels)
    pages = []
    for image, digest in paced(images, "labelling pages"):
        name = f"unlabelled/{image.relative_to(root).as_posix()}"
        try:
            pages.append(Page(name, image, teacher.find(image, digest)))
        except DataError as error:
            say(f"warning: left out: {error}")
    outlines = sum(len(page.boxes) for page in pages)
    if not outlines:
        raise DataError(
            f"{teacher.file} finds no text on any page",
            where=f"data.unlabelled={config.data.unlabelled}",
            remedy="name a models.teacher that finds text on such pages, as `detsweep predict` "
            "would show",
        )
    say(
        f"learning from {counted(len(pages), 'unlabelled page')} too: {teacher.file} finds "
        f"{counted(outlines, 'outline')} on them"
    )
    return replace(folds, taught=tuple(pages))


def _new_images(root: Path, url: str, folds: Folds) -> list[tuple[Path, str]]:
    """The images below a folder that are not of the data set, with their SHA-256."""
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and path.name[0] != "."
    )
    known = {entry.sha256 for entry in folds.manifest.pages}
    found = {hashlib.sha256(read_bytes(path)).hexdigest(): path for path in reversed(files)}
    new = sorted((path, digest) for digest, path in found.items() if digest not in known)
    if not new:
        raise DataError(
            "no image that is not of the data set too" if files else "no image",
            where=f"data.unlabelled={url}",
            remedy="name a folder with other images of such pages, in any of its folders",
        )
    return new


class _Teacher:
    """A model that labels pages, and remembers by their content what it found.

    Args:
        file: an ONNX file that detsweep exported.
        max_pixels: larger images are refused.
    """

    def __init__(self, file: Path, max_pixels: int):
        require_teacher(str(file))
        self.file, self._max_pixels = file, max_pixels
        self._detect: Detect | None = None
        self._known = cache_root() / "taught" / hashlib.sha256(file.read_bytes()).hexdigest()[:16]

    def find(self, image: Path, digest: str) -> tuple[TextBox, ...]:
        """The text of an image.

        Args:
            digest: SHA-256 of the image file.

        Raises:
            DataError: the image cannot be read.
        """
        kept = self._known / f"{digest}.json"
        if not kept.exists():
            write_atomically(kept, json.dumps(self._look_at(image)).encode())
        return tuple(
            TextBox(np.array(points, np.float64)) for points in json.loads(kept.read_bytes())
        )

    def _look_at(self, image: Path) -> list[list[list[float]]]:
        pixels = read_image(image, self._max_pixels)
        if self._detect is None:
            # onnxruntime and numba take seconds to import, and most trainings have no teacher.
            from detector.export.detector import Detector  # noqa: PLC0415

            self._detect = Detector(self.file)
        return [polygon.tolist() for polygon in self._detect(pixels).polygons]
