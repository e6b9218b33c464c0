r"""Layouts as LaTeX tables that need booktabs and siunitx alone.

A file is made to be \input into a paper. It also compiles alone: a preamble at its top is skipped
where the class is loaded already, which \usepackage tells, for until then it is an error message.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from evolve.ablation.latex_columns import TexColumn, raised, tex_column, width_pt
from evolve.ablation.latex_fit import Fit, fitted
from evolve.ablation.latex_text import CHECK_MARK, latex
from evolve.ablation.layout import Layout
from evolve.ablation.render import clean

TEXT_WIDTH_PT, TEXT_HEIGHT_PT = 345.0, 550.0  # of the class article
_COLUMN_PT = 235.0  # of papers in two columns, across both of which wider tables go
_MARGIN_PT = 36.0
_SLACK = 1.05  # widths of text are near what they will be
_NOTE_PT, _NOTE_SCALE, _CAPTION_PT = 9.5, 0.85, 12.0
_NUMBERED = re.compile(r"Table \d+: ")

_ALONE = r"""% Needs \usepackage{{booktabs,siunitx}} (siunitx 3). \input this, or compile it alone.
\ifx\usepackage\RequirePackage\else
\documentclass{{article}}
\usepackage{{booktabs,siunitx}}
\setlength{{\textwidth}}{{{width:.0f}pt}}\setlength{{\textheight}}{{{height:.0f}pt}}
\setlength{{\oddsidemargin}}{{-{shift:.0f}pt}}\setlength{{\topmargin}}{{-{shift:.0f}pt}}
\setlength{{\headheight}}{{0pt}}\setlength{{\headsep}}{{0pt}}
\setlength{{\paperwidth}}{{{page_width:.0f}pt}}\setlength{{\paperheight}}{{{page_height:.0f}pt}}
\ifdefined\pdfpagewidth\pdfpagewidth=\paperwidth\pdfpageheight=\paperheight\fi
\ifdefined\pagewidth\pagewidth=\paperwidth\pageheight=\paperheight\fi
\begin{{document}}
\pagestyle{{empty}}
\def\endalone{{\end{{document}}}}
\fi
"""
_END = "\\csname endalone\\endcsname\n"
_NUMBERS = (
    r"\sisetup{mode=text, reset-text-series=false, group-digits=none,"
    "\n  retain-explicit-plus, table-align-text-after=false}"
)
# bold digits as wide as others, so that they stay in line; signs of fonts that all have
_SIGNS = (r"\renewcommand{\bfdefault}{b}", r"\renewcommand{\textminus}{\ensuremath{-}}")
_CHECK = rf"\providecommand{{{CHECK_MARK}}}{{{{\usefont{{U}}{{msa}}{{m}}{{n}}\symbol{{88}}}}}}"


def render_latex(
    layout: Layout,
    *,
    label: str,
    caption: str | None = None,
    width: float = TEXT_WIDTH_PT,
    height: float = TEXT_HEIGHT_PT,
) -> str:
    """A file of LaTeX with the table, on several pages if it has very many rows.

    Parameters
    ----------
    layout : Layout
    label : str
        What the paper refers to; of any text its letters, digits and ``:.+-``.
    caption : str, optional
        In place of the title, which is taken without the number of a published table.
    width, height : float
        Of the paper's text in points, which the size of the font is chosen for.

    Returns
    -------
    str
        ASCII. A table that is wider at any size is centred and reaches into both margins.
    """
    layout = layout.with_states()
    columns = [
        tex_column(column, [row.cells[i] for row in layout.rows])
        for i, column in enumerate(layout.columns)
    ]
    title = _NUMBERED.sub("", layout.title, count=1) if caption is None else caption
    around = _around_pt(layout, title, width)
    left = max(height - around, height / 2)
    fit = fitted(columns, [bool(row.heading) for row in layout.rows], width, left)
    pages = fit.pages(left)
    used = max(fit.head_pt + sum(fit.lines[i] for i in page) for page in pages)
    parts = [_alone(max(width, fit.width_pt * _SLACK), used * _SLACK + around)]
    for number, page in enumerate(pages):
        body = _tabular(layout, columns, fit, page)
        is_last = number == len(pages) - 1
        notes = list(_notes(layout)) if is_last else []
        parts.append(_float(layout, title, label, number, fit, body, notes, width))
    return "\n".join(parts) + _END


def _around_pt(layout: Layout, title: str, width: float) -> float:
    """About how high the caption and the notes are."""
    texts = [f"{note.key} {note.text}" for note in layout.notes] + [layout.bold_means]
    notes = sum(math.ceil(width_pt(text) * _NOTE_SCALE * _SLACK / width) for text in texts)
    caption = math.ceil((width_pt(title) + 50) * _SLACK / width)
    return notes * _NOTE_PT + caption * _CAPTION_PT + 24


def _alone(width: float, height: float) -> str:
    """What makes a document of the file, with a page as large as the table."""
    return _ALONE.format(
        width=math.ceil(width),
        height=math.ceil(height),
        shift=72.27 - _MARGIN_PT,
        page_width=math.ceil(width) + 2 * _MARGIN_PT,
        page_height=math.ceil(height) + 2 * _MARGIN_PT,
    )


def _float(
    layout: Layout,
    title: str,
    label: str,
    number: int,
    fit: Fit,
    body: str,
    notes: Sequence[str],
    width: float,
) -> str:
    """The table environment of a page."""
    caption = latex(title) + raised(layout.note)
    named = f"\\caption{{{caption}}}\n\\label{{{_label(label)}}}"
    again = f"\\addtocounter{{table}}{{-1}}\n\\caption{{{caption} (continued)}}"
    tabular = f"\\makebox[\\linewidth]{{%\n{body}}}" if fit.width_pt > width else body
    drawn = "\n".join((caption, body, *notes))
    kind = "table*" if fit.width_pt > _COLUMN_PT else "table"
    lines = [
        rf"\begin{{{kind}}}[tbp]",
        r"\centering",
        r"\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{6pt}",
        *_SIGNS,
        *[_CHECK] * (CHECK_MARK in drawn),
        again if number else named,
        rf"\{fit.size.name}\setlength{{\tabcolsep}}{{{fit.size.gap_pt:g}pt}}",
        *[_NUMBERS] * ("S[" in body),
        tabular,
        *_below(notes),
        rf"\end{{{kind}}}",
    ]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9:.+-]+", "-", clean(text)).strip("-") or "table"


def _below(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    opened = r"\par\smallskip\begin{minipage}{\linewidth}\footnotesize\raggedright"
    return [opened, *(f"{note}\\par" for note in notes), r"\end{minipage}"]


def _notes(layout: Layout) -> Iterator[str]:
    if layout.has_bold:
        yield rf"\textbf{{Bold}}: {latex(layout.bold_means)}"
    for note in layout.notes:
        yield (raised(note.key) + r"\," if note.key else "") + latex(note.text)


# -- the tabular ---------------------------------------------------------------------------


def _tabular(layout: Layout, columns: Sequence[TexColumn], fit: Fit, page: range) -> str:
    kinds = "".join(map(_kind, columns, fit.text_pt)) or "l"
    lines = [rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", r"\toprule"]
    lines += _groups(layout)
    lines += [_line([column.heading for column in columns]), r"\midrule"]
    for number in page:
        if layout.rows[number].heading:
            lines += [r"\addlinespace[3pt]"] * (number > page.start)
            lines.append(_heading(layout.rows[number].heading, len(columns), fit))
        lines.append(_line([column.cells[number] for column in columns]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _kind(column: TexColumn, text_pt: float | None) -> str:
    if text_pt is None:
        return column.kind
    return rf">{{\raggedright\arraybackslash}}p{{{text_pt:.0f}pt}}"


def _line(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _groups(layout: Layout) -> Iterator[str]:
    """The names of groups of columns, with rules below them."""
    if not any(column.group for column in layout.columns):
        return
    cells, rules, first = [], [], 1
    for name, members in groupby(layout.columns, key=lambda column: column.group):
        count = len(list(members))
        cells.append(
            rf"\multicolumn{{{count}}}{{c}}{{{latex(name)}}}" if name else "&" * (count - 1)
        )
        rules += [rf"\cmidrule(lr){{{first}-{first + count - 1}}}"] if name else []
        first += count
    yield _line([cell.strip() for cell in cells])
    yield "".join(rules)


def _heading(text: str, count: int, fit: Fit) -> str:
    """A heading between rows, wrapped where it is wider than the table."""
    is_wide = width_pt(text) * fit.size.scale * _SLACK > fit.width_pt
    kind = f"p{{{fit.width_pt / _SLACK**2:.0f}pt}}" if is_wide else "c"
    start = r"\centering" if is_wide else ""
    return rf"\multicolumn{{{count}}}{{@{{}}{kind}@{{}}}}{{{start}\textbf{{{latex(text)}}}}} \\"
