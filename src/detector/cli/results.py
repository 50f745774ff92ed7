"""What `detsweep predict` writes of the pictures that it reads, and where."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import typer
from numpy.typing import NDArray

from detector.cli.progress import note
from detector.data.archives import ArchivePage, archive_suffix, format_archive
from detector.data.convert import require_new, write_data_set
from detector.data.output_format import OutputFormat
from detector.data.page import Page, TextBox
from detector.data.pictures import Picture
from detector.detecting.postprocess import Detections
from detector.detecting.written import as_csv, as_json, as_line
from detector.errors import DataError
from detector.evaluation.overlay import draw_overlay, encode_png
from detector.names import require_utf8
from detector.storage.output import open_lines, require_output, write_output
from detector.storage.scratch import scratch_folder

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Places:
    """Where results go; None where nobody asked for them.

    Attributes:
        json_file, lines_file, csv_file: the outlines of all pictures.
        overlay: a folder for a picture of each.
        out, to: a folder for labels, and their format.
    """

    json_file: Path | None
    lines_file: Path | None
    csv_file: Path | None
    overlay: Path | None
    out: Path | None
    to: OutputFormat | None

    def require(self, pictures: Sequence[Picture]) -> None:
        """Refuse what cannot be written of these pictures, before the work.

        Raises:
            DataError: results would overwrite each other, or an image.
            StoreError: nothing can be written at one of the places.
        """
        if (self.out is None) != (self.to is None):
            raise typer.BadParameter("give --out and --to together, or neither")
        for folder, option in ((self.overlay, "--overlay"), (self.out, "--out")):
            if folder is not None:
                _require_distinct(pictures, option)
        if self.overlay is not None:
            _require_sources_kept(pictures, self.overlay)
        for file in (self.json_file, self.lines_file, self.csv_file):
            require_output(file)
        for folder in (self.overlay, self.out):
            require_output(folder=folder)
        if self.out is not None:
            require_new(self.out)
        for picture in pictures:
            require_utf8(picture.name, "IMAGE")

    @contextmanager
    def opened(self) -> Iterator["Results"]:
        """What takes the results; all of them are written when the block ends well."""
        with scratch_folder("pages") as scratch:
            with open_lines(self.lines_file) as write_line:
                results = Results(self, write_line, self._labels(scratch))
                yield results
            results.finish()

    def _labels(self, scratch: Path) -> "_Labels | None":
        if self.out is None or self.to is None:
            return None
        if self.to.is_for_archives:
            return _ArchiveFiles(self.out, self.to)
        return _DataSet(self.out, self.to, scratch)


@dataclass
class Results:
    """Takes what was found on one picture after the other: see `Places.opened`."""

    places: Places
    write_line: Callable[[str], None]
    labels: "_Labels | None"
    found: dict[str, Detections] = field(default_factory=dict)

    def add(self, picture: Picture, image: Image, detections: Detections) -> None:
        """What was found on the (H, W, 3) pixels of a picture."""
        self.found[picture.name] = detections
        self.write_line(as_line(picture.name, detections))
        if self.labels is not None:
            self.labels.add(picture, image, detections)
        if self.places.overlay is not None:
            drawn = encode_png(draw_overlay(image, detections.polygons))
            write_output(self.places.overlay / f"{picture.stem}.png", drawn)

    def finish(self) -> None:
        """Write what all pictures stand in."""
        places = self.places
        if self.labels is not None and self.found:
            self.labels.finish()
            note(f"labels are in {places.out}")
        if places.overlay is not None and self.found:
            note(f"pictures are in {places.overlay}")
        if places.csv_file is not None:
            write_output(places.csv_file, as_csv(self.found).encode())
        if places.json_file is not None:
            write_output(places.json_file, as_json(self.found).encode())
        elif places.csv_file is None and places.lines_file is None and places.out is None:
            typer.echo(as_json(self.found), nl=False)


class _Labels(Protocol):
    """Writes what was found in the format of labels."""

    def add(self, picture: Picture, image: Image, found: Detections) -> None:
        """See `Results.add`."""

    def finish(self) -> None:
        """Write what is still to be written."""


@dataclass
class _ArchiveFiles:
    """A file for each picture, written at once."""

    folder: Path
    to: OutputFormat

    def add(self, picture: Picture, image: Image, found: Detections) -> None:
        height, width = image.shape[:2]
        page = ArchivePage(str(picture.path), (width, height), _boxes(found), picture.page or 1)
        file = self.folder / f"{picture.stem}{archive_suffix(self.to)}"
        write_output(file, format_archive(self.to, page))

    def finish(self) -> None:
        pass


@dataclass
class _DataSet:
    """A data set, whose images are copied: it appears whole when all pictures are read.

    Attributes:
        scratch: a folder that is taken away afterwards.
    """

    folder: Path
    to: OutputFormat
    scratch: Path
    pages: list[Page] = field(default_factory=list)

    def add(self, picture: Picture, image: Image, found: Detections) -> None:
        file = self._image_file(picture, image)
        self.pages.append(Page(file.name, file, _boxes(found)))

    def finish(self) -> None:
        write_data_set(self.pages, self.folder, self.to)

    def _image_file(self, picture: Picture, image: Image) -> Path:
        """What is copied: one page of several, and what tools cannot read, becomes a
        PNG."""
        if picture.is_plain:
            return picture.path
        drawn = self.scratch / f"{picture.stem}.png"
        drawn.write_bytes(encode_png(image))
        return drawn


def _boxes(found: Detections) -> tuple[TextBox, ...]:
    return tuple(
        TextBox(outline.points.astype(np.float64).round(2), score=outline.score)
        for outline in found
    )


def _require_distinct(pictures: Sequence[Picture], option: str) -> None:
    """Results are named after their images, so two of one name would overwrite each other."""
    times = Counter(picture.stem for picture in pictures)
    stem, count = times.most_common(1)[0]
    if count > 1:
        raise DataError(
            f"two images are named {stem!r}",
            where=option,
            remedy="predict them in two calls, with a folder each",
        )


def _require_sources_kept(pictures: Sequence[Picture], overlay: Path) -> None:
    """Refuse a folder where the picture of an image would overwrite an image."""
    sources = {picture.path.resolve() for picture in pictures}
    for picture in pictures:
        if (overlay / f"{picture.stem}.png").resolve() in sources:
            raise DataError(
                f"the picture of {picture.path} would overwrite an image",
                where="--overlay",
                remedy="name another folder",
            )
