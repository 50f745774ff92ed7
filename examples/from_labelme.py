"""Make a data set of what was labelled with Labelme, which writes a JSON file beside each image.

    python examples/from_labelme.py LABELLED FOLDER

A shape's label is the text that it outlines; the label `###` means "don't care". Other tools' files
are read the same way: what has to come out of them is a `Page` for each image.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector import DataSet, Page, TextBox
from detector.data.convert import write_data_set
from detector.data.output_format import OutputFormat


def read_page(file: Path) -> Page:
    """The page of one of Labelme's files."""
    labelled = json.loads(file.read_text(encoding="utf-8"))
    image = file.parent / labelled["imagePath"]
    boxes = tuple(as_box(shape) for shape in labelled["shapes"])
    return Page(f"images/{image.name}", image, boxes)


def as_box(shape: dict[str, Any]) -> TextBox:
    """The outline of a polygon, or of a rectangle: Labelme keeps two of its corners."""
    points: NDArray[np.float64] = np.array(shape["points"], np.float64)
    if shape["shape_type"] == "rectangle":
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    elif shape["shape_type"] != "polygon":
        raise SystemExit(f"a {shape['shape_type']} outlines no text: {shape['label']!r}")
    if shape["label"] == "###":
        return TextBox(points, ignore=True)
    return TextBox(points, shape["label"])


def main(labelled: str, folder: str) -> None:
    """Write the data set, and read it again to see that nothing is wrong with it."""
    pages = [read_page(file) for file in sorted(Path(labelled).glob("*.json"))]
    write_data_set(pages, Path(folder), OutputFormat.WORDS)
    written = DataSet.read(folder).pages()
    print(f"{len(written)} pages with {sum(len(page.boxes) for page in written)} outlines")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("labelled", metavar="LABELLED")
    parser.add_argument("folder", metavar="FOLDER")
    main(**vars(parser.parse_args()))
