"""The gate at the end: is the new model better than the one in use, by more than noise?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from detector.choosing.pages import PageScores
from detector.choosing.promotion import Promotion, judge, judge_number
from detector.console import say
from detector.data.page import Page
from detector.errors import DataError, ExportError
from detector.export.engine import Engine
from detector.patience import SHORT_PATIENCE_S
from detector.storage.run_store import RunStore
from detector.storage.scratch import scratch_folder
from detector.wording import counted


def compare_with_baseline(model: PageScores, pages: Sequence[Page], baseline: str) -> Promotion:
    """Compare a model's counts with a baseline.

    Args:
        model: the model's counts on `pages`.
        pages: labelled pages that neither was trained on.
        baseline: an ONNX file that detsweep exported (a path or a URL), which is run on the same
            pages; or an H-Mean from 0 to 1.

    Raises:
        DataError: the number is no H-Mean.
        ExportError: the file is missing or no model.
    """
    number = as_hmean(baseline)
    if number is not None:
        return judge_number(model, number)
    say(f"measuring the baseline {baseline} on {counted(len(pages), 'page')}")
    with _local(baseline) as path:
        return judge(model, measure(path, pages), baseline)


def measure(model: Path, pages: Sequence[Page], engine: Engine = Engine.ONNXRUNTIME) -> PageScores:
    """The counts of an exported model on labelled pages.

    Raises:
        ExportError: the file is missing or no model.
    """
    from detector.evaluation.scoring import score_pages  # noqa: PLC0415
    from detector.export.detector import Detector  # noqa: PLC0415  # it loads what finds its work done saves

    detector = Detector(model, engine)
    scores = score_pages(pages, detector, detector.card.max_pixels())
    return PageScores.of(pages, scores.cleval)


def require_baseline(baseline: str) -> None:
    """Refuse a baseline that nothing could be compared with, before there is anything to compare.

    Args:
        baseline: see `compare_with_baseline`.

    Raises:
        DataError, ExportError, StoreError: as by `compare_with_baseline`.
    """
    if as_hmean(baseline) is not None:
        return
    with _local(baseline, SHORT_PATIENCE_S) as path:
        if not path.is_file():
            raise ExportError(
                "there is no such baseline",
                where=baseline,
                remedy="give an ONNX file that detsweep exported, its URL, or an H-Mean such as "
                "0.9714",
            )
        from detector.export.model import Model  # noqa: PLC0415  # it loads onnx

        Model(path).card  # noqa: B018  # which says that detsweep can run it


def as_hmean(baseline: str) -> float | None:
    """The baseline as a number; None where it names a file.

    Raises:
        DataError: the number is no H-Mean.
    """
    try:
        number = float(baseline)
    except ValueError:
        return None
    if not 0 <= number <= 1:
        raise DataError(
            f"{baseline} is no H-Mean",
            where="baseline",
            remedy="give a number from 0 to 1, such as 0.9714, or an ONNX file",
        )
    return number


@contextmanager
def _local(url: str, patience_s: float | None = None) -> Iterator[Path]:
    """Where the file lies, or a copy of it. There is none at the path where there is no such file.

    Raises:
        StoreError: its store cannot be read.
    """
    if "://" not in url:
        yield Path(url)
        return
    folder, _, name = url.rpartition("/")
    with scratch_folder("baseline") as scratch:
        copy = scratch / name
        RunStore(folder, patience_s).get_file(name, copy)
        yield copy
