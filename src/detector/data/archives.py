"""The formats of archives and of text recognition, a file for each page: ALTO 4, PAGE 2019, hOCR.

Each outline is a line of text in one block. Coordinates are whole pixels of the upright image. What
is don't care is left out, for none of the formats has a word for it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import SubElement

import numpy as np

from detector.data.output_format import OutputFormat
from detector.data.page import TextBox
from detector.version import __version__

_ALTO = "http://www.loc.gov/standards/alto/ns-v4#"
_PAGE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
_XHTML = "http://www.w3.org/1999/xhtml"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""
_DOCTYPE = (
    '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
    '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
)
_CREATOR = f"detsweep {__version__}"


@dataclass(frozen=True)
class ArchivePage:
    """What an archive's file is about.

    Attributes:
        image: the name of the image file, as seen from the archive's.
        size: its width and height in pixels.
        boxes: its text.
        number: which page of the image file it is, from 1 on.
    """

    image: str
    size: tuple[int, int]
    boxes: Sequence[TextBox]
    number: int = 1


def archive_suffix(to: OutputFormat) -> str:
    """How a file of this format is named at its end."""
    return ".hocr" if to is OutputFormat.HOCR else ".xml"


def format_archive(to: OutputFormat, page: ArchivePage) -> bytes:
    """A page's file in one of the formats of archives."""
    tree = _FORMATS[to](page)
    ElementTree.indent(tree)
    is_html = to is OutputFormat.HOCR
    # A browser takes `<span/>` for the beginning of one.
    root = ElementTree.tostring(tree, encoding="unicode", short_empty_elements=not is_html)
    doctype = _DOCTYPE if is_html else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}{root}\n'.encode()


def _alto(page: ArchivePage) -> ElementTree.Element:
    alto = ElementTree.Element("alto", xmlns=_ALTO, SCHEMAVERSION="4.4")
    description = SubElement(alto, "Description")
    SubElement(description, "MeasurementUnit").text = "pixel"
    source = SubElement(description, "sourceImageInformation")
    SubElement(source, "fileName").text = _xml_text(page.image)
    processing = SubElement(description, "Processing", ID="detsweep")
    software = SubElement(processing, "processingSoftware")
    SubElement(software, "softwareName").text = "detsweep"
    SubElement(software, "softwareVersion").text = __version__
    width, height = page.size
    sides = {"WIDTH": str(width), "HEIGHT": str(height)}
    numbered = {"ID": "page", "PHYSICAL_IMG_NR": str(page.number), **sides}
    of_page = SubElement(SubElement(alto, "Layout"), "Page", numbered)
    whole = {"HPOS": "0", "VPOS": "0", **sides}
    space = SubElement(of_page, "PrintSpace", whole)
    lines = list(_lines(page))
    block = SubElement(space, "TextBlock", {"ID": "block", **whole}) if lines else space
    for name, box, points in lines:
        left, top, right, bottom = _around(points)
        place = {
            "HPOS": str(left),
            "VPOS": str(top),
            "WIDTH": str(right - left),
            "HEIGHT": str(bottom - top),
        }
        line = SubElement(block, "TextLine", {"ID": name, **place})
        SubElement(SubElement(line, "Shape"), "Polygon", POINTS=_flat(points))
        sure = {} if box.score is None else {"WC": f"{box.score:.4f}"}
        content = {"ID": f"{name}-text", "CONTENT": _xml_text(box.text)}
        SubElement(line, "String", {**content, **place, **sure})
    return alto


def _page(page: ArchivePage) -> ElementTree.Element:
    root = ElementTree.Element("PcGts", xmlns=_PAGE)
    metadata = SubElement(root, "Metadata")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for name, text in (("Creator", _CREATOR), ("Created", now), ("LastChange", now)):
        SubElement(metadata, name).text = text
    width, height = page.size
    of_page = SubElement(
        root,
        "Page",
        imageFilename=_xml_text(page.image),
        imageWidth=str(width),
        imageHeight=str(height),
    )
    lines = list(_lines(page))
    if not lines:
        return root
    region = SubElement(of_page, "TextRegion", id="block")
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    SubElement(region, "Coords", points=_pairs(corners))
    for name, box, points in lines:
        line = SubElement(region, "TextLine", id=name)
        sure = {} if box.score is None else {"conf": f"{box.score:.4f}"}
        SubElement(line, "Coords", {"points": _pairs(points), **sure})
        if box.text:
            SubElement(SubElement(line, "TextEquiv"), "Unicode").text = _xml_text(box.text)
    return root


def _hocr(page: ArchivePage) -> ElementTree.Element:
    html = ElementTree.Element("html", xmlns=_XHTML)
    head = SubElement(html, "head")
    SubElement(head, "title").text = _xml_text(page.image)
    encoding = {"http-equiv": "Content-Type", "content": "text/html; charset=utf-8"}
    SubElement(head, "meta", encoding)
    SubElement(head, "meta", name="ocr-system", content=_CREATOR)
    SubElement(head, "meta", name="ocr-capabilities", content="ocr_page ocr_carea ocr_line")
    width, height = page.size
    title = f"image {_quoted(page.image)}; bbox 0 0 {width} {height}; ppageno {page.number - 1}"
    body = SubElement(html, "body")
    of_page = SubElement(body, "div", {"class": "ocr_page", "id": "page", "title": title})
    whole = f"bbox 0 0 {width} {height}"
    block = SubElement(of_page, "div", {"class": "ocr_carea", "title": whole})
    for name, box, points in _lines(page):
        bbox = " ".join(map(str, _around(points)))
        sure = "" if box.score is None else f"; x_conf {100 * box.score:.2f}"
        title = f"bbox {bbox}; poly {_flat(points)}{sure}"
        span = SubElement(block, "span", {"class": "ocr_line", "id": name, "title": title})
        span.text = _xml_text(box.text)
    return html


_FORMATS: dict[OutputFormat, Callable[[ArchivePage], ElementTree.Element]] = {
    OutputFormat.ALTO: _alto,
    OutputFormat.PAGE: _page,
    OutputFormat.HOCR: _hocr,
}


def _lines(page: ArchivePage) -> Iterable[tuple[str, TextBox, list[list[int]]]]:
    """What is text: its name in the file, the box, and its points in whole pixels of the page."""
    cared = (box for box in page.boxes if not box.ignore)
    for number, box in enumerate(cared, start=1):
        points = np.clip(np.rint(box.points), 0, page.size).astype(int).tolist()
        yield f"line-{number}", box, points


def _around(points: Sequence[Sequence[int]]) -> tuple[int, int, int, int]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _flat(points: Iterable[Sequence[int]]) -> str:
    return " ".join(f"{x} {y}" for x, y in points)


def _pairs(points: Iterable[Sequence[int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _quoted(name: str) -> str:
    escaped = _xml_text(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _xml_text(text: str | None) -> str:
    return _NO_XML.sub("\ufffd", text or "")
