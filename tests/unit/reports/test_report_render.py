import base64
import hashlib
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from made_up_run import PARAMETERS, STATES, make_run, with_trials

from evolve.errors import ReportError
from evolve.store.records import ParameterRecord, RunRecord
from reports import figures, place
from reports.render import render_report

HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> | `x`\n=cmd \x1b[31m\u202e'
FILES = {
    *("index.html", "report.md", "tables/trials.csv", "tables/references.bib"),
    *("tables/metrics.tex", "tables/parameters.tex"),
    *(
        f"figures/{n}{e}"
        for n in ("history", "parameters", "curves", "parallel")
        for e in (".svg", ".png")
    ),
}
VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; complains of tags that do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


def policy_of(html: str) -> dict[str, str]:
    (text,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    parts = (part.strip().split(" ", 1) for part in text.split(";"))
    return dict(parts)


def digest(texts: list[str]) -> str:
    (text,) = texts
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def make_hostile_run() -> RunRecord:
    choices = (HOSTILE, "=cmd()", "ok")
    parameter = ParameterRecord(
        f"loss.{HOSTILE}", "categorical", "linear", None, None, choices, "ok", HOSTILE
    )
    run = make_run(parameters=(*PARAMETERS[:1], parameter), folder=Path("runs/$(rm x) 'y'"))
    run = with_trials(run, reason={2: HOSTILE, 4: HOSTILE}, origin={3: HOSTILE, 5: "=cmd"})
    data: dict[str, Any] = {"name": HOSTILE, "path": HOSTILE, "classes": [HOSTILE, "日本語"]}
    data |= {"images": {HOSTILE: 3}, "notes": [HOSTILE]}
    manifest = run.manifest | {"name": HOSTILE, "data": data, "sampler": HOSTILE}
    manifest |= {"git": {"commit": HOSTILE}, "versions": {HOSTILE: HOSTILE}}
    return replace(run, manifest=manifest)


def read_all(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "report"
    render_report(make_run(), out)
    return out


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hostile") / "report"
    render_report(make_hostile_run(), out)
    return out


def test_all_files_are_there_and_named(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    paths = render_report(make_run(parameters=PARAMETERS[:1]), out)
    assert paths[0] == out / "index.html"
    assert {path.relative_to(out).as_posix() for path in paths} == FILES
    assert set(read_all(out)) == FILES
    assert [path.name for path in out.parent.iterdir()] == ["report"]


def test_the_same_run_gives_the_same_bytes(report: Path, tmp_path: Path) -> None:
    render_report(make_run(), tmp_path / "again")
    assert read_all(tmp_path / "again") == read_all(report)


def test_the_page_asks_for_nothing(report: Path) -> None:
    html = (report / "index.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not {"link", "iframe", "object", "img", "form"} & set(page.tags)
    assert page.tags.count("script") == 1  # our own, which the policy names
    names = {name for name, _ in page.attributes}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]
    links = [v for n, v in page.attributes if n in {"href", "src", "xlink:href"} and v]
    assert all(link.startswith(("#", "data:image/png", "../")) for link in links)
    assert "url(http" not in html
    assert policy_of(html) == {
        "default-src": "'none'",
        "style-src": digest(re.findall(r"<style>(.*?)</style>", html, re.DOTALL)),
        "script-src": digest(re.findall(r"<script>(.*?)</script>", html, re.DOTALL)),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_is_well_formed(report: Path) -> None:
    page = Page((report / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    targets = [v[1:] for n, v in page.attributes if n == "href" and v and v.startswith("#")]
    labels = [v for n, v in page.attributes if n == "aria-labelledby" and v]
    assert set(targets) | set(labels) <= set(page.ids)
    assert page.tags.count("caption") == page.tags.count("table")
    assert page.tags.count("figcaption") == page.tags.count("figure")
    assert page.tags.count("h1") == 1


def test_the_first_screen_says_what_is_known_and_what_is_not(report: Path) -> None:
    text = Page((report / "index.html").read_text(encoding="utf-8")).text
    for words in ("not a confirmed gain", "no confidence interval yet", "Unfinished run."):
        assert words in text
    markdown = (report / "report.md").read_text(encoding="utf-8")
    assert "not a confirmed gain" in markdown
    assert "![Search history](figures/history.svg)" in markdown


def test_reuse_and_method_are_told(report: Path) -> None:
    text = Page((report / "index.html").read_text(encoding="utf-8")).text
    assert "evolve train --config runs/digits-ga/best.yaml --data digits" in text
    assert "evolve resume runs/digits-ga" in text
    assert "The genetic sampler (seed 0) searched 6 parameters" in text
    for fact in ("sha256:0f4ac1d2b3", "torch 2.9.0", "1913f0f2c55a with uncommitted changes"):
        assert fact in text


def test_hostile_text_stays_text(hostile: Path) -> None:
    html = (hostile / "index.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert page.open == []


def test_hostile_text_stays_text_in_markdown(hostile: Path) -> None:
    lines = (hostile / "report.md").read_text(encoding="utf-8").splitlines()
    prose = [line for line in lines if not line.startswith("    ")]
    assert not [line for line in prose if re.search(r"<(script|img)", line)]
    tables: dict[int, int] = {}
    for previous, line in pairwise(lines):
        if previous.startswith("|") and line.startswith("|"):
            bars = [len(re.findall(r"(?<!\\)\|", text)) for text in (previous, line)]
            assert bars[0] == bars[1]
            tables[bars[0]] = bars[1]
    assert len(tables) >= 3


def test_hostile_paths_are_quoted_for_the_shell(hostile: Path) -> None:
    text = (hostile / "report.md").read_text(encoding="utf-8")
    assert """evolve resume 'runs/$(rm x) '"'"'y'"'"''""" in text


def test_hostile_text_stays_text_in_svg(hostile: Path) -> None:
    for path in (hostile / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img" not in text


@pytest.mark.parametrize(
    "states",
    [
        ("FAIL", "FAIL"),
        ("RUNNING",),
        ("COMPLETE",),
        ("PRUNED", "PRUNED"),
        ("FAIL", "COMPLETE", "RUNNING"),
    ],
)
def test_odd_runs_have_a_report(states: tuple[str, ...], tmp_path: Path) -> None:
    run = make_run(states, parameters=PARAMETERS[:1])
    render_report(run, tmp_path / "report")
    page = Page((tmp_path / "report/index.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert not re.search(r"\b(nan|None|NaT)\b", page.text.replace("loss is nan", ""))


def test_an_empty_manifest_and_no_parameter_are_enough(tmp_path: Path) -> None:
    run = replace(make_run(("COMPLETE", "FAIL"), parameters=()), manifest={})
    run = replace(run, epochs=run.epochs.iloc[:0])
    render_report(run, tmp_path / "report")
    files = read_all(tmp_path / "report")
    assert set(files) == {
        *("index.html", "report.md", "tables/trials.csv", "tables/references.bib"),
        *("tables/metrics.tex", "figures/history.png", "figures/history.svg"),
    }
    assert b"<h1>digits-ga</h1>" in files["index.html"]


def test_no_trial_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    run = make_run()
    run = replace(run, trials=run.trials.iloc[:0])
    with pytest.raises(ReportError, match="holds no trial") as caught:
        render_report(run, tmp_path / "report")
    assert "evolve resume" in caught.value.mend
    assert not (tmp_path / "report").exists()


def test_an_unknown_state_is_an_error(tmp_path: Path) -> None:
    run = with_trials(make_run(), state={3: "WAITING"})
    with pytest.raises(ReportError, match="unknown trial state WAITING"):
        render_report(run, tmp_path / "report")


def test_a_new_report_replaces_the_old_one_wholly(report: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    shutil.copytree(report, out)
    render_report(make_run(("FAIL",), parameters=()), out)
    assert "figures/parameters.svg" not in read_all(out)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("step", ["draw", "write", "swap"])
def test_the_old_report_stays_on_failure(
    step: str, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    out = tmp_path / "report"
    shutil.copytree(report, out)
    before = read_all(out)
    if step == "draw":
        monkeypatch.setattr(figures, "to_png", fail)
    elif step == "write":
        monkeypatch.setattr(place, "write_atomically", fail)
    else:
        rename = Path.rename
        monkeypatch.setattr(
            Path, "rename", lambda s, t: fail() if s.name == "new" else rename(s, t)
        )
    with pytest.raises(OSError, match="disk full"):
        render_report(make_run(STATES[:3], parameters=()), out)
    assert read_all(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("name", ["thesis.txt", "index.html"])
def test_a_folder_that_holds_something_else_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ReportError, match="holds something else"):
        render_report(make_run(), tmp_path)
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


def test_a_report_of_thirty_trials_is_small(tmp_path: Path) -> None:
    render_report(make_run((STATES[:11] * 3)[:30]), tmp_path / "report")
    sizes = {name: len(data) for name, data in read_all(tmp_path / "report").items()}
    assert sizes["index.html"] < 500_000
    assert sum(sizes.values()) < 900_000  # with figures, twice


def test_two_thousand_trials_are_all_in_the_page(tmp_path: Path) -> None:
    run = make_run((STATES[:11] * 182)[:2000], parameters=PARAMETERS[:1])
    render_report(run, tmp_path / "report")
    html = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    table = html.partition('<table id="trials">')[2].partition("</table>")[0]
    assert table.count("<tr") == 2001
    markdown = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "The first 200 of 2,000 trials" in markdown


def test_of_more_trials_the_best_and_the_last_are_in_the_page(tmp_path: Path) -> None:
    run = make_run((STATES * 200)[:2200], parameters=PARAMETERS[:1])
    render_report(run, tmp_path / "report")
    html = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    table = html.partition('<table id="trials">')[2].partition("</table>")[0]
    assert "Of 2,200 trials the 200 best and the last 200" in table
    assert table.count("<tr") < 800
    complete = run.trials[run.trials["state"] == "COMPLETE"].nlargest(200, "value")["number"]
    for number in {0, 2199, *complete}:
        assert f">{number}" in table
    assert "of 2,200 trials failed" in html
    assert "The last 200 failed trials" in html
    for drawn in ("2,000", "1,000"):  # the second in the small panels of parameters
        assert f"Of 2,200 trials {drawn} are drawn, picked at random" in html
    markdown = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "Of 2,200 trials the 200 best" in markdown
    assert "The first 200 of" not in markdown
    csv = (tmp_path / "report/tables/trials.csv").read_text(encoding="utf-8")
    assert len(csv.splitlines()) == 2201
