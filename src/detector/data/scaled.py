"""Pages at the network's scale, read once: training and validation see each of them every epoch."""

from collections.abc import Sequence

from detector.config.schema import DataConfig
from detector.data.images import read_image
from detector.data.page import Page
from detector.data.resize import ResizedPage, resize_page


class ScaledPages:
    """The resized pictures of `pages`, kept in memory up to a bound and read again beyond it.

    Args:
        pages: whose images to read.
        data: how to scale them, and the most pixels that an image may have.
        max_bytes: how much to keep.
    """

    def __init__(self, pages: Sequence[Page], data: DataConfig, max_bytes: int = 2 * 2**30):
        self._pages = pages
        self._data = data
        self._kept: dict[int, ResizedPage] = {}
        self._free_bytes = max_bytes

    def __getitem__(self, index: int) -> ResizedPage:
        """The page with this number.

        Raises:
            DataError: the image cannot be read, or has more than `data.max_pixels` pixels.
        """
        if index in self._kept:
            return self._kept[index]
        image = read_image(self._pages[index].image, self._data.max_pixels)
        resized = resize_page(image, self._data.resize)
        if resized.pixels.nbytes <= self._free_bytes:
            self._kept[index] = resized
            self._free_bytes -= resized.pixels.nbytes
        return resized
