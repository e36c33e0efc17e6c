"""The 29 symbols of the benchmark, and their ids.

Id 0 is the blank of CTC; then come the apostrophe, A to Z, and the space between words (the MLPerf reference's labels).
"""

from collections.abc import Iterable

SYMBOLS = "_'ABCDEFGHIJKLMNOPQRSTUVWXYZ "
"""Symbol of each id, in order of the ids; `_` stands for the blank."""

BLANK = 0
"""Id of CTC's blank."""

# Without the blank: an underscore in a transcript is an error, not a blank.
_ID = {symbol: index for index, symbol in enumerate(SYMBOLS) if index != BLANK}


def unknown_symbols(text: str) -> str:
    """Return the characters of `text` that are outside the alphabet, each once, in order of appearance."""
    return "".join(dict.fromkeys(symbol for symbol in text if symbol not in _ID))


def encode(text: str) -> list[int]:
    """Return the ids of the symbols of `text`. Raises ValueError on a character outside the alphabet."""
    unknown = unknown_symbols(text)
    if unknown:
        raise ValueError(f"{unknown!r} is outside the alphabet (A to Z, apostrophe, space)")
    return [_ID[symbol] for symbol in text]


def decode(ids: Iterable[int]) -> str:
    """Return the text of symbol ids, none of which may be the blank."""
    return "".join(SYMBOLS[index] for index in ids)
