"""A score of 0.0: what is likely behind it, and when there is no point in going on."""

from collections.abc import Iterable

from detector.config.schema import Config
from detector.errors import TrainingError
from detector.evaluation.cleval.counts import DatasetScore

ENOUGH_EPOCHS = 5
"""A training that has found nothing by then has learnt nothing; after fewer it may just be slow."""


def is_worth_a_word(epoch: int, max_epochs: int) -> bool:
    """Whether to speak of a score of 0.0 after this epoch: after 1, 2, 4, 8, … and at the end."""
    return epoch == max_epochs or epoch & (epoch - 1) == 0


def likely_reason(score: DatasetScore, epoch: int, config: Config) -> str:
    """What to think of a score of 0.0, in a sentence for the log.

    Args:
        score: of the validation pages after `epoch`.
        config: that was trained with.
    """
    pages = f"{len(score.pages)} validation page{'s' * (len(score.pages) != 1)}"
    of_all = f"after epoch {epoch} of {config.trainer.max_epochs}"
    if score.counts.det_chars:
        return (
            f"{of_all} what the model finds on {pages} is nowhere text that is labelled. If it "
            "stays so, the labels do not fit the pages: see `detsweep data check`"
        )
    rate = config.models.optimizer.lr
    return (
        f"{of_all} the model finds nothing on {pages}. Early on that is usual; if it stays so, "
        f"models.optimizer.lr={rate:g} is too low or too high, the epochs have too few steps "
        "(data.crops_per_page raises them), or the labels do not fit (`detsweep data check`)"
    )


def refuse_to_go_on(scores: Iterable[float], max_epochs: int) -> None:
    """End a training that has found nothing in half of its epochs, and in enough of them.

    Args:
        scores: the H-Mean of each finished epoch.

    Raises:
        TrainingError: it has.
    """
    known = list(scores)
    if len(known) < ENOUGH_EPOCHS or 2 * len(known) < max_epochs or any(known):
        return
    raise TrainingError(
        f"the model has found no text in {len(known)} of {max_epochs} epochs",
        where="val/hmean 0.0",
        remedy="check the labels with `detsweep data check`; then change models.optimizer.lr by a "
        "factor of 3 to 10, or take a preset's, and train into another folder",
    )
