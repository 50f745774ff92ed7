"""From where a data set lies to the pages that a command works on."""

from collections.abc import Sequence

from detector.config.schema import Config, DataConfig
from detector.console import say
from detector.data.alike import LEAK_REMEDY, Alike, find_alike, leak_in_words, leaks
from detector.data.data_set import AS_FOUND, DataSet, Reading
from detector.data.fit import likely_misfits
from detector.data.folds import Folds, make_folds, open_folds
from detector.data.page import Page
from detector.errors import DataError


def split_pages(config: Config) -> Folds:
    """The data set of a configuration, split into its folds.

    Raises:
        DataError: the data set cannot be read or split.
    """
    data = config.data
    data_set = DataSet.read(data.path, reading_of(data))
    pages = data_set.pages()
    for problem in likely_misfits(pages, data.max_pixels):
        say(f"warning: {problem.reason}; see `detsweep data check`")
    alike = find_alike(pages, data.max_pixels)
    if not data.allow_duplicates:
        _refuse_leaks(pages, alike)
    manifest = make_folds(pages, config.folds.count, config.seed, data.held_out_fraction, alike)
    return open_folds(data_set.root, manifest, reading_of(data))


def _refuse_leaks(pages: Sequence[Page], alike: Alike) -> None:
    found = leaks(pages, alike)
    if found:
        first, measuring = next(iter(found.items()))
        more = f" ({len(found) - 1} more pages too)" if len(found) > 1 else ""
        raise DataError(
            leak_in_words(measuring) + more,
            where=first,
            remedy=f"{LEAK_REMEDY}; `detsweep data check` lists all",
        )


def reading_of(data: DataConfig) -> Reading:
    """How a configuration wants its data set to be read."""
    return Reading(data.group_column, data.format, data.held_out, data.group_by)


def pages_to_measure(
    data: str, everything: bool = False, reading: Reading = AS_FOUND
) -> list[Page]:
    """The held-out pages of a data set; all of them where none is marked, or if `everything`.

    Args:
        data: a folder or an s3:// URL.
        everything: whether every page is taken.
        reading: what of the data set is decided already.

    Raises:
        DataError: the data set cannot be read.
    """
    pages = DataSet.read(data, reading).pages()
    held_out = [page for page in pages if page.held_out]
    return pages if everything or not held_out else held_out
