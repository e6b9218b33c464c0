"""Text that somebody else may have written, made harmless for pages, tables and spreadsheets."""

import re
import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$#!])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def is_harmless(character: str) -> bool:
    """Whether it is no control, surrogate or direction character."""
    return unicodedata.category(character) not in {"Cc", "Cs"} and character not in _BIDI


def escape_markdown(text: str) -> str:
    """A clean line so that Markdown shows it as it is, but for what only the start of one does."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def escape_formula(text: str) -> str:
    """A clean line as a CSV cell that no spreadsheet takes for a formula."""
    is_formula = text[:1] in {"=", "+", "-", "@"} and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text
