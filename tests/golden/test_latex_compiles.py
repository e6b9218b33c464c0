"""Every kind of LaTeX table through pdflatex, alone and in a paper, where there is one."""

import re
import shutil
import string
import subprocess

import pytest

from evolve.ablation.files import table_files
from evolve.ablation.latex import render_latex
from evolve.ablation.layout import Cell, Column, Layout, Note, Row, paper_layout
from evolve.ablation.paper import LOGS, NAMES, load_paper_table
from evolve.findings.table import find_table
from reports.latex import to_latex
from reports.tables import Column as ReportColumn
from reports.tables import Row as ReportRow
from reports.tables import Table
from tests.unit.findings.made_up_table import bundled_table, design_table, make_folder, train

MOST_OVERFULL_PT = 3.0
PAPER = r"""\documentclass{article}
\usepackage{booktabs,siunitx}
\begin{document}
%s
\end{document}
"""
HOSTILE = [
    r"\input{/etc/passwd}", r"\end{tabular}\end{document}", r"100% & more \\ \hline",
    "$x_1^2$ #1 ~ {", "}", "[50] *x", "\\", "&", "%", "^^5cinput",
    r"\csname endalone\endcsname", "a--b ''x'' ?`",
    "\u7269\u4f53 caf\xe9 \u03a9 \U0001f600 na\xefve",
    "\u201cq\u201d \u2192 \xd7 \xb1 \u0394 \u2212",
    "\ud800\x1b[2J\u202e\n\nx", "x" * 200, string.printable, "".join(map(chr, range(0xA0, 0x180))),
]  # fmt: skip

pytestmark = pytest.mark.skipif(
    not shutil.which("pdflatex")
    or subprocess.run(["kpsewhich", "siunitx.sty"], capture_output=True, check=False).returncode,
    reason="needs pdflatex with siunitx (Debian: texlive-science)",
)


def compiled(folder, name):
    """The log of a file that compiles, and nothing sticks out of."""
    command = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape", "-halt-on-error", name]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "openout_any": "p", "openin_any": "p"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    log = (folder / name).with_suffix(".log").read_text(encoding="latin-1").replace("\n", "")
    assert done.returncode == 0, log[-2000:]
    overfull = re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)
    assert all(float(one) < MOST_OVERFULL_PT for one in overfull), overfull
    assert "Float too large" not in log
    assert "Missing character" not in log
    return log


def put_into_a_paper(folder, names):
    text = "\n".join(rf"\input{{{name}}}\clearpage" for name in names)
    (folder / "paper.tex").write_text(PAPER % text, encoding="ascii")
    return compiled(folder, "paper.tex")


def pages(log):
    return int(re.search(r"\((\d+) pages?,", log)[1])


@pytest.mark.timeout(300)
def test_the_papers_tables_compile_in_a_paper_on_a_page_each(tmp_path):
    names = [*NAMES.values(), *LOGS]
    for name in names:
        text = render_latex(paper_layout(load_paper_table(name)), label=f"tab:{name}")
        (tmp_path / f"{name}.tex").write_text(text, encoding="ascii")
    assert pages(put_into_a_paper(tmp_path, names)) == len(names)
    assert pages(compiled(tmp_path, "pascal.tex")) == 1  # as high as a page


@pytest.mark.timeout(300)
def test_judged_tables_compile_alone_and_in_a_paper(tmp_path):
    table = bundled_table("bof")
    values = {row.key: [0.3 + 0.01 * i, 0.31 + 0.01 * i] for i, row in enumerate(table.rows)}
    values["IT"] = ["CUDA out of memory_100%"] * 2
    train(make_folder(tmp_path / "bof", table), values, table)
    table, tree = design_table("full-factorial", ["S", "M"])
    values = {row.key: [0.3 + 0.01 * i, 0.31] for i, row in enumerate(table.rows)}
    train(make_folder(tmp_path / "design", table, seeds=2, design=tree), values, table)
    names = []
    for run in ("bof", "design"):
        for name, text in table_files(find_table(tmp_path / run)).items():
            if name.endswith(".tex"):
                (tmp_path / "tables").mkdir(exist_ok=True)
                (tmp_path / "tables" / name).write_text(text, encoding="utf-8")
                names.append(name.removesuffix(".tex"))
    compiled(tmp_path / "tables", "bof.tex")  # wider than a paper's text
    assert names == ["bof", "mine", "mine-effects"]
    assert pages(put_into_a_paper(tmp_path / "tables", names)) == 3


@pytest.mark.timeout(300)
def test_tables_of_many_rows_and_of_reports_compile(tmp_path):
    columns = (Column("row"), Column("AP", "right"))
    rows = tuple(Row((Cell(f"row {i}"), Cell(f"{i / 7:.2f}", note="a"))) for i in range(150))
    many = Layout("Many", columns, rows, (Note("a", "of all"),))
    (tmp_path / "many.tex").write_text(render_latex(many, label="many"), encoding="ascii")
    report = Table(
        (ReportColumn("number", "Trial", "number"), ReportColumn("parameter", "P", "name"),
         ReportColumn("reason", "Reason", "lines"), ReportColumn("value", "AP", "number")),
        tuple(ReportRow((str(i), "optimizer.lr_0", "out of memory " * 9, "\u22120.5"),
                        "best" * (i == 1)) for i in range(9)),
    )  # fmt: skip
    text = to_latex(report, caption="Trials", label="tab:trials")
    (tmp_path / "trials.tex").write_text(text, encoding="ascii")
    assert pages(compiled(tmp_path, "many.tex")) == pages(put_into_a_paper(tmp_path, ["many"])) > 1
    assert pages(put_into_a_paper(tmp_path, ["trials"])) == 1


@pytest.mark.timeout(300)
def test_nothing_from_outside_is_run_or_stops_latex(tmp_path):
    rows = tuple(
        Row(
            (
                Cell(name, bold=i % 3 == 0, note="a" * (i % 4 == 0)),
                Cell("\u2713" * (i % 2), note=name[:3]),
                Cell(f"{i - 5}.5{re.sub('[0-9].*', '', name[:6])}", bold=i % 2 == 0),
                Cell(name[:20], align="left"),
            ),
            heading=name if i % 5 == 0 else "",
            state=name[:9],
        )
        for i, name in enumerate(HOSTILE)
    )
    columns = (
        Column(HOSTILE[1]),
        Column("\u2713", "center", group=HOSTILE[2]),
        Column(HOSTILE[4] + HOSTILE[12], "right", group=HOSTILE[2], note="#"),
        Column(HOSTILE[16], "right"),
    )
    layout = Layout(
        "".join(HOSTILE[:14]), columns, rows, tuple(Note(name[:2], name) for name in HOSTILE),
        note="&", bold_means=HOSTILE[1],
    )  # fmt: skip
    text = render_latex(layout, label=HOSTILE[0])
    (tmp_path / "hostile.tex").write_text(text, encoding="ascii")
    log = compiled(tmp_path, "hostile.tex")
    assert "/etc/passwd" not in re.findall(r"\(([^() ]+)", log)  # files that were read
    written = {path.suffix for path in tmp_path.iterdir() if path.name[0] != "."}  # fonts
    assert written == {".tex", ".log", ".aux", ".pdf"}
