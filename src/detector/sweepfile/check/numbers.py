"""Numbers as a sweep file should hold them."""

import math
from collections.abc import Callable

_DIGITS = 2


def as_yaml(value: float) -> str:
    """A number that every YAML reads as one: 1e-5 has a dot here.

    >>> as_yaml(1e-05), as_yaml(0.0009), as_yaml(20), as_yaml(1e22)
    ('1.0e-05', '0.0009', '20', '1.0e+22')
    """
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text


def with_dot(number: str) -> str:
    """The same for a number as it was written.

    >>> with_dot("1e-5"), with_dot("2E6")
    ('1.0e-5', '2.0e+6')
    """
    mantissa, _, exponent = number.lower().partition("e")
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa}.0e{sign}{exponent}"


def round_down(value: float) -> float:
    """To two digits, so that the result is not above `value`.

    >>> round_down(0.000129), round_down(0.5)
    (0.00012, 0.5)
    """
    return _rounded(value, math.floor)


def round_up(value: float) -> float:
    """To two digits, so that the result is not below `value`."""
    return _rounded(value, math.ceil)


def _rounded(value: float, direction: Callable[[float], int]) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    places = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    # Rounded first, since 0.5 * 10 may come out as 4.999…
    scaled = round(value * 10.0**places, 6)
    return float(f"{direction(scaled)}e{-places}")
