"""What a section of a report is made of, before it has a format."""

from dataclasses import dataclass, field

from matplotlib.figure import Figure

from reports.tables import Table


@dataclass(frozen=True, eq=False)
class Drawing:
    """One figure: the stem of its files, and its drawings for a wide page and a narrow one."""

    name: str
    title: str
    caption: str
    wide: Figure
    narrow: Figure | None = None


@dataclass(frozen=True)
class Photo:
    """One picture: the stem of its file, JPEG bytes, size in pixels, and what it shows."""

    name: str
    label: str
    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class PhotoRow:
    """Pictures that stand beside each other, with a line above."""

    title: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class TablePart:
    """A table: the stem of its files, and its caption."""

    name: str
    caption: str
    table: Table


@dataclass(frozen=True, eq=False)
class Section:
    """One section of a report; all texts are clean, not yet escaped.

    Attributes
    ----------
    key : str
        Anchor in the page.
    title, sentence : str
        `sentence` may be empty.
    drawings : tuple of Drawing
    photos : tuple of PhotoRow
    photo_caption : str
    tables : tuple of TablePart
    missing : str
        A sentence on what is not there and why; empty if nothing is missing.
    """

    key: str
    title: str
    sentence: str = ""
    drawings: tuple[Drawing, ...] = ()
    photos: tuple[PhotoRow, ...] = ()
    photo_caption: str = ""
    tables: tuple[TablePart, ...] = field(default=())
    missing: str = ""
