"""What a terminal, or what stands in for one, can show of a table."""

import shutil
from typing import Any, TextIO

from evolve.cli.screen import has_colours

WIDEST, NARROWEST = 120, 60


def terminal_of(stream: TextIO) -> dict[str, Any]:
    """Width, ansi and encoding as `evolve.ablation.terminal.render_text` takes them."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    ansi = has_colours(stream)
    return {"width": width, "ansi": ansi, "encoding": stream.encoding or "ascii"}
