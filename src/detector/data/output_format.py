"""The formats that text is written in, of a data set or as a model found it."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """What `data convert --to` and `predict --to` take."""

    ICDAR = "icdar"
    WORDS = "words"
    PPOCR_LABEL = "ppocr_label"
    LABELME = "labelme"
    COCO = "coco"
    ALTO = "alto"
    PAGE = "page"
    HOCR = "hocr"

    @property
    def is_for_archives(self) -> bool:
        """Whether it is a file of its own for each page, which describes an image that lies
        elsewhere. The others are data sets, which are read back."""
        return self in {OutputFormat.ALTO, OutputFormat.PAGE, OutputFormat.HOCR}
