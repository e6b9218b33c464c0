"""The page's script, in a real browser: sorting, hiding, copying, opening what a link leads to."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up_run import make_run

from reports.render import render_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=4000", "--dump-dom"),
)
PROBE = """
const said = {};
let copied = "";
Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { copied = text; } } });
const column = (id, n) => [...document.querySelectorAll(`#${id} tbody tr`)].map((row) => row.cells[n].textContent.trim());
const click = (id, n) => document.querySelectorAll(`#${id} thead th`)[n].querySelector("button").click();
const press = async (id, name) => {
  const tools = document.querySelector(`#${id}`).closest(".scroll").previousElementSibling;
  [...tools.querySelectorAll("button")].find((button) => button.textContent === name).click();
  await new Promise((done) => setTimeout(done, 10));
  return copied;
};
(async () => {
  said.before = column("trials", 2);
  click("trials", 2); said.up = column("trials", 2);
  click("trials", 2); said.down = column("trials", 2);
  click("trials", 2); said.back = column("trials", 2);
  const boxes = document.querySelector("#metrics").closest(".scroll").previousElementSibling.querySelectorAll("input");
  boxes[0].click();
  said.hidden = [...document.querySelectorAll("#metrics tr")].every((row) => row.cells[1].hidden);
  said.csv = await press("metrics", "CSV");
  said.markdown = await press("metrics", "Markdown");
  said.latex = await press("metrics", "LaTeX");
  const entry = document.querySelector("#trial-3");
  said.closed = entry.open;
  location.hash = "trial-3";
  await new Promise((done) => setTimeout(done, 50));
  said.opened = entry.open;
  const drawing = document.querySelector("svg[data-points]");
  drawing.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  said.tip = document.querySelector(".tip").textContent;
  document.title = JSON.stringify(said);
})();
"""  # noqa: E501

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


def dump(page: Path, profile: Path) -> str:
    """The page after its script has run."""
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.timeout(180)
def test_tables_and_figures_answer(tmp_path: Path) -> None:
    render_report(make_run(), tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert 'class="tools"' not in html  # made by the script alone
    guarded = dump(tmp_path / "report" / "index.html", tmp_path / "a")
    assert guarded.count('class="tools"') == html.count("<table id")  # under its own policy
    probed = tmp_path / "probed.html"
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    open_page = policy.sub("", html).replace("</body>", f"<script>{PROBE}</script></body>")
    probed.write_text(open_page, encoding="utf-8")
    found = re.search(r"<title>(.*?)</title>", dump(probed, tmp_path / "b"), re.DOTALL)
    assert found is not None
    said = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))

    numbers = sorted(float(text) for text in said["before"] if text != "--")
    missing = said["before"].count("--")
    assert [text for text in said["up"] if text != "--"] == [f"{n:.1f}" for n in numbers]
    assert said["up"][-missing:] == said["down"][-missing:] == ["--"] * missing
    assert said["down"][:-missing] == said["up"][:-missing][::-1]
    assert said["back"] == said["before"]

    assert said["hidden"]
    assert said["csv"].splitlines()[0] == "Trial,AP50,AP75,APs,APm,APl,Epochs,Seed"
    assert said["csv"].splitlines()[2].startswith("Defaults (0),55.5,")
    assert said["markdown"].splitlines()[1] == f"| --- |{' ---: |' * 7}"
    assert said["latex"].splitlines()[0] == "\\begin{tabular}{lrrrrrrr}"
    assert "$-$" not in said["csv"]
    assert (said["closed"], said["opened"]) == (False, True)
    assert said["tip"].startswith("trial ")
