"""A drawn SVG made fit to stand inside a page.

Colours become CSS variables, so that a figure follows the page into the dark; style attributes
become presentation attributes, so that the page needs no permission for inline styles; ids get
a prefix, so that two figures never meet.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from markupsafe import Markup

_DECIMAL = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_GEOMETRY = ("d", "x", "y", "transform", "stroke-dasharray", "width", "height")
_LEFT_TO_CSS = ("font-family", "font")


def inline_svg(
    svg: str, prefix: str, label: str, variables: Mapping[str, str], points: str = ""
) -> Markup:
    """Make an ``<svg>`` element for HTML from a whole SVG file.

    Parameters
    ----------
    svg : str
        The file, as written by our own drawing code.
    prefix : str
        Put before every id.
    label : str
        What the figure shows, for who cannot see it.
    variables : mapping of colour -> name of a CSS variable
        Colours as lower-case ``#rrggbb``.
    points : str
        Of `reports.hover.taken_points`.
    """
    root = ET.fromstring(svg)
    _drop_style_sheets(root)
    used = _referenced_ids(root)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        _expand_style(element, variables)
        _rename_ids(element, prefix, used)
        _shorten(element)
    _name_root(root, label)
    if points:
        root.set("data-points", points)
    return Markup(ET.tostring(root, encoding="unicode").replace("\n", " "))


def _drop_style_sheets(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)


def _referenced_ids(root: ET.Element) -> set[str]:
    used: set[str] = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(_REFERENCE.findall(value))
            if name.endswith("href") and value.startswith("#"):
                used.add(value[1:])
    return used


def _expand_style(element: ET.Element, variables: Mapping[str, str]) -> None:
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name and name not in _LEFT_TO_CSS:
            variable = variables.get(value)
            element.set(name, f"var(--{variable})" if variable else value)
    for name in ("fill", "stroke"):  # which patterns of hatches have as attributes
        variable = variables.get(element.get(name, ""))
        if variable:
            element.set(name, f"var(--{variable})")


def _rename_ids(element: ET.Element, prefix: str, used: set[str]) -> None:
    if element.get("id") in used:
        element.set("id", f"{prefix}-{element.get('id')}")
    else:
        element.attrib.pop("id", None)
    for name, value in list(element.attrib.items()):
        if name.endswith("href"):
            del element.attrib[name]
            element.set("href", f"#{prefix}-{value[1:]}" if value.startswith("#") else value)
        elif "url(#" in value:
            element.set(name, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))


def _shorten(element: ET.Element) -> None:
    if element.text is not None and not element.text.strip():
        element.text = None
    if element.tail is not None and not element.tail.strip():
        element.tail = None
    for name in _GEOMETRY:
        value = element.get(name)
        if value is not None:
            short = _DECIMAL.sub(lambda match: f"{float(match[0]):.2f}", value)
            element.set(name, " ".join(short.split()))


def _name_root(root: ET.Element, label: str) -> None:
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
