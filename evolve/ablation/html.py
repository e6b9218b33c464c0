"""Layouts as HTML tables for the page of a report.

The classes are those of the report's other tables (`reports/templates/macros.html.j2`): `number`,
`scroll`, `text`; and for what these do not have `tick` (a centred column), `group`, `dense` (a
table of many columns), `rows` (a heading of rows), `state` and `notes`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from markupsafe import Markup, escape

from evolve.ablation.layout import Align, Cell, Column, Layout, Note, Row
from evolve.ablation.render import clean

_MANY = 14  # columns, beyond which they stand closer, to be all in sight
_DENSE = Markup(' class="dense"')
_CLASSES: dict[Align, str] = {"left": "text", "center": "tick", "right": "number"}


def render_html(
    layout: Layout,
    *,
    id: str,
    kind: str = "short",
    links: Mapping[tuple[int, int], str] | None = None,
) -> Markup:
    """A table with its caption, and its notes below it.

    Parameters
    ----------
    layout : Layout
    id : str
        Of the table on its page; of any text its letters, digits and hyphens.
    kind : str
        Class of the region that scrolls: `short`, or `tall` with the headings kept in sight.
    links : mapping of (row, column) -> str, optional
        Where the text of cells leads to.

    Returns
    -------
    Markup
        All text escaped. Cells with a value have it in `data-value`, for sorting.
    """
    layout = layout.with_states()
    name = re.sub(r"[^A-Za-z0-9-]+", "-", id).strip("-") or "table"
    page = _Page(name, frozenset(note.key for note in layout.notes if note.key), links or {})
    lines = [
        Markup('<div class="scroll {}" role="region" aria-labelledby="{}-caption" tabindex="0">')
        .format(kind, name),
        Markup('<table id="{}"{}>').format(name, _DENSE if len(layout.columns) > _MANY else ""),
        Markup('<caption><span id="{}-caption">{}{}</span></caption>').format(
            name, clean(layout.title), page.references(layout.note)
        ),
        *page.head(layout.columns),
        *page.bodies(layout),
        Markup("</table>"),
        Markup("</div>"),
        *page.notes(layout),
    ]  # fmt: skip
    return Markup("\n").join(lines)


class _Page:
    """Knows which notes can be referred to, and which cells lead elsewhere."""

    def __init__(
        self, name: str, keys: frozenset[str], links: Mapping[tuple[int, int], str]
    ) -> None:
        self.name, self.keys, self.links = name, keys, links

    def references(self, note: str) -> Markup:
        """Links to notes; each letter is the key of one."""
        links = [
            Markup('<a href="#{}">{}</a>').format(self.anchor(key), key)
            if key in self.keys
            else escape(key)
            for key in clean(note)
        ]
        return Markup("<sup>{}</sup>").format(Markup("").join(links)) if links else Markup("")

    def anchor(self, key: str) -> str:
        """What a note is called on the page."""
        return f"{self.name}-note-{key if re.fullmatch('[A-Za-z0-9]', key) else ord(key)}"

    def head(self, columns: Sequence[Column]) -> Iterator[Markup]:
        yield Markup("<thead>")
        if any(column.group for column in columns):
            yield Markup("<tr>{}</tr>").format(Markup("").join(_groups(columns)))
        cells = [
            Markup('<th scope="col" class="{}">{}{}</th>').format(
                _CLASSES[column.align], clean(column.heading), self.references(column.note)
            )
            for column in columns
        ]
        yield Markup("<tr>{}</tr>").format(Markup("").join(cells))
        yield Markup("</thead>")

    def bodies(self, layout: Layout) -> Iterator[Markup]:
        """Rows; those below a heading are a part of their own."""
        yield Markup("<tbody>")
        for number, row in enumerate(layout.rows):
            if row.heading:
                if number:
                    yield Markup("</tbody>\n<tbody>")
                line = '<tr class="rows"><th scope="rowgroup" colspan="{}">{}</th></tr>'
                yield Markup(line).format(len(layout.columns), clean(row.heading))
            yield Markup("<tr>{}</tr>").format(
                Markup("").join(self.row(layout.columns, row, number))
            )
        yield Markup("</tbody>")

    def row(self, columns: Sequence[Column], row: Row, place: int) -> Iterator[Markup]:
        for number, (column, cell) in enumerate(zip(columns, row.cells, strict=True)):
            align = cell.align or column.align
            is_name = number == 0 and column.align == "left"
            link = self.links.get((place, number), "")
            yield self.cell(cell, _CLASSES[align], is_name=is_name, link=link)

    def cell(self, cell: Cell, kind: str, *, is_name: bool, link: str = "") -> Markup:
        text = escape(clean(cell.text))
        if link and text:
            text = Markup('<a href="{}">{}</a>').format(link, text)
        inner = Markup("<strong>{}</strong>").format(text) if cell.bold and text else text
        value = "" if cell.value is None else Markup(' data-value="{}"').format(_value(cell.value))
        inner += self.references(cell.note)
        if is_name:
            return Markup('<th scope="row" class="{}"{}>{}</th>').format(kind, value, inner)
        named = Markup(' class="{}"').format(kind) if kind != _CLASSES["left"] else ""
        return Markup("<td{}{}>{}</td>").format(named, value, inner)

    def notes(self, layout: Layout) -> Iterator[Markup]:
        """A list, of which those that are referred to have a name."""
        items = [self.note(note) for note in layout.notes]
        if layout.has_bold:
            bold = Markup("<li><strong>Bold</strong>: {}</li>").format(clean(layout.bold_means))
            items.insert(0, bold)
        if items:
            yield Markup('<ul class="notes">\n{}\n</ul>').format(Markup("\n").join(items))

    def note(self, note: Note) -> Markup:
        if not note.key:
            return Markup("<li>{}</li>").format(clean(note.text))
        at = Markup(' id="{}"').format(self.anchor(note.key)) if len(note.key) == 1 else ""
        line = "<li{}><sup>{}</sup> {}</li>"
        return Markup(line).format(at, clean(note.key), clean(note.text))


def _groups(columns: Sequence[Column]) -> Iterator[Markup]:
    for name, members in groupby(columns, key=lambda column: column.group):
        count = len(list(members))
        if name:
            line = '<th scope="colgroup" colspan="{}" class="group">{}</th>'
            yield Markup(line).format(count, clean(name))
        else:
            yield Markup('<td colspan="{}"></td>').format(count)


def _value(value: str | float) -> str:
    return clean(value) if isinstance(value, str) else repr(value)
