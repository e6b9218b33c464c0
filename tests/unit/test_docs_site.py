"""The site is built in strict mode: broken links, pages outside the navigation are errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="the extra 'docs' is not installed")
pytest.importorskip("myst_parser", reason="the extra 'docs' is not installed")
pytest.importorskip("furo", reason="the extra 'docs' is not installed")

ROOT = Path(__file__).parents[2]
PAGES = {path.stem for path in (ROOT / "docs").glob("*.md")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the site in a copy of the docs, and give what Sphinx said and where it is."""

    def build(docs, site):
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
        return subprocess.run(
            [*command, "-d", str(site / ".doctrees"), str(docs), str(site)],
            capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip

    return build


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    done = built(ROOT / "docs", site)
    assert done.returncode == 0, done.stderr
    return site


@pytest.mark.slow
def test_every_page_is_there_and_in_the_navigation(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES - {"index"}:
        assert (site / f"{page}.html").is_file()
        assert f'href="{page}.html"' in index, page
    for page in ("commands", "train-keys", "space-keys", "table-keys"):
        assert f'href="reference/{page}.html"' in index
    assert (site / "schemas" / "space.schema.json").is_file()


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site):
    """Links may lead away; scripts, styles, fonts and pictures are here."""
    outside = re.compile(r"""(?:src=|url\(|@import |<link[^>]*href=)["']?https?://""")
    files = [path for kind in ("html", "css") for path in site.rglob(f"*.{kind}")]
    assert len(files) > len(PAGES)
    assert not [path for path in files if outside.search(path.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_a_broken_link_ends_the_build(built, tmp_path):
    (tmp_path / "docs").mkdir()
    conf = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    conf = conf.split("import re")[0] + 'extensions = ["myst_parser"]\nroot_doc = "index"\n'
    (tmp_path / "docs" / "conf.py").write_text(conf)
    (tmp_path / "docs" / "index.md").write_text("# Page\n\n[here](nowhere.md)\n")
    done = built(tmp_path / "docs", tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
