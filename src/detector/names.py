"""Names that are no valid UTF-8: Linux has such files, and no JSON, CSV or HTML can hold them."""

from detector.errors import DetsweepError

REMEDY = "rename it: no JSON, CSV or HTML can hold such a name"


def is_utf8(name: str) -> bool:
    r"""Whether a name can be written down.

    >>> is_utf8("café"), is_utf8("caf\udce9")
    (True, False)
    """
    return name == readable(name)


def readable(name: str) -> str:
    r"""The name with what cannot be written down spelt out.

    >>> print(readable("café"), readable("caf\udce9"))
    café caf\udce9
    """
    return name.encode("utf-8", "backslashreplace").decode()


def require_utf8(name: str, where: str) -> None:
    """Refuse a name that no result could hold, before there is a result.

    Raises:
        DetsweepError: it is no valid UTF-8.
    """
    if not is_utf8(name):
        raise DetsweepError(
            f"the name {readable(name)} is no valid UTF-8", where=where, remedy=REMEDY
        )
