"""Formats of labels: what each is recognised by, what its entries mean, and what is refused."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.data.data_set import DataSet, Reading
from detector.data.page import TextBox
from detector.errors import DataError, DetsweepError

WritePage = Callable[..., Path]
Files = dict[str, object]

_QUAD = [[10, 10], [40, 10], [40, 20], [10, 20]]
_FLAT = "10,10,40,10,40,20,10,20"
_AREA = ("images/a.jpg", _QUAD)


@pytest.fixture
def labelled(root: Path, write_page: WritePage) -> Callable[[Files], list[TextBox]]:
    """Write label files beside two images, a.jpg and b.jpg of 100x50, and read the boxes of a."""

    def write(files: Files) -> list[TextBox]:
        for name in ("a", "b"):
            write_page(name=name, size=(100, 50))
            (root / "gt" / f"{name}.txt").unlink()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
        return list(DataSet.read(root).pages()[0].boxes)

    return write


def _coco(**annotation: object) -> Files:
    images = [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50},
        {"id": 8, "file_name": "b.jpg", "width": 100, "height": 50},
    ]
    return {"annotations.json": {"images": images, "annotations": [{"image_id": 7, **annotation}]}}


def _label_studio(**value: object) -> Files:
    region = {"id": "r1", "original_width": 100, "original_height": 50}
    result = [
        {**region, "type": "rectangle", "value": value},
        {**region, "type": "textarea", "value": {**value, "text": ["TOTAL"]}},
    ]
    task = {
        "id": 3,
        "data": {"ocr": "/data/upload/1/0a1b2c3d-a.jpg"},
        "annotations": [{"result": result}],
    }
    return {"project.json": [task]}


_AIHUB_BOX = {"data": "TOTAL", "id": 1, "x": [10, 10, 40, 40], "y": [10, 20, 10, 20]}
_VOC = (
    "<annotation><filename>a.jpg</filename><size><width>100</width><height>50</height></size>"
    "<object>{}<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>20</ymax></bndbox>"
    "</object></annotation>"
)
_VIA = {
    "filename": "a.jpg",
    "size": 99,
    "regions": [
        {
            "shape_attributes": {"name": "rect", "x": 10, "y": 10, "width": 30, "height": 10},
            "region_attributes": {"text": "TOTAL"},
        }
    ],
}


def _hiertext(*words: object) -> Files:
    line = {"vertices": _QUAD, "legible": True, "words": list(words)}
    paragraphs = [{"vertices": _QUAD, "legible": True, "lines": [line]}]
    image = {"image_id": "a", "paragraphs": paragraphs}
    return {"gt/validation.jsonl": {"info": {"date": "2022"}, "annotations": [image]}}


_EACH_FORMAT: dict[str, tuple[str, Files]] = {
    "ICDAR 2015": ("ICDAR 2015", {"gt/gt_a.txt": f"{_FLAT},TOTAL\n"}),
    "ICDAR 2015, blanks": (
        "ICDAR 2015",
        {"gt/a.txt": "10, 10, 40, 10, 40, 20, 10, 20, TOTAL\r"},
    ),
    "ICDAR 2015, quoted": ("ICDAR 2015", {"gt/a.txt": f'{_FLAT},"TOTAL"'}),
    "ICDAR MLT": ("ICDAR MLT", {"gt/a.txt": f"{_FLAT},Latin,TOTAL\n"}),
    "ICDAR 2013": ("ICDAR 2013", {"gt/gt_a.txt": '10, 10, 40, 20, "TOTAL"\n'}),
    "ICDAR 2013, blanks": ("ICDAR 2013", {"gt/gt_a.txt": '10 10 40 20 "TOTAL"\n'}),
    "SROIE": ("ICDAR 2015", {"box/a.txt": f"{_FLAT},TOTAL\r\n"}),
    "Total-Text": (
        "Total-Text",
        {
            "gt/poly_gt_a.txt": "x: [[10 40 40 10]], y: [[10 10 20 20]], ornt: [u'h'], "
            "transcriptions: [u'TOTAL']\n"
        },
    ),
    "CTW1500": ("CTW1500", {"gt/a.txt": f"{_FLAT},####TOTAL\n"}),
    "RCTW-17": ("RCTW-17", {"gt/a.txt": f'{_FLAT},0,"TOTAL"\n'}),
    "COCO of Label Studio": (
        "COCO",
        {
            "result.json": {
                "images": [{"id": 0, "file_name": "images\\/0a1b2c3d-a.jpg"}],
                "annotations": [{"image_id": 0, "bbox": [10, 10, 30, 10], "text": "TOTAL"}],
            }
        },
    ),
    "CTW1500 in XML": (
        "CTW1500 in XML",
        {
            "gt/a.xml": '<Annotations><image file="a.jpg"><box height="10" left="10" top="10" '
            f'width="30"><label>TOTAL</label><segs>{_FLAT}</segs></box></image></Annotations>'
        },
    ),
    "PPOCRLabel": (
        "PPOCRLabel",
        {
            "Label.txt": "receipts/a.jpg\t"
            + json.dumps([{"transcription": "TOTAL", "points": _QUAD, "difficult": "false"}])
        },
    ),
    "labelme": (
        "labelme",
        {
            "images/a.json": {
                "imagePath": "..\\elsewhere\\a.jpg",
                "imageWidth": 100,
                "imageHeight": 50,
                "shapes": [
                    {"label": "TOTAL", "points": [[40, 20], [10, 10]], "shape_type": "rectangle"}
                ],
            }
        },
    ),
    "COCO": ("COCO", _coco(segmentation=[[10, 10, 40, 10, 40, 20, 10, 20]], text="TOTAL")),
    "COCO, bbox": ("COCO", _coco(bbox=[10, 10, 30, 10], attributes={"text": "TOTAL"})),
    "COCO-Text": (
        "COCO-Text",
        {
            "cocotext.v2.json": {
                "imgs": {"7": {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50}},
                "anns": {
                    "1": {
                        "id": 1,
                        "image_id": 7,
                        "mask": [10, 10, 40, 10, 40, 20, 10, 20],
                        "utf8_string": "TOTAL",
                        "legibility": "legible",
                    }
                },
            }
        },
    ),
    "Label Studio": ("Label Studio", _label_studio(x=10, y=20, width=30, height=20, rotation=0)),
    "CVAT": (
        "CVAT",
        {
            "annotations.xml": '<annotations><image id="0" name="a.jpg" width="100" height="50">'
            '<polygon label="text" points="10,10;40,10;40,20;10,20">'
            '<attribute name="text">TOTAL</attribute></polygon></image></annotations>'
        },
    ),
    "CVAT, box": (
        "CVAT",
        {
            "annotations.xml": '<annotations><image id="0" name="a.jpg" width="100" height="50">'
            '<box label="text" xtl="10" ytl="10" xbr="40" ybr="20">'
            '<attribute name="text">TOTAL</attribute></box></image></annotations>'
        },
    ),
    "FUNSD": (
        "FUNSD",
        {
            "annotations/a.json": {
                "form": [
                    {
                        "id": 0,
                        "text": "TOTAL",
                        "box": [9, 9, 41, 21],
                        "words": [
                            {"text": "TOTAL", "box": [10, 10, 40, 20]},
                            {"text": "", "box": [0, 0, 0, 0]},
                        ],
                    }
                ]
            }
        },
    ),
    "CORD": (
        "CORD",
        {
            "json/a.json": {
                "valid_line": [
                    {
                        "words": [
                            {
                                "text": "TOTAL",
                                "quad": {
                                    "x1": 10,
                                    "y1": 10,
                                    "x2": 40,
                                    "y2": 10,
                                    "x3": 40,
                                    "y3": 20,
                                    "x4": 10,
                                    "y4": 20,
                                },
                            }
                        ]
                    }
                ]
            }
        },
    ),
    "WildReceipt": (
        "WildReceipt",
        {
            "train.txt": json.dumps(
                {
                    "file_name": "image_files/a.jpg",
                    "height": 50,
                    "width": 100,
                    "annotations": [
                        {"box": [10, 10, 40, 10, 40, 20, 10, 20], "text": "TOTAL", "label": 1}
                    ],
                }
            )
        },
    ),
    "AIHub": ("AIHub", {"labels/a.json": {"Images": {"width": 100}, "bbox": [_AIHUB_BOX]}}),
    "AIHub, polygons": (
        "AIHub",
        {
            "labels/a.json": {
                "images": [{"identifier": "a"}],
                "annotations": [{"polygons": [{"text": "TOTAL", "points": _QUAD}]}],
            }
        },
    ),
    "TextOCR": (
        "COCO-Text or TextOCR",
        {
            "TextOCR_0.1_val.json": {
                "imgs": {"0a": {"id": "0a", "file_name": "train/a.jpg"}},
                "anns": {
                    "0a_1": {
                        "image_id": "0a",
                        "points": [10, 10, 40, 10, 40, 20, 10, 20],
                        "utf8_string": "TOTAL",
                    }
                },
            }
        },
    ),
    "Pascal VOC": (
        "Pascal VOC",
        {"images/a.xml": _VOC.format("<name>TOTAL</name>")},
    ),
    "VIA": ("VIA", {"via.json": {"a.jpg99": _VIA}}),
    "VIA, a project": ("VIA", {"via_project.json": {"_via_img_metadata": {"a.jpg99": _VIA}}}),
    "VIA, a polygon": (
        "VIA",
        {
            "via.json": {
                "a.jpg99": {
                    "filename": "a.jpg",
                    "regions": {
                        "0": {
                            "shape_attributes": {
                                "name": "polygon",
                                "all_points_x": [10, 40, 40, 10],
                                "all_points_y": [10, 10, 20, 20],
                            },
                            "region_attributes": {"Text": "TOTAL"},
                        }
                    },
                }
            }
        },
    ),
    "HierText": ("HierText", _hiertext({"vertices": _QUAD, "text": "TOTAL", "legible": True})),
    "words JSON": (
        "words JSON",
        {
            "words.json": {
                "images": {"a.jpg": {"words": {"1": {"points": _QUAD, "transcription": "TOTAL"}}}}
            }
        },
    ),
}


@pytest.mark.parametrize("name", _EACH_FORMAT)
def test_each_format_is_recognised_by_what_its_files_hold(
    name: str, root: Path, labelled: Callable[[Files], list[TextBox]]
) -> None:
    title, files = _EACH_FORMAT[name]
    (box,) = labelled(files)
    np.testing.assert_allclose(box.points, _QUAD)
    assert (box.text, box.ignore) == ("TOTAL", False)
    assert DataSet.read(root).labels.startswith(title)


_WITHOUT_TEXT: dict[str, Files] = {
    "docTR": {"labels.json": {"a.jpg": {"img_dimensions": [50, 100], "polygons": [_QUAD]}}},
    "docTR, classes": {"labels.json": {"a.jpg": {"polygons": {"words": [_QUAD]}}}},
    "YOLO, outlines": {"labels/a.txt": "0 0.1 0.2 0.4 0.2 0.4 0.4 0.1 0.4\n"},
    "YOLO, boxes": {"labels/a.txt": "0 0.25 0.3 0.3 0.2\n"},
    "TD500": {"gt/a.gt": "0 0 10 10 30 10 0.0\n"},
    "CTW1500, offsets": {
        "gt/a.txt": "10,10,40,20,0,0,30,0,30,10,0,10" + ",0,10" * 10,
    },
}


@pytest.mark.parametrize("name", _WITHOUT_TEXT)
def test_formats_without_transcriptions_have_outlines(
    name: str, labelled: Callable[[Files], list[TextBox]]
) -> None:
    (box,) = labelled(_WITHOUT_TEXT[name])
    np.testing.assert_allclose(box.points, _QUAD)
    assert (box.text, box.ignore) == (None, False)


_DONT_CARE: dict[str, Files] = {
    "RCTW-17": {"gt/a.txt": f'{_FLAT},1,"TOTAL"\n'},
    "ICDAR MLT": {"gt/a.txt": f"{_FLAT},Latin,###\n"},
    "Total-Text": {
        "gt/a.txt": "x: [[10 40 40 10]], y: [[10 10 20 20]], ornt: [u'#'], transcriptions: [u'#']"
    },
    "CTW1500": {"gt/a.txt": f"{_FLAT},#######\n"},
    "TD500": {"gt/a.gt": "0 1 10 10 30 10 0.0\n"},
    "PPOCRLabel": {"Label.txt": f'a.jpg\t[{{"transcription": "*", "points": {_QUAD}}}]'},
    "PPOCRLabel, difficult": {
        "Label.txt": f'a.jpg\t[{{"transcription": "x", "points": {_QUAD}, "difficult": true}}]'
    },
    "COCO": _coco(bbox=[10, 10, 30, 10], iscrowd=1),
    "AIHub": {"labels/a.json": {"bbox": [{**_AIHUB_BOX, "data": "xxx"}]}},
    "TextOCR": {
        "TextOCR_0.1_val.json": {
            "imgs": {"0a": {"id": "0a", "file_name": "train/a.jpg"}},
            "anns": {"1": {"image_id": "0a", "bbox": [10, 10, 30, 10], "utf8_string": "."}},
        }
    },
    "Pascal VOC": {"images/a.xml": _VOC.format("<name>x</name><difficult>1</difficult>")},
    "HierText": _hiertext({"vertices": _QUAD, "text": "", "legible": False}),
    "HierText, a line without words": _hiertext(),
}


@pytest.mark.parametrize("name", _DONT_CARE)
def test_what_a_format_calls_unreadable_is_dont_care(
    name: str, labelled: Callable[[Files], list[TextBox]]
) -> None:
    (box,) = labelled(_DONT_CARE[name])
    assert box.ignore


def test_text_turned_in_label_studio_and_td500_turns_clockwise(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    (box,) = labelled(_label_studio(x=50, y=20, width=20, height=20, rotation=90))
    # 20 pixels wide and 10 high, about its top left at (50, 10).
    np.testing.assert_allclose(box.points, [[50, 10], [50, 30], [40, 30], [40, 10]], atol=1e-9)


def test_an_xml_in_utf_16_is_read(root: Path, labelled: Callable[[Files], list[TextBox]]) -> None:
    (text,) = _EACH_FORMAT["CVAT, box"][1].values()
    labelled({"annotations.xml": str(text)})
    declared = f'<?xml version="1.0" encoding="utf-16"?>\n{text}'
    (root / "annotations.xml").write_text(declared, encoding="utf-16")
    assert DataSet.read(root).pages()[0].boxes[0].text == "TOTAL"


def test_a_class_of_labelme_is_no_transcription(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    shapes = [
        {"label": "text", "points": [[10, y], [40, y + 5]], "shape_type": "rectangle"}
        for y in (10, 20, 30)
    ]
    boxes = labelled({"images/a.json": {"imagePath": "a.jpg", "shapes": shapes}})
    assert [box.text for box in boxes] == [None, None, None]


def test_what_is_a_class_is_decided_for_all_parts_at_once(
    root: Path, write_page: WritePage
) -> None:
    classes = ["printed", "written"]
    for part, count in (("train", 30), ("val", 2)):
        image = write_page(part, "a", size=(100, 50))
        (root / part / "gt" / "a.txt").unlink()
        shapes = [
            {"label": classes[i % 2], "points": [[10, i], [40, i + 5]], "shape_type": "rectangle"}
            for i in range(count)
        ]
        tree = {"imagePath": "a.jpg", "shapes": shapes}
        image.with_suffix(".json").write_text(json.dumps(tree), encoding="utf-8")
    train, val = DataSet.read(root).pages()
    assert {box.text for box in (*train.boxes, *val.boxes)} == {None}


_TEN = "10,10,20,10,30,10,40,10,40,20,30,20,20,20,10,20,10,18,10,15"


def test_outlines_of_one_size_without_a_header_are_polygons(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    boxes = labelled({"gt/a.txt": f"{_TEN},SHOP\n{_TEN},12,000\n"})
    assert [(len(box.points), box.text) for box in boxes] == [(10, "SHOP"), (10, "12,000")]


@pytest.mark.parametrize("text", ["1,250.00", "12,000", "12,50", "1.250,00", "27,JALAN DEDAP"])
def test_amounts_behind_a_quad_stay_text(
    text: str, labelled: Callable[[Files], list[TextBox]]
) -> None:
    boxes = labelled({"gt/a.txt": f"{_FLAT},{text}\n{_FLAT},TOTAL\n"})
    assert [box.text for box in boxes] == [text, "TOTAL"]


def test_quads_beside_polygons_are_refused_and_a_format_decides(
    root: Path, labelled: Callable[[Files], list[TextBox]]
) -> None:
    with pytest.raises(DataError, match="1 of 2 lines begin with more than 8 numbers") as refused:
        labelled({"gt/a.txt": f"{_FLAT},TOTAL\n{_TEN},SHOP\n"})
    assert "--format polygons" in str(refused.value)
    pages = DataSet.read(root, Reading(format="polygons")).pages()
    assert [len(box.points) for box in pages[0].boxes] == [4, 10]


def test_a_quad_with_a_damaged_number_is_no_rectangle(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    with pytest.raises(DataError, match="field 5 of the 8 coordinates is 'l40', not a number"):
        labelled({"gt/a.txt": "10,10,40,10,l40,20,10,20,TOTAL\n"})


def test_a_script_before_some_texts_only_is_refused(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    with pytest.raises(DataError, match="1 of 2 lines name a script"):
        labelled({"gt/a.txt": f"{_FLAT},Latin,TOTAL\n", "gt/b.txt": f"{_FLAT},TOTAL\n"})


def test_labels_of_two_kinds_are_refused_and_a_format_decides(
    root: Path, labelled: Callable[[Files], list[TextBox]]
) -> None:
    with pytest.raises(
        DataError, match=r"ICDAR 2015.* and COCO.*both label a\.jpg|COCO.* and ICDAR"
    ):
        labelled({"gt/a.txt": f"{_FLAT},ICDAR\n", **_coco(bbox=[10, 10, 30, 10], text="COCO")})
    for key, text in (("icdar", "ICDAR"), ("coco", "COCO")):
        assert DataSet.read(root, Reading(format=key)).pages()[0].boxes[0].text == text
    with pytest.raises(DataError, match="there is no format 'nonsense'"):
        DataSet.read(root, Reading(format="nonsense"))


@pytest.mark.parametrize("damage", ['{"shapes": [', "[1, 2", '{"a": 1, "a": 2}'])
def test_json_that_is_damaged_is_an_error_of_its_file(
    damage: str, labelled: Callable[[Files], list[TextBox]]
) -> None:
    with pytest.raises(DataError, match=r"images/a\.json: not JSON"):
        labelled({"images/a.json": damage, "gt/b.txt": f"{_FLAT},x"})


def test_an_entry_that_is_no_box_is_an_error_of_its_own(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    with pytest.raises(DataError, match=r"annotations\.json:annotation 1: has neither"):
        labelled(_coco(text="TOTAL"))


_ODD: list[object] = [None, 5, "x", [], {}, 10**400, [None], {"x": None}]


def _with_each_node_replaced(tree: object, by: object) -> Iterator[object]:
    yield by
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from ({**tree, key: other} for other in _with_each_node_replaced(value, by))
    elif isinstance(tree, list):
        for i, value in enumerate(tree):
            for other in _with_each_node_replaced(value, by):
                yield [*tree[:i], other, *tree[i + 1 :]]


@pytest.mark.parametrize(
    "name", [name for name, (_, files) in _EACH_FORMAT.items() if ".json" in str(files)]
)
def test_whatever_stands_anywhere_in_a_json_ends_in_boxes_or_an_error(
    name: str, root: Path, labelled: Callable[[Files], list[TextBox]]
) -> None:
    ((place, tree),) = _EACH_FORMAT[name][1].items()
    labelled({place: tree})
    for odd in _ODD:
        for other in _with_each_node_replaced(tree, odd):
            (root / place).write_text(json.dumps(other), encoding="utf-8")
            with suppress(DetsweepError):
                DataSet.read(root).pages()


def test_a_region_of_label_studio_with_a_label_and_a_text_is_one_box(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    files = _label_studio(x=10, y=20, width=30, height=20, rotation=0)
    results = files["project.json"][0]["annotations"][0]["result"]  # type: ignore[index]
    results.insert(1, {**results[0], "type": "labels"})
    assert [box.text for box in labelled(files)] == ["TOTAL"]


def test_annotations_of_coco_whose_image_is_not_there_are_said(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    files = _coco(bbox=[10, 10, 30, 10])
    tree: Any = files["annotations.json"]
    tree["annotations"].append({"image_id": "7", "bbox": [10, 30, 30, 10]})
    tree["annotations"].append({"image_id": 99, "bbox": [10, 30, 30, 10]})
    with pytest.raises(DataError, match="image_id 99 of 1 annotation: no such image"):
        labelled(files)


def test_a_box_of_coco_turns_as_cvat_says(labelled: Callable[[Files], list[TextBox]]) -> None:
    (box,) = labelled(_coco(bbox=[10, 20, 30, 10], attributes={"rotation": 90}))
    np.testing.assert_allclose(box.points, [[30, 10], [30, 40], [20, 40], [20, 10]], atol=1e-9)


def test_what_cord_says_not_to_care_about_is_dont_care(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    tree: Any = dict(_EACH_FORMAT["CORD"][1]["json/a.json"])  # type: ignore[call-overload]
    quad = tree["valid_line"][0]["words"][0]["quad"]
    boxes = labelled({"json/a.json": {**tree, "dontcare": [[quad]]}})
    assert [box.ignore for box in boxes] == [False, True]


def test_quoted_texts_keep_their_quotes_and_marks(
    labelled: Callable[[Files], list[TextBox]],
) -> None:
    boxes = labelled({"gt/a.txt": f'{_FLAT},"###"\n{_FLAT},"say ""hi"""\n'})
    assert [(box.text, box.ignore) for box in boxes] == [(None, True), ('say "hi"', False)]


