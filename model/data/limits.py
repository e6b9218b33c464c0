"""How much of outside data is taken in: bounds that the environment can change.

They are read when they are needed, so that workers of a run, which get its environment, keep to
the same ones.
"""

import os

from model.errors import DataError

MAX_PIXELS = 2**27
"""Of a picture, from its header: more is refused before anything is decoded."""

MAX_JSON_MIB = 2048
"""Of an annotations file; reading one takes some eight times its size in memory."""

PIXELS, JSON = "EVOLVE_MAX_PIXELS", "EVOLVE_MAX_JSON_MIB"


def max_pixels() -> int:
    """Most pixels of a picture: ``EVOLVE_MAX_PIXELS``, else `MAX_PIXELS`."""
    return _number(PIXELS, MAX_PIXELS)


def max_json_bytes() -> int:
    """Most bytes of an annotations file: ``EVOLVE_MAX_JSON_MIB``, else `MAX_JSON_MIB`."""
    return _number(JSON, MAX_JSON_MIB) << 20


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and 0 < len(text) <= 12 and int(text)):
        raise DataError(
            f"{name} is '{text[:40]}', not a positive whole number",
            "the environment",
            f"unset it, or set it to a number such as {default}",
        )
    return int(text)
