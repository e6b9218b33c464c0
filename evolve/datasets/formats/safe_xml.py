"""XML from outside as a small tree with line numbers: no DTD, no entities, bounded.

A DOCTYPE is refused before anything in it is read, so there is no entity to expand or to fetch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from evolve.datasets.formats.common import LIMIT_TEXT_BYTES, Unreadable, read_bytes

LIMIT_DEPTH = 32
LIMIT_ELEMENTS = 200_000


@dataclass(slots=True)
class Element:
    """An element: its name, the line it begins on, its text and its children."""

    name: str
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Element"]:
        """Children of a name."""
        return (child for child in self.children if child.name == name)

    def first(self, name: str) -> "Element | None":
        """The first child of a name."""
        return next(self.all(name), None)

    def text_of(self, name: str) -> str:
        """Text of the first child of a name, without the space around it; empty if none is."""
        child = self.first(name)
        return child.text.strip() if child else ""


def read_xml(path: Path) -> Element:
    """Root element of a file; `Unreadable` where it is no XML, or more than is allowed."""
    return parse_xml(read_bytes(path, LIMIT_TEXT_BYTES))


def parse_xml(data: bytes) -> Element:
    """As `read_xml`, of its content."""
    builder = _Builder()
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise Unreadable(f"it is broken XML: {what} in line {error.lineno}") from None
    except (LookupError, ValueError) as error:
        raise Unreadable(f"its encoding cannot be read: {error}") from None
    assert builder.root is not None  # expat refuses a document without an element
    return builder.root


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._count = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > LIMIT_ELEMENTS:
            raise Unreadable(f"it has more than {LIMIT_ELEMENTS:,} elements")
        if len(self._open) >= LIMIT_DEPTH:
            raise Unreadable(f"it is more than {LIMIT_DEPTH} levels deep")
        element = Element(name, self.parser.CurrentLineNumber)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if self._open and not self._open[-1].children:  # of a leaf: the rest is layout
            self._open[-1].text += text

    def _refuse_doctype(self, *_: object) -> None:
        raise Unreadable("it has a DOCTYPE, which may define entities")