def test_a_text_without_a_script_is_kept_by_mlt(
    root: Path, labelled: Callable[[Files], list[TextBox]]
) -> None:
    labelled({"gt/a.txt": f"{_FLAT},1,250.00\n"})
    (box,) = DataSet.read(root, Reading(format="icdar_mlt")).pages()[0].boxes
    assert box.text == "1,250.00"


def test_a_width_and_a_height_are_no_corner(labelled: Callable[[Files], list[TextBox]]) -> None:
    with pytest.raises(DataError, match="are they a width and a height"):
        labelled({"gt/a.txt": '60, 40, 30, 10, "TOTAL"\n'})


def test_a_note_beside_the_labels_is_left_out(
    root: Path, labelled: Callable[[Files], list[TextBox]]
) -> None:
    note = "1. These are receipts.\n2. They were scanned.\n"
    assert len(labelled({"gt/a.txt": f"{_FLAT},x", "readme.txt": note, "empty.txt": ""})) == 1
    skipped = [p.file for p in DataSet.read(root).problems if p.level == "skip"]
    assert skipped[:2] == ["empty.txt", "readme.txt"]


def test_names_differ_by_case_and_by_code_points(root: Path, write_page: WritePage) -> None:
    composed, decomposed = "Überweisung", "U\u0308berweisung"
    write_page(name=composed)
    (root / f"gt/{composed}.txt").rename(root / f"gt/{decomposed.upper()}.TXT")
    assert len(DataSet.read(root).pages()) == 1


