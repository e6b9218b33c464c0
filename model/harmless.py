"""Text that somebody else may have written, made harmless where it is printed."""

import re
import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_OWN_BREAK = re.compile(r"\n(?=  )")  # of a message of ours that lists something


def is_harmless(character: str) -> bool:
    """Whether it is no control, surrogate, direction or line break character."""
    return unicodedata.category(character) not in _CONTROL and character not in _BIDI


def printable(text: str, keep: str = "") -> str:
    """`text` with '?' for whatever could command a terminal, or begin a new line.

    Parameters
    ----------
    text : str
    keep : str
        Characters that are left all the same.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or is_harmless(c) else "?" for c in text)


def printable_message(text: str) -> str:
    """`printable`, with line breaks of ours left: those with an indented line behind them."""
    return "\n".join(map(printable, _OWN_BREAK.split(text)))
