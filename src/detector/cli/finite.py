"""Options that are numbers: finite ones. To a parser of options `nan` and `inf` are numbers as good
as others, and NaN lies within any range."""

import math

import typer


def finite(number: float | None) -> float | None:
    """The callback of an option that is a number.

    Raises:
        typer.BadParameter: it is not finite.
    """
    if number is not None and not math.isfinite(number):
        raise typer.BadParameter(f"{number} is not a finite number")
    return number