def test_images_with_labels_beside_them_are_a_data_set(root: Path, write_page: WritePage) -> None:
    write_page(name="a")
    root.joinpath("images/a.jpg").rename(root / "a.jpg")
    root.joinpath("gt/a.txt").rename(root / "a.txt")
    assert [page.name for page in DataSet.read(root).pages()] == ["a.jpg"]


def test_parts_may_stand_below_the_images(root: Path, write_page: WritePage) -> None:
    for part in ("train", "val"):
        write_page(part, "a")
        (root / "images").mkdir(exist_ok=True)
        (root / "labels").mkdir(exist_ok=True)
        (root / part / "images").rename(root / "images" / part)
        (root / part / "gt").rename(root / "labels" / part)
        (root / part).rmdir()
    held_out = {page.name: page.held_out for page in DataSet.read(root).pages()}
    assert held_out == {"images/train/a.jpg": False, "images/val/a.jpg": True}


def test_a_file_of_all_labels_says_by_its_name_which_part_it_is_of(
    root: Path, write_page: WritePage
) -> None:
    for part in ("train2017", "val2017"):
        image = write_page(part, "a")
        image.rename(root / part / "a.jpg")
        (root / part / "images").rmdir()
        (root / part / "gt/a.txt").unlink()
        (root / "annotations").mkdir(exist_ok=True)
        tree = {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "annotations": [{"image_id": 1, "bbox": [2, 2, 20, 8], "text": part}],
        }
        path = root / "annotations" / f"instances_{part}.json"
        path.write_text(json.dumps(tree), encoding="utf-8")
    pages = DataSet.read(root).pages()
    assert [(page.boxes[0].text, page.held_out) for page in pages] == [
        ("train2017", False),
        ("val2017", True),
    ]


