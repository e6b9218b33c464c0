"""Text that somebody else may have written, made harmless for pages, tables and spreadsheets."""

import re

from model.harmless import is_harmless, printable

__all__ = ["escape_formula", "escape_markdown", "is_harmless", "printable"]

_MARKDOWN = re.compile(r"([\\`*_\[\]|~$#!])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_markdown(text: str) -> str:
    """A clean line so that Markdown shows it as it is, but for what only the start of one does."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def escape_formula(text: str) -> str:
    """A clean line as a CSV cell that no spreadsheet takes for a formula."""
    is_formula = text[:1] in {"=", "+", "-", "@"} and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text
