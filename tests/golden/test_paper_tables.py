"""The bundled tables of the paper, against the first transcription and as they are drawn."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from evolve.ablation.paper import NAMES, load_paper_table
from evolve.cli.tables_cmd import command

HERE = Path(__file__).parent
FIRST = json.loads((HERE / "paper_tables.json").read_text(encoding="utf-8"))

# keys of the first transcription -> ours; what is not here has the same key
RENAMED = {
    **{"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_s": "APs", "ap_m": "APm", "ap_l": "APl"},
    **{"params_m": "params", "avg_layer_output_k": "layer_output", "fps_rtx2070": "fps"},
}
SETTINGS = {"bflops", "bflops_fma", "size", "mini_batch", "with_bof_bos"}
# where the project had stated the marks, the paper's layout was read later
CHECKED = {"stated": "paper_layout"}


def ours(key):
    return f"table{key[5:]}" if key.startswith("table") else key.replace("_log_", "-")


@pytest.mark.parametrize("key", FIRST)
def test_every_value_is_that_of_the_first_transcription(key):
    table, first = load_paper_table(ours(key)), FIRST[key]
    assert table.title.casefold() == first["title"].casefold()
    assert len(table.rows) == len(first["rows"])
    if "mark_columns" in first:
        assert list(table.mark_keys) == first["mark_columns"]
    for row, theirs in zip(table.rows, first["rows"], strict=True):
        assert values(table, row, theirs) == theirs


def values(table, row, theirs):
    """Our row with the keys of the first transcription, and all that it has."""
    cells = table.cells(row)
    unconfirmed = {key for key in cells if not table.is_confirmed(row, key)}
    by_other_ways = {
        "row": row.row,
        "paper": table.heading(row),
        "marks": list(row.marks),
        "marks_confirmed": row.checked_by != "nothing",
        "mark_source": theirs.get("mark_source"),
        "confirmed": not unconfirmed & {"AP", "AP50", "AP75"},
        "note": theirs.get("note"),
        "gpu": next((c.suffix[2] for c in table.columns if c.key == "fps" and c.suffix), None),
        **({"backbone": row.settings["backbone"]} if "backbone" in row.settings else {}),
        **{key: row.settings[key] for key in SETTINGS & row.settings.keys()},
    }
    if "mark_source" in theirs:
        source = theirs["mark_source"]
        assert row.checked_by == CHECKED.get(source, source)
    assert len(cells) <= len(theirs)
    return {
        key: by_other_ways[key] if key in by_other_ways else cells[RENAMED.get(key, key)]
        for key in theirs
    }


def test_what_cells_say_in_words_is_what_their_settings_say():
    for row in load_paper_table(1).rows:
        said = "{bflops} ({bflops_fma} FMA)".format(**row.settings)
        assert load_paper_table(1).cells(row)["bflops"] == said
    for row in load_paper_table(6).rows:
        assert load_paper_table(6).cells(row)["size"] == "{size}x{size}".format(**row.settings)
    for row in load_paper_table(7).rows:
        model = load_paper_table(7).cells(row)["model"]
        assert model.startswith(row.settings["backbone"])
        assert f"mini-batch {row.settings['mini_batch']})" in model
        assert ("(with " in model) == row.settings["with_bof_bos"]


@pytest.mark.parametrize(
    ("row", "words"),
    [(1, "37.7/60.0/40.6"), (6, "37.2/59.4/39.9"), (15, "optimal model"), (16, "optimal model")],
)
def test_the_notes_of_the_first_transcription_are_told(row, words):
    assert words in FIRST["table4"]["rows"][row - 1]["note"]
    assert any(words in n.text and row in n.rows for n in load_paper_table(4).notes)


def test_what_the_log_confirms_is_in_the_log():
    log = {figures(row) for row in load_paper_table("authors-bof").rows}
    log |= {figures(row) for row in load_paper_table("authors-bos").rows if row.cells[1] == 512}
    for name in ("bof", "bos"):
        table = load_paper_table(name)
        for row in table.rows:
            confirmed = all(table.is_confirmed(row, key) for key in ("AP", "AP50", "AP75"))
            assert confirmed == (figures(row) in log)


def figures(row):
    return tuple(cell for cell in row.cells if isinstance(cell, float))[:3]


@pytest.mark.parametrize("number", NAMES)
def test_a_table_is_drawn_as_before(number, request):
    done = CliRunner(env={"COLUMNS": "100"}).invoke(command, ["--show", str(number)])
    assert done.exit_code == 0, done.output
    path = HERE / "paper" / f"table{number}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == path.read_text(encoding="utf-8")
    assert max(map(len, done.stdout.splitlines())) <= 100
