"""A drawn SVG made fit to stand inside a page.

Colours become CSS variables, so that a figure follows the page into the dark; style attributes
become presentation attributes, so that the page needs no permission for inline styles; ids get
a prefix, so that two figures never meet.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from itertools import groupby

from markupsafe import Markup

_DECIMAL = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_GEOMETRY = ("d", "x", "y", "transform", "stroke-dasharray", "width", "height")
_LEFT_TO_CSS = ("font-family", "font")
_NO_TURN = re.compile(r"rotate\(-?0(\.0+)? [-\d.]+ [-\d.]+\)$")
_SPACES = re.compile(r" ?([A-Za-z]) ?")
_DRAWN = ("path", "use", "text")
_INHERITED = (
    *("fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap"),
    *("stroke-linejoin", "stroke-dasharray", "font-size", "font-weight", "text-anchor"),
)


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
    names = _short_ids(root)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        _expand_style(element, variables)
        _rename_ids(element, prefix, names)
        _shorten(element)
    for element in list(root.iter()):
        _unwrap(element)
    for element in list(root.iter()):
        _gather(element)
    _name_root(root, label)
    if points:
        root.set("data-points", points)
    return Markup(ET.tostring(root, encoding="unicode").replace("\n", " "))


def _drop_style_sheets(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)


def _short_ids(root: ET.Element) -> dict[str, str]:
    """Short names of the ids that something refers to, in the order of the drawing."""
    used: dict[str, None] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            used.update(dict.fromkeys(_REFERENCE.findall(value)))
            if name.endswith("href") and value.startswith("#"):
                used[value[1:]] = None
    return {name: str(place) for place, name in enumerate(used)}


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


def _rename_ids(element: ET.Element, prefix: str, names: Mapping[str, str]) -> None:
    known = names.get(element.get("id", ""))
    if known is not None:
        element.set("id", f"{prefix}-{known}")
    else:
        element.attrib.pop("id", None)
    for name, value in list(element.attrib.items()):
        if name.endswith("href"):
            del element.attrib[name]
            target = names.get(value[1:]) if value.startswith("#") else None
            element.set("href", value if target is None else f"#{prefix}-{target}")
        elif "url(#" in value:
            element.set(
                name, _REFERENCE.sub(lambda m: f"url(#{prefix}-{names.get(m[1], m[1])})", value)
            )


def _shorten(element: ET.Element) -> None:
    if element.text is not None and not element.text.strip():
        element.text = None
    if element.tail is not None and not element.tail.strip():
        element.tail = None
    if _NO_TURN.match(element.get("transform", "")):
        del element.attrib["transform"]
    for name in _GEOMETRY:
        value = element.get(name)
        if value is not None:
            short = " ".join(_DECIMAL.sub(_rounded, value).split())
            element.set(name, _SPACES.sub(r"\1", short) if name == "d" else short)


def _rounded(match: re.Match[str]) -> str:
    """A length with two decimals, one from ten on: a tenth of a point is not to be seen."""
    value = float(match[0])
    text = (f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}").rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _unwrap(parent: ET.Element) -> None:
    """Put what is in groups that say nothing in their place."""
    while any(_says_nothing(child) for child in parent):
        children = list(parent)
        for child in children:
            parent.remove(child)
        for child in children:
            parent.extend(list(child) if _says_nothing(child) else [child])


def _says_nothing(element: ET.Element) -> bool:
    return element.tag == "g" and not element.attrib


def _gather(parent: ET.Element) -> None:
    """Say once, in a group around them, what many neighbours have in common."""
    if parent.tag == "defs":
        return
    runs = [(key, list(run)) for key, run in groupby(parent, _inherited)]
    if len(runs) == len(parent):
        return
    for child in list(parent):
        parent.remove(child)
    for key, run in runs:
        parent.extend([_group(dict(key), run)] if key and len(run) > 2 else run)


def _inherited(element: ET.Element) -> tuple[tuple[str, str], ...]:
    """What an element would take over from a group around it."""
    if element.tag not in _DRAWN:
        return ()
    return tuple((name, element.attrib[name]) for name in _INHERITED if name in element.attrib)


def _group(common: dict[str, str], members: list[ET.Element]) -> ET.Element:
    group = ET.Element("g", common)
    for member in members:
        for name in common:
            del member.attrib[name]
        group.append(member)
    return group


def _name_root(root: ET.Element, label: str) -> None:
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
