"""What candidates are called, known before there are any: a preference for a misspelt one is not to
be found out hours later."""

from collections.abc import Sequence

from detector.choosing.candidates import ACCURACY, BALANCE, SPEED
from detector.errors import ConfigError, did_you_mean
from detector.export.bits import Precision
from detector.model.published import PPOCR_V4_MOBILE

MEAN_OF_MAPS, MEAN_OF_WEIGHTS, CONSENSUS = "mean of maps", "mean of weights", "consensus of boxes"


def fold_name(number: int) -> str:
    """The candidate that is a fold's own model.

    >>> fold_name(0)
    'fold 0'
    """
    return f"fold {number}"


def mean_of_weights(count: int, of: int) -> str:
    """The candidate whose weights are the mean of those of the best `count` models.

    >>> mean_of_weights(2, of=3), mean_of_weights(3, of=3)
    ('mean of weights, best 2', 'mean of weights')
    """
    return MEAN_OF_WEIGHTS if count == of else f"{MEAN_OF_WEIGHTS}, best {count}"


def with_precision(made_of: str, precision: Precision) -> str:
    """The candidate in a file of so many bits.

    >>> with_precision("fold 0", Precision.INT8), with_precision("fold 0", Precision.FLOAT32)
    ('fold 0, int8', 'fold 0')
    """
    return made_of if precision is Precision.FLOAT32 else f"{made_of}, {precision}"


def untrained(published: str) -> str:
    """The candidate that is a detector of others, as they published it.

    >>> untrained("ppocr_v4_mobile")
    'ppocr_v4_mobile, untrained'
    """
    return f"{published}, untrained"


def candidate_names(folds: Sequence[int]) -> list[str]:
    """Every candidate that may be made of the models of some folds, and the detector of others
    where it is installed."""
    joined = [mean_of_weights(count, len(folds)) for count in range(2, len(folds) + 1)]
    if len(folds) > 1:
        joined += [MEAN_OF_MAPS, CONSENSUS]
    others = [untrained(PPOCR_V4_MOBILE.name)] if PPOCR_V4_MOBILE.file else []
    whole = [*map(fold_name, folds), *joined, *others]
    return [with_precision(name, precision) for name in whole for precision in Precision]


def require_preference(prefer: str, folds: Sequence[int]) -> None:
    """Refuse a preference that no model of these folds can meet.

    Raises:
        ConfigError: it is no rule, and no candidate has this name.
    """
    rules = [BALANCE, ACCURACY, SPEED]
    names = candidate_names(folds)
    if prefer in (*rules, *names):
        return
    whole = [name for name in names if not name.endswith(tuple(Precision))]
    raise ConfigError(
        f"there is no candidate {prefer!r}{did_you_mean(prefer, [*rules, *names])}",
        where="prefer",
        remedy=f"choose one of {', '.join(rules)}, or one candidate: {', '.join(whole)}, with "
        f"', {Precision.FLOAT16}' or ', {Precision.INT8}' behind it for fewer bits",
    )
