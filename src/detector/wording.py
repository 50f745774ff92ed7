"""Numbers in sentences."""


def counted(count: int, noun: str) -> str:
    """A count and what is counted, in the right number.

    >>> counted(1, "page"), counted(0, "epoch"), counted(2, "box")
    ('1 page', '0 epochs', '2 boxes')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith(('s', 'x', 'tch')) else 's'}"