def test_one_file_of_all_labels_may_lie_beside_the_parts(root: Path, write_page: WritePage) -> None:
    lines = []
    for part in ("train", "val"):
        for name in ("a", part):
            write_page(part, name)
            (root / part / f"gt/{name}.txt").unlink()
            box = [{"transcription": f"{part} {name}", "points": _QUAD}]
            lines.append(f"{part}/images/{name}.jpg\t{json.dumps(box)}\n")
    (root / "Label.txt").write_text("".join(lines), encoding="utf-8")
    pages = DataSet.read(root).pages()
    assert [page.boxes[0].text for page in pages] == ["train a", "train train", "val a", "val val"]


def test_of_several_parts_a_person_says_which_is_held_out(
    root: Path, write_page: WritePage
) -> None:
    for part in ("train", "valid", "Test"):
        write_page(part, "a")
    with pytest.raises(DataError, match="2 parts that may be held out: Test, valid") as refused:
        DataSet.read(root)
    assert "--held-out" in str(refused.value)
    held_out = {
        page.name.split("/")[0]: page.held_out
        for page in DataSet.read(root, Reading(held_out="Test")).pages()
    }
    assert held_out == {"train": False, "valid": False, "Test": True}
    with pytest.raises(DataError, match="there is no dev/ to hold out"):
        DataSet.read(root, Reading(held_out="dev"))
