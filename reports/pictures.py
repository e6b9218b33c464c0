"""Figures as a report has them: files, and two drawings for the page."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from reports import figures
from reports.hover import taken_points
from reports.svg import inline_svg


@dataclass(frozen=True)
class Picture:
    """One figure: files, and for the page a wide and a narrow drawing."""

    name: str
    title: str
    caption: str
    files: dict[str, bytes]
    wide: Markup
    narrow: Markup


def make_picture(
    name: str,
    title: str,
    caption: str,
    wide: Figure,
    narrow: Figure | None = None,
    *,
    in_page: bool = True,
) -> Picture:
    """A drawn figure as files and for the page; `narrow` is for screens of phones.

    Parameters
    ----------
    name : str
        Of its files, and the start of the ids in it.
    title, caption : str
        Clean text.
    in_page : bool
        Whether the page has the wide drawing; the files have it always.
    """
    svg = figures.to_svg(wide)
    return Picture(
        name=name,
        title=title,
        caption=caption,
        files={".svg": svg.encode(), ".png": figures.to_png(wide)},
        wide=inline(svg, f"{name}-w", caption, wide) if in_page else Markup(""),
        narrow=Markup("")
        if narrow is None
        else inline(figures.to_svg(narrow), f"{name}-n", caption, narrow),
    )


def inline(svg: str, prefix: str, label: str, figure: Figure) -> Markup:
    """A figure that was written as SVG for the page, in the colours of the page."""
    return inline_svg(svg, prefix, label, figures.VARIABLES, taken_points(figure))


def picture_files(pictures: Iterable[Picture]) -> dict[str, bytes]:
    """The files of figures by their names in a report."""
    return {
        f"figures/{picture.name}{end}": data
        for picture in pictures
        for end, data in picture.files.items()
    }
