"""Sphinx configuration: the pages of this folder, and a reference that is generated at each build.

Pages are CommonMark, as GitHub shows it (MyST). Nothing is loaded from anywhere else.
"""

import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from docs.generate import write_reference  # noqa: E402  (its folder has just been named)

project = "evolve"
author = "the evolve authors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
project_copyright = "the evolve authors, Apache-2.0"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["**/.*"]
root_doc = "index"
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
nitpicky = True
highlight_language = "sh"  # of indented blocks, which hold commands
smartquotes = False  # two hyphens are an option

html_theme = "furo"
html_title = f"evolve {release}"
html_static_path = ["_static"]
html_css_files = ["evolve.css"]
html_show_sphinx = False
html_copy_source = False
html_use_index = False
html_extra_path = ["reference/schemas"]


def name_all_pages(app, docname, source):
    """Put pages that the index does not name behind its guides, so that none is left out."""
    if docname == root_doc:
        named = source[0].split()
        others = [path.stem for path in sorted(HERE.glob("*.md")) if path.stem not in named]
        others.remove(root_doc)
        source[0] = source[0].replace("OTHER-PAGES", "\n".join(others))


def say_titles(app, docname, source):
    """Show a page's title where a link shows its file name, as suits GitHub."""

    def titled(link):
        page = HERE / link[1]
        title = page.read_text(encoding="utf-8").splitlines()[0] if page.is_file() else link[1]
        return f"[{title.removeprefix('# ')}]("

    source[0] = re.sub(r"\[([\w-]+\.md)\]\(", titled, source[0])


def setup(app):
    """Write the generated pages before the others are read."""
    write_reference(HERE / "reference")
    app.connect("source-read", name_all_pages)
    app.connect("source-read", say_titles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
