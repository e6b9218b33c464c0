"""The commands that README and docs show, as a reader would type them.

Indented blocks and fences called `sh` hold commands and nothing else; `bash` fences are whole
scripts; outputs stand in `text` fences. Help texts of commands have examples, too.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
LANGUAGES = {"sh", "bash", "python", "yaml", "text", "json", "bibtex", "latex"}
NEW_INGREDIENT = "add-ingredient.md"
"""Shows how to add one that is not there."""
DIRECTIVE = "{"  # of the site's pages: {include}, {toctree}


@dataclass(frozen=True)
class Line:
    """A command of a page; `number` is its line there."""

    page: str
    number: int
    text: str

    @property
    def words(self):
        return shlex.split(self.text, comments=True)

    def __str__(self):
        return f"{self.page}:{self.number}: {self.text}"


@dataclass(frozen=True)
class Block:
    """A block of code; an indented one has the language `sh`."""

    page: str
    number: int
    language: str
    text: str


def blocks(page):
    """All blocks of code of a page."""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "code_block" or (token.type == "fence" and token.info[:1] != DIRECTIVE):
            indented = token.type == "code_block"
            first = token.map[0] + (1 if indented else 2)
            yield Block(page.name, first, "sh" if indented else token.info, token.content)


def shell_lines(page):
    """Commands of a page's blocks, with continued lines joined."""
    return [line for block in blocks(page) if block.language == "sh" for line in _joined(block)]


def _joined(block):
    number, begun = block.number, ""
    for offset, text in enumerate(block.text.splitlines()):
        if not begun:
            number = block.number + offset
        begun += text.removesuffix("\\")
        if not text.endswith("\\"):
            if begun.strip() and not begun.lstrip().startswith("#"):
                yield Line(block.page, number, begun.strip())
            begun = ""
    assert not begun, f"{block.page}:{number}: a command goes on into nothing"


def evolve_lines(page):
    """Every `evolve ...` with options or arguments: in blocks, scripts, recipes and prose."""
    lines = [line for line in shell_lines(page) if line.words[0] == "evolve"]
    for block in blocks(page):
        if block.language in ("bash", "yaml"):
            lines += _of_script(block)
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"(?<![`\w])`(evolve [^`]+)`(?!`)", text):
        number = text.count("\n", 0, found.start()) + 1
        lines.append(Line(page.name, number, " ".join(found[1].split())))
    return lines


def _of_script(block):
    for offset, text in enumerate(block.text.splitlines()):
        if found := re.match(r"\s*(evolve \S.*?)\s*&?\s*$", text):
            yield Line(block.page, block.number + offset, found[1])


def examples(name, command):
    """Commands in the help text of a click command: in the paragraphs that keep their lines."""
    parts = (command.help or "").split("\n\n")
    kept = [part for part in parts if part.lstrip(" ").startswith("\b")]
    return [
        Line(f"evolve {name} --help", number, re.split(r"\s{2,}", text.strip())[0])
        for number, text in enumerate("\n".join(kept).splitlines(), 1)
        if text.strip().startswith("evolve ")
    ]
