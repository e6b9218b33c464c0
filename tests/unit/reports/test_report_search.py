"""Sections of a search: lineage, parallel coordinates, interactions, time of workers."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up_found import make_found, make_importances
from made_up_run import PARAMETERS, make_run, with_trials

from evolve.analysis.ancestry import ancestry
from evolve.analysis.interactions import COLUMNS, Interactions, Surface
from evolve.analysis.ledger import make_ledger
from evolve.findings import Cost
from evolve.store.records import ParameterRecord
from reports import figures, parallel_figures
from reports.cost_figures import bar_parts, draw_spent, spent_table
from reports.interaction_figures import draw_map, level_paths, map_data, pair_table
from reports.lineage_figures import ancestry_table, draw_lineage, edge_data
from reports.parallel_figures import parallel_caption, parallel_data
from reports.scales import scale_of
from reports.search import (
    interaction_section,
    lineage_caption,
    lineage_section,
    parallel_section,
    spent_section,
)
from reports.summary import summarise

RUN = make_run(("COMPLETE",) * 12)
SUMMARY = summarise(RUN)


# -- scales --------------------------------------------------------------------------------


def test_places_lie_on_the_scale_of_the_search() -> None:
    lr = scale_of(PARAMETERS[0], [])
    assert [lr.place(v) for v in (1e-4, 1e-3, 0.1)] == pytest.approx([0, 1 / 3, 1])
    assert lr.ticks[1] == (pytest.approx(1 / 3), "0.001")
    momentum = scale_of(PARAMETERS[1], [])
    assert momentum.place(0.79) == pytest.approx(0.5)
    assert math.isnan(momentum.place(math.nan))
    loss = scale_of(PARAMETERS[-1], [])
    assert loss.ticks[0] == (pytest.approx(0.1), "mse")
    assert loss.place(4.0) == pytest.approx(0.9)


def test_a_scale_reaches_values_beyond_the_range_and_holds_one_value() -> None:
    assert scale_of(PARAMETERS[1], [0.99]).high == 0.99
    one = ParameterRecord("x", "float", "linear", 2.0, 2.0, None, 2.0, "")
    assert scale_of(one, []).place(2.0) == 0.5


# -- parallel coordinates ------------------------------------------------------------------


def test_axes_are_by_importance_and_bands_by_rank() -> None:
    run = with_trials(RUN, value={n: n / 100 for n in range(12)})
    lines = parallel_data(run, SUMMARY, make_importances().frame)
    assert lines is not None
    assert [p.path for p in lines.parameters][:2] == ["optimizer.lr", "augment.mosaic"]
    assert lines.places.shape == (12, 7)
    assert lines.places[0, 0] == pytest.approx(2 / 3)  # lr of 0.01 between 1e-4 and 0.1
    assert lines.places[:, -1] == pytest.approx(np.linspace(0, 1, 12))
    assert lines.bands.tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4]
    assert lines.numbers == tuple(range(12))


def test_of_many_trials_a_part_and_those_that_stand_out_are_drawn() -> None:
    run = make_run(("COMPLETE",) * 400, parameters=PARAMETERS[:2])
    summary = summarise(run)
    lines = parallel_data(run, summary, None)
    assert lines is not None
    assert parallel_figures.MOST_LINES <= len(lines.numbers) <= parallel_figures.MOST_LINES + 2
    assert summary.best is not None
    assert {0, summary.best.number} <= set(lines.numbers)
    assert "Of 400 complete trials 150 are drawn" in parallel_caption(lines, 2, "AP")


def test_a_parameter_that_a_trial_lacks_breaks_its_line() -> None:
    run = with_trials(RUN, params__loss__box={3: None})
    lines = parallel_data(run, SUMMARY, None)
    assert lines is not None
    assert np.isnan(lines.places[3]).tolist() == [False] * 5 + [True, False]
    assert "broken" in parallel_caption(lines, 6, "AP")
    section = parallel_section(run, SUMMARY, make_found())
    assert section is not None
    assert "loss.box" in figures.to_svg(section.drawings[0].wide)


def test_without_two_complete_trials_there_are_no_lines() -> None:
    run = make_run(("COMPLETE", "FAIL"))
    assert parallel_section(run, summarise(run), None) is None
    moved = replace(RUN, recipes={number: {} for number in range(11)})
    assert parallel_data(moved, SUMMARY, None) is None


# -- lineage -------------------------------------------------------------------------------


def test_edges_lead_from_parents_to_offspring() -> None:
    run = with_trials(RUN, value={n: n / 100 for n in range(12)})
    found = ancestry(run.trials, 8)
    assert edge_data(found) == [
        (4, 8, "crossover", False), (5, 8, "crossover", True), (0, 4, "crossover", False),
        (1, 4, "crossover", False), (1, 5, "crossover", False), (2, 5, "crossover", True),
    ]  # fmt: skip
    rows = [row.cells for row in ancestry_table(found, "AP").rows]
    assert rows[0] == ("8", "0", "crossover", "4, 5", "complete", "8.0", "yes")
    assert [row[0] for row in rows] == ["8", "4", "5", "0", "1", "2"]


@pytest.mark.parametrize("wide", [True, False])
def test_operators_are_named_and_foreign_ones_are_text(wide: bool) -> None:
    run = with_trials(RUN, origin={8: "<b>$x$"}, value={8: 0.9})
    summary = summarise(run)
    drawn = draw_lineage(run, summary, ancestry(run.trials, 8), wide=wide)
    assert drawn is not None
    svg = figures.to_svg(drawn)
    assert "&lt;b&gt;$x$" in svg
    assert "crossover" in svg
    assert "best (trial 8)" in svg


def test_a_best_trial_without_parents_says_where_it_came_from() -> None:
    run = with_trials(RUN, value={2: 0.99})
    section = lineage_section(run, summarise(run))
    assert section is not None
    assert section.drawings == ()
    assert section.missing == "Trial 2 has no parents: it came from random."
    failed = make_run(("FAIL",))
    assert lineage_section(failed, summarise(failed)) is None


def test_the_caption_of_the_lineage_says_what_is_left_out() -> None:
    found = ancestry(RUN.trials, 8, most=3)
    few = lineage_caption(found, SUMMARY, 12)
    assert "from 2 ancestors over 2 generations to trial 8; 3 farther ones are left out" in few
    assert few.endswith("Small grey dots are all other trials.")
    many = lineage_caption(found, SUMMARY, 10_000)
    assert many.endswith("Small grey dots are others, 2,000 of 10,000 trials picked at random.")


# -- interactions --------------------------------------------------------------------------

PAIRS = [
    ("optimizer.lr", "optimizer.momentum", 0.2, 0.1, 0.3, 0.1),
    ("augment.mosaic", "optimizer.lr", 0.05, 0.0, 0.1, 0.1),
    ("augment.mosaic", "optimizer.momentum", 0.01, 0.0, 0.1, 0.1),
]


def make_pairs(chance: float = 0.1, reason: str = "") -> Interactions:
    frame = pd.DataFrame(PAIRS, columns=list(COLUMNS)).assign(chance=chance)
    values = np.add.outer(np.linspace(0, 1, 24), np.linspace(0, 1, 24)) / 4
    surfaces = (Surface("optimizer.lr", "optimizer.momentum", values),)
    main = {"optimizer.lr": 0.5, "optimizer.momentum": 0.1, "augment.mosaic": 0.1}
    return Interactions(frame[: 0 if reason else 3], main, surfaces, 40, 40, reason)


def test_the_map_has_each_pair_once() -> None:
    names, cells = map_data(make_pairs())
    assert names == ["optimizer.lr", "optimizer.momentum", "augment.mosaic"]
    assert [(c.row, c.column, c.share, c.is_above) for c in cells] == [
        (1, 0, 0.2, True), (2, 0, 0.05, False), (2, 1, 0.01, False)
    ]  # fmt: skip
    assert pair_table(make_pairs()).rows[0].cells == (
        "optimizer.lr", "optimizer.momentum", "20.0", "10.0 to 30.0", "10.0", "yes",
    )  # fmt: skip


def test_areas_lie_in_each_other_and_have_their_share() -> None:
    values = np.arange(24 * 24, dtype=float).reshape(24, 24)
    shares = []
    for path in level_paths(values):
        corners = path.vertices.reshape(-1, 5, 2)
        shares.append(float(np.prod(corners[:, 2] - corners[:, 0], axis=1).sum()))
    assert shares == pytest.approx(np.arange(6, 0, -1) / 7, abs=2 / 576)
    assert level_paths(np.ones((24, 24))) == []


def test_sections_of_interactions() -> None:
    found = make_found()
    section = interaction_section(RUN, SUMMARY, replace(found, interactions=make_pairs()))
    assert section is not None
    assert [one.name for one in section.drawings] == ["interactions", "surfaces"]
    assert "20 % of the variance" in figures.to_svg(section.drawings[1].wide)
    assert interaction_section(RUN, SUMMARY, found) is None


def test_nothing_is_drawn_where_nothing_is_above_chance() -> None:
    pairs = make_pairs(chance=0.3)
    assert draw_map(pairs, wide=True) is None
    section = interaction_section(RUN, SUMMARY, replace(make_found(), interactions=pairs))
    assert section is not None
    assert section.drawings == ()
    assert "largest share is 20.0 % of the variance, and chance gives up to 30.0 %" in (
        section.missing
    )
    few = make_pairs(reason="it takes 20 complete trials, and there are 6")
    section = interaction_section(RUN, SUMMARY, replace(make_found(), interactions=few))
    assert section is not None
    assert section.missing.endswith("told: it takes 20 complete trials, and there are 6.")


# -- time of workers -----------------------------------------------------------------------

SPENT = pd.DataFrame(
    [("search", "train", 60.0), ("search", "lost", 0.0), ("search", "idle", 20.0),
     ("final comparison", "train", 30.0), ("final comparison", "idle", math.nan)],
    columns=["part", "kind", "seconds"],
)  # fmt: skip


def test_pieces_of_a_bar_stand_side_by_side() -> None:
    bars = bar_parts(SPENT)
    assert [(p.kind, p.start_s, p.share) for p in bars["search"]] == [
        ("train", 0.0, 0.75), ("idle", 60.0, 0.25)
    ]  # fmt: skip
    assert [p.share for p in bars["final comparison"]] == [1.0]
    assert spent_table(SPENT).rows[1].cells == ("Search", "idle", "20 s", "25.0 %")
    assert draw_spent(SPENT[:0], wide=True) is None


def test_the_section_says_what_is_unknown() -> None:
    cost = Cost(make_ledger([]), spent=SPENT)
    section = spent_section(replace(make_found(), cost=cost))
    assert section is not None
    assert section.drawings[0].caption == "Time of all workers. Idle time is unknown."
    assert "75 %" in figures.to_svg(section.drawings[0].wide)
    assert spent_section(make_found()) is None
