"""What stands behind the figures of a table, by value."""

import math
from pathlib import Path

import pytest
from made_up_ablation import design_table, make_found, values_of, write_files

from reports.figures import COMPLETE, FAIL, PAPER, PRUNED
from reports.hover import taken_points
from reports.table_figures import bar_data, bar_look, dot_data, draw_bars, draw_trainings, is_road
from reports.table_maps import effect_data, pair_data
from reports.table_trainings import MOST_CURVES, MOST_POINTS, read_behind


def test_bars_are_the_judged_differences(tmp_path: Path) -> None:
    found = make_found(tmp_path, values_of({"base": 0.3, "S": 0.33, "M": 0.29}, 4))
    bars = bar_data(found)
    assert [bar.title for bar in bars] == ["+ S", "+ M"]
    judged = found.judged.set_index("row")
    assert bars[0].delta == pytest.approx(100 * judged["delta"]["S"])
    assert (bars[0].low, bars[0].high) == (100 * judged["low"]["S"], 100 * judged["high"]["S"])
    assert [bar.word for bar in bars] == ["helps", "hurts"]
    assert all(bar.start == bar.step == 0 for bar in bars)
    assert not is_road(found)


def test_rows_that_build_on_each_other_start_where_the_one_before_ended(tmp_path: Path) -> None:
    table = design_table("cumulative", ["S", "M", "IT"])
    means = dict(zip([row.key for row in table.rows], [0.3, 0.32, 0.31, 0.34], strict=True))
    found = make_found(tmp_path, values_of(means, 4), table)
    bars = bar_data(found)
    assert is_road(found)
    assert [bar.start for bar in bars] == [0.0, bars[0].delta, bars[1].delta]
    assert [bar.step for bar in bars] == pytest.approx(
        [bars[0].delta, bars[1].delta - bars[0].delta, bars[2].delta - bars[1].delta]
    )
    assert bars[1].step < 0 < bars[1].delta


def test_a_word_is_seen_without_colour() -> None:
    assert bar_look("helps") == {"facecolor": COMPLETE, "edgecolor": COMPLETE}
    assert bar_look("hurts")["hatch"]
    assert bar_look("hurts")["edgecolor"] == FAIL
    outlined = [bar_look(word) for word in ("no effect", "undecided")]
    assert [look["facecolor"] for look in outlined] == [PAPER, PAPER]
    assert [look["edgecolor"] for look in outlined] == [PRUNED, PRUNED]
    assert outlined[0]["linestyle"] != outlined[1]["linestyle"]
    assert bar_look("helps", -1.0) == bar_look("hurts")  # a step back, still above the baseline
    assert bar_look("undecided", -1.0) == bar_look("undecided")


def test_dots_are_all_trainings(tmp_path: Path) -> None:
    values = values_of({"base": 0.3, "S": 0.33}, 4)
    values["S"][1] = "no memory"
    base, row = dot_data(make_found(tmp_path, values))
    assert list(base.values) == [0, 1, 2, 3]
    assert base.values[0] == pytest.approx(100 * values["base"][0])
    assert list(row.values) == [0, 2, 3]
    assert row.failed == 1
    assert row.mean == pytest.approx(100 * sum(values["S"][i] for i in (0, 2, 3)) / 3)
    assert (base.is_best, row.is_best) == (False, True)


def test_effects_and_pairs_of_a_factorial(tmp_path: Path) -> None:
    table = design_table("full-factorial", ["S", "M", "IT"])
    means = {
        row.key: 0.3 + 0.02 * ("S" in row.on) + 0.015 * ({"S", "M"} <= set(row.on))
        for row in table.rows
    }
    found = make_found(tmp_path, values_of(means, 4, spread=0.0005), table)
    effects = {bar.name: bar for bar in effect_data(found)}
    assert effects["S"].mean == pytest.approx(2.75, abs=0.1)
    assert effects["S"].low < effects["S"].mean < effects["S"].high
    assert effects["S"].is_sure
    assert not effects["IT"].is_sure
    pairs = pair_data(found)
    assert pairs is not None
    assert pairs.names == ("S", "M", "IT")
    assert set(pairs.pairs) == {(0, 1), (0, 2), (1, 2)}
    value, is_sure = pairs.pairs[0, 1]
    assert (round(value, 1), is_sure) == (1.5, True)
    assert pairs.alone[0][0] == pytest.approx(effects["S"].mean)


def test_pairs_alone_come_from_the_rows_of_one_ingredient(tmp_path: Path) -> None:
    table = design_table("pairs", ["S", "M", "IT"])
    means = {row.key: 0.3 + 0.02 * ("S" in row.on) for row in table.rows}
    found = make_found(tmp_path, values_of(means, 4), table)
    pairs = pair_data(found)
    assert pairs is not None
    delta = found.judged.set_index("row")["delta"]
    single = next(row.key for row in table.rows if row.on == ("S",))
    assert pairs.alone[0][0] == pytest.approx(100 * delta[single])


def test_no_map_without_pairs(tmp_path: Path) -> None:
    assert pair_data(make_found(tmp_path, values_of({"base": 0.3, "S": 0.3}, 2))) is None
    table = design_table("shapley", ["S", "M"])
    means = {row.key: 0.3 for row in table.rows}
    assert pair_data(make_found(tmp_path, values_of(means, 2), table)) is None


def test_curves_are_means_over_seeds_and_few(tmp_path: Path) -> None:
    means = {f"row-{n}": 0.3 + 0.01 * n for n in range(MOST_CURVES + 5)}
    found = write_files(make_found(tmp_path, values_of(means, 2)), epochs=100)
    curves = read_behind(found, tmp_path / "report").curves
    assert len(curves) == MOST_CURVES
    assert curves[0].key == "row-0"  # the baseline
    assert curves[-1].key == f"row-{MOST_CURVES + 4}"  # differs most
    first = curves[0]
    assert len(first.epochs) == MOST_POINTS
    assert (first.epochs[0], first.epochs[-1], first.seeds) == (1.0, 100.0, 2)
    ends = found.trainings[found.trainings["row"] == "row-0"]["value_val"] * 100
    scale = 1 - math.exp(-4)
    assert first.mean[-1] == pytest.approx(ends.mean() * scale)
    assert (first.low[-1], first.high[-1]) == pytest.approx(
        (ends.min() * scale, ends.max() * scale)
    )


def test_what_is_under_the_pointer_leads_to_its_row(tmp_path: Path) -> None:
    values = values_of({"base": 0.3, "S": 0.33, "M": 0.29}, 4)
    found = make_found(tmp_path, values)
    bars, dots = draw_bars(found, wide=True), draw_trainings(found, wide=True)
    assert bars is not None
    assert dots is not None
    rows = [line.split(",", 3) for line in taken_points(bars).splitlines()]
    assert [(target, said.split(":")[0]) for _, _, target, said in rows] == [
        ("row-S", "+ S"),
        ("row-M", "+ M"),
    ]
    assert rows[0][3].endswith(", helps")
    assert "(95 % interval +" in rows[0][3]
    trained = [line.split(",", 3) for line in taken_points(dots).splitlines()]
    assert len(trained) == 12
    assert trained[4][2:] == ["row-S", f"+ S, seed 0: {100 * values['S'][0]:.1f}"]
