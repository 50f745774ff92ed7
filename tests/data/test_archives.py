"""ALTO, PAGE and hOCR: what their readers look for is there, and what no schema refuses."""

import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from detector.data.archives import ArchivePage, format_archive
from detector.data.convert import write_data_set
from detector.data.data_set import DataSet
from detector.data.output_format import OutputFormat
from detector.data.page import TextBox

WritePage = Callable[..., Path]

QUAD = np.array([[-1, 2], [30.4, 2], [30.4, 10], [-1, 10]])
PAGE = ArchivePage(
    'a "b" & <c>.png',
    (40, 20),
    [
        TextBox(QUAD, "5 < 6 & \x0b7", score=0.25),
        TextBox(QUAD + np.array([0, 3])),
        TextBox(QUAD, "nobody", ignore=True),
    ],
    number=3,
)
NONE = ArchivePage("blank.png", (40, 20), [])


def parsed(to: OutputFormat, page: ArchivePage = PAGE) -> ElementTree.Element:
    tree = ElementTree.fromstring(format_archive(to, page))
    for element in tree.iter():
        element.tag = element.tag.partition("}")[2]
    return tree


def test_alto_has_lines_with_their_outlines_and_text() -> None:
    tree = parsed(OutputFormat.ALTO)
    assert tree.findtext(".//fileName") == PAGE.image
    page = tree.find(".//Page")
    assert page is not None and page.attrib["PHYSICAL_IMG_NR"] == "3"
    first, second = tree.findall(".//TextLine")
    place = [first.attrib[name] for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    assert place == ["0", "2", "30", "8"]
    assert [polygon.attrib["POINTS"] for polygon in first.iter("Polygon")] == [
        "0 2 30 2 30 10 0 10"
    ]
    texts = [line.find("String") for line in (first, second)]
    assert [text.attrib["CONTENT"] for text in texts if text is not None] == ["5 < 6 & \ufffd7", ""]
    assert [text.get("WC") for text in texts if text is not None] == ["0.2500", None]


def test_page_has_lines_with_their_outlines_and_text() -> None:
    tree = parsed(OutputFormat.PAGE)
    page = tree.find("Page")
    assert page is not None and page.attrib["imageFilename"] == PAGE.image
    lines = tree.findall(".//TextLine")
    coords = [line.find("Coords") for line in lines]
    assert [at.attrib["points"] for at in coords if at is not None] == [
        "0,2 30,2 30,10 0,10",
        "0,5 30,5 30,13 0,13",
    ]
    assert [line.findtext("TextEquiv/Unicode") for line in lines] == ["5 < 6 & \ufffd7", None]


def test_hocr_has_lines_with_their_boxes_and_text() -> None:
    tree = parsed(OutputFormat.HOCR)
    spans = tree.findall(".//span[@class='ocr_line']")
    assert [span.text for span in spans] == ["5 < 6 & \ufffd7", None]
    assert spans[0].attrib["title"] == "bbox 0 2 30 10; poly 0 2 30 2 30 10 0 10; x_conf 25.00"
    page = tree.find(".//div[@class='ocr_page']")
    assert page is not None
    title = 'image "a \\"b\\" & <c>.png"; bbox 0 0 40 20; ppageno 2'
    assert page.attrib["title"] == title


@pytest.mark.parametrize("to", [OutputFormat.ALTO, OutputFormat.PAGE])
@pytest.mark.parametrize("page", [PAGE, NONE])
def test_the_schemas_accept_it(to: OutputFormat, page: ArchivePage) -> None:
    """DETSWEEP_SCHEMAS is a folder with alto.xsd (version 4.4, and the xlink.xsd that it imports)
    and page.xsd (of 2019-07-15)."""
    if "DETSWEEP_SCHEMAS" not in os.environ:
        pytest.skip("DETSWEEP_SCHEMAS names no folder")
    etree = pytest.importorskip("lxml.etree")
    schema = etree.XMLSchema(file=str(Path(os.environ["DETSWEEP_SCHEMAS"]) / f"{to}.xsd"))
    schema.assertValid(etree.fromstring(format_archive(to, page)))


def test_labels_become_archives_files_beside_the_images(
    root: Path, write_page: WritePage, tmp_path: Path
) -> None:
    write_page(name="a", text="2,2,30,2,30,10,2,10,TOTAL")
    write_data_set(DataSet.read(root).pages(), tmp_path / "copy", OutputFormat.PAGE)
    copied = sorted(path.name for path in (tmp_path / "copy/images").iterdir())
    assert copied[1] == "a.xml"
    assert ">TOTAL<" in (tmp_path / "copy/images/a.xml").read_text(encoding="utf-8")
