"""Templates filled in: a page that needs nothing else, or Markdown.

A page has its style sheet and its script within it and may load nothing and run nothing else:
its content policy names both by their digests.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import tables
from reports.place import GENERATOR
from reports.text import (
    duration,
    listed,
    markdown,
    markdown_name,
    percent,
    plural,
    points,
)

TEMPLATES = Path(__file__).parent / "templates"
RELOAD_S = 5


def render_page(name: str, context: dict[str, Any], *, reload: bool = False) -> bytes:
    """Fill in a template that extends ``base.html.j2``.

    Parameters
    ----------
    name : str
        Of the template.
    context : dict
        All text in it is escaped.
    reload : bool
        The page loads itself again every `RELOAD_S` seconds.
    """
    style, script = _asset("style.css"), _asset("script.js")
    assets = {
        "generator": GENERATOR,
        "style": style,
        "style_hash": _digest(style),
        "script": script,
        "script_hash": _digest(script),
        "reload": RELOAD_S if reload else 0,
    }
    return render_text(name, context | assets).encode()


def render_text(name: str, context: dict[str, Any]) -> str:
    """Fill in a template."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "points": points,
        "duration": duration,
        "listed": listed,
        "whole": whole_options,
        "md": markdown,
        "md_name": markdown_name,
        "md_table": tables.to_markdown,
    }
    environment.globals["plural"] = plural
    return environment.get_template(name).render(context)


def whole_options(text: str) -> Markup:
    """Text for a page in which no line ends within an option of a command, after its hyphens."""
    return Markup(re.sub(r"--[a-z-]+", r'<span class="marked">\g<0></span>', escape(text)))


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
