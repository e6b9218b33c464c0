"""Readers of drawn tables, apart from what draws them: rows of (text, is bold, note).

A heading between rows is a row of one cell.
"""

import html
import html.parser
import re

RAISED = dict(zip("\u1d43\u1d47\u1d9c\u1d48\u1d49", "abcde", strict=True))
RULE = "\u2500"
HEADING = r"\\multicolumn\{\d+\}\{.*?\}\{(?:\\centering)?\\textbf\{(.*)\}\}"


def read_text(text):
    """Of monospaced lines, by the rule below the headings."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith(RULE))
    spans = [match.span() for match in re.finditer(f"{RULE}+", lines[at])]
    indent = " " * spans[0][0]
    rows = []
    for line in lines[at + 1 :]:
        if line.startswith(("* ", *RAISED, "Transcribed", "Where", "Source")):
            return rows
        if line.strip() and line.startswith(indent):
            rows.append([_text_cell(line[start:stop].strip()) for start, stop in spans])
        elif line.strip():
            rows.append([line])
    raise AssertionError("no notes below the table")


def _text_cell(text):
    note = "".join(RAISED[one] for one in text if one in RAISED)
    text = "".join(one for one in text if one not in RAISED)
    kept = re.sub(r"(?<=[0-9%)])\*$", "", text)
    return kept, kept != text, note


def read_markdown(text):
    """Of a GitHub table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[2:]]
    return [_heading_or(cells, _markdown_cell) for cells in rows]


def _heading_or(cells, read):
    found = re.fullmatch(r"\*([^*].*)\*", cells[0].strip())
    if found and not any(cell.strip() for cell in cells[1:]):
        return [_markdown_text(found[1])]
    return [read(cell.strip()) for cell in cells]


def _markdown_cell(cell):
    text, note = re.fullmatch(r"(.*?)(?:<sup>(\w+)</sup>)?", cell).groups()
    bold = re.fullmatch(r"\*\*(.+)\*\*", text)
    return _markdown_text(bold[1] if bold else text), bool(bold), note or ""


def _markdown_text(text):
    return html.unescape(re.sub(r"\\([^A-Za-z0-9\s])", r"\1", text))


class _Html(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.open, self.values = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr" and "tbody" in self.open:
            self.rows.append([])
        elif tag in {"td", "th"} and "tbody" in self.open:
            self.rows[-1].append(["", False, ""])
            self.values.append(dict(attrs).get("data-value"))
        elif tag == "strong" and "tbody" in self.open:
            self.rows[-1][-1][1] = True

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open) and "tbody" in self.open:
            self.rows[-1][-1][2 if "sup" in self.open else 0] += data


def read_html(text):
    """Of a table whose elements are all closed."""
    reader = _Html()
    reader.feed(text)
    reader.close()
    assert not reader.open
    rows = [[tuple(cell) for cell in row] for row in reader.rows]
    return [[row[0][0]] if len(row) == 1 else row for row in rows]


def read_latex(text):
    """Of a tabular whose lines are rows."""
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    rows = []
    for line in body.splitlines():
        if line.startswith(r"\addlinespace"):
            continue
        assert line.endswith(r" \\")
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        heading = re.fullmatch(HEADING, cells[0])
        rows.append([_latex_text(heading[1])] if heading else [_latex_cell(c) for c in cells])
    return rows


def _latex_cell(cell):
    cell = re.sub(r"\\rlap\{(.*)\}", r"\1", cell.strip())
    note = re.search(r"\\textsuperscript\{(\w+)\}", cell)
    cell = cell.replace(note[0], "") if note else cell
    bold = re.match(r"\\bfseries |\\textbf\{", cell)
    return _latex_text(cell[bold.end() :] if bold else cell), bool(bold), note[1] if note else ""


def _latex_text(text):
    text = text.replace(r"\checkmark{}", "\u2713").replace(r"\allowbreak{}", "")
    return re.sub(r"(?<!\\)[{}]", "", text).replace("\\", "")
