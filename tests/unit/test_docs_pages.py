"""Pages made from the program have every command, option and key, and tables that are whole."""

import click
import pytest
from markdown_it import MarkdownIt

from docs.generate import (
    _escaped,
    commands,
    commands_page,
    space_page,
    table_page,
    train_page,
    write_reference,
)
from evolve.ablation.schema import RowSpec, TableFile
from evolve.schemas import leaves, train_schema
from evolve.space.schema import IntSpec, SpaceFile

PAGES = {
    "commands": commands_page,
    "space": space_page,
    "table": table_page,
    "train": train_page,
}


def rows_of(page):
    """Cells of all tables of a page, as text."""
    rows = []
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level > 2:
            rows[-1].append("".join(one.content for one in token.children))
    return [row for row in rows if row]


@pytest.mark.parametrize("name", PAGES)
def test_a_row_has_as_many_cells_as_its_head(name):
    """An unescaped bar would end a cell."""
    text = PAGES[name]()
    width = 2 if name == "commands" else 4
    assert {len(row) for row in rows_of(text)} == {width}
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows_of(text)) == len(lines) - sum(line.startswith("| ---") for line in lines)


def test_every_command_is_there_with_its_options():
    text = commands_page()
    shown = {row[0] for row in rows_of(text)}
    words = {word for cell in shown for word in cell.replace(",", " ").split()}
    for name, command in commands():
        assert f"## evolve {name}\n" in text
        options = [one for one in command.params if isinstance(one, click.Option)]
        for option in (one for one in options if not one.hidden):
            assert option.opts[0] in words, (name, option.opts)
    assert "--engine [ray|inline]" in shown


def test_every_setting_is_there_with_values_and_default():
    rows = {row[0]: row[1:] for row in rows_of(train_page())}
    assert rows.keys() - {"key"} == leaves(train_schema()).keys()
    assert rows["optimizer.lr"][:2] == ["number > 0", "0.002"]
    assert rows["optimizer.momentum"][0] == "number ≥ 0, < 1"
    assert rows["schedule.kind"][0] == "cosine, steps, poly, constant"
    assert rows["image_size"][:2] == ["whole number ≥ 32 or auto", "auto"]


def test_every_key_of_a_space_and_a_table_is_there():
    space, table = (
        {row[0]: row[1:] for row in rows_of(page())} for page in (space_page, table_page)
    )
    assert space.keys() >= SpaceFile.model_fields.keys() | IntSpec.model_fields.keys()
    assert table.keys() >= TableFile.model_fields.keys() | RowSpec.model_fields.keys()
    assert all(row[2] for row in (*space.values(), *table.values())), "a key without meaning"
    assert space["parameters"][1] == "needed"
    assert space["trials"][:2] == ["whole number ≥ 1", "12"]


def test_text_is_shown_as_it_stands():
    assert _escaped("a|b [x>=1] *it* my_key") == r"a\|b \[x>=1\] \*it\* my\_key"
    assert _escaped("see --set and `a|b`") == r"see `--set` and `a\|b`"


def test_what_is_the_same_is_not_written_again(tmp_path):
    write_reference(tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert len(files) == len(PAGES) + 3
    write_reference(tmp_path)
    assert files == {path: path.stat().st_mtime_ns for path in files}
