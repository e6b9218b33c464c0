"""Fronts, their area, and how sure they are."""

import math

import numpy as np
import pandas as pd
import pytest

from evolve.analysis.deltas import Delta
from evolve.analysis.pareto import (
    Reference,
    choose,
    draw_points,
    front_chances,
    hypervolume,
    join_front,
    measure_front,
    median_se,
    on_front,
    reference_of,
    seed_part,
)


def table(*points, se=0.01, df=5.0):
    """Points of (latency, AP); each has a network of its own."""
    frame = pd.DataFrame(points, columns=["latency_ms", "ap"], dtype=float)
    keys = [f"p{number}" for number in range(len(frame))]
    return frame.assign(
        key=keys, network=keys, latency_se_ms=0.0, seed_se=se, seed_df=df, ap_se=se
    )


def drawn(frame, images=None, draws=2000):
    return draw_points(frame, np.random.default_rng(0), images, draws)


def test_a_point_is_beaten_by_one_that_is_no_worse_and_better_in_one():
    #         fast, poor  slower, same  slow, good  both worse  as fast, worse
    latency = [1.0, 2.0, 3.0, 4.0, 3.0]
    ap = [0.2, 0.2, 0.5, 0.4, 0.4]
    assert on_front(latency, ap).tolist() == [True, False, True, False, False]


def test_equal_points_do_not_beat_each_other():
    assert on_front([1.0, 1.0, 2.0], [0.3, 0.3, 0.3]).tolist() == [True, True, False]


def test_unknown_points_are_not_on_the_front_and_beat_none():
    assert on_front([1.0, math.nan, 2.0], [math.nan, 0.9, 0.3]).tolist() == [False, False, True]
    assert on_front([], []).tolist() == []


def test_the_hypervolume_is_a_sum_of_rectangles():
    reference = Reference(10.0, 0.1)
    # from 2 to 5 ms 0.2 above the reference, from 5 to 10 ms 0.4
    assert hypervolume([5.0, 2.0], [0.5, 0.3], reference) == pytest.approx(3 * 0.2 + 5 * 0.4)
    assert hypervolume([12.0, 2.0], [0.9, 0.05], reference) == 0.0
    assert hypervolume([], [], reference) == 0.0


def test_the_reference_is_the_slowest_latency_rounded_up():
    ends = [reference_of(table((speed, 0.1))).latency_ms for speed in (0.7, 1, 3, 48, 51, 1200)]
    assert ends == [1, 1, 5, 50, 100, 2000]
    assert reference_of(table((math.nan, 0.1))) == Reference(1.0)


def test_the_error_of_a_median_follows_from_the_spread_above_it():
    passes = np.random.default_rng(0).normal(20, 2, (4000, 200))
    wanted = np.median(passes, axis=1).std()
    found = np.mean([median_se(*np.percentile(one, [50, 95]), 200) for one in passes])
    assert found == pytest.approx(wanted, rel=0.05)
    assert median_se(5.0, 4.0, 10) == 0.0


def test_the_part_of_seeds_needs_two():
    assert seed_part(Delta(0.3, 0.02, 4, "seeds")) == (0.01, 3.0)
    assert all(map(math.isnan, seed_part(Delta(0.3, math.nan, 1, "images"))))


def test_chances_of_points_that_are_far_apart_are_certain():
    frame = table((1, 0.2), (2, 0.4), (3, 0.1))
    assert front_chances(drawn(frame)).tolist() == [1.0, 1.0, 0.0]


def test_the_chance_of_the_slower_of_two_equal_ones_is_a_half():
    frame = table((1, 0.3), (2, 0.3))
    first, second = front_chances(drawn(frame))
    assert first == 1.0
    assert second == pytest.approx(0.5, abs=0.03)


def test_images_move_all_points_at_once():
    """What a lucky resample does to both does not make the slower one more likely to win."""
    frame = table((1, 0.32), (2, 0.30), se=math.nan, df=math.nan)
    shared = 0.05 * np.random.default_rng(1).standard_normal(1000)
    alone = 0.05 * np.random.default_rng(2).standard_normal(1000)
    together = front_chances(drawn(frame, {"p0": shared, "p1": shared}))
    apart = front_chances(drawn(frame, {"p0": shared, "p1": alone}))
    assert together.tolist() == [1.0, 0.0]
    assert 0.3 < apart[1] < 0.5


def test_the_same_network_has_the_same_latency_in_every_draw():
    frame = table((10, 0.3), (10, 0.2)).assign(latency_se_ms=1.0)
    own = drawn(frame)
    same = drawn(frame.assign(network="one"))
    assert (same.latency_ms[:, 0] == same.latency_ms[:, 1]).all()
    assert (own.latency_ms[:, 0] != own.latency_ms[:, 1]).all()
    assert np.std(own.latency_ms[:, 0]) == pytest.approx(1.0, rel=0.1)
    assert front_chances(same)[1] < 0.01 < front_chances(own)[1]


def test_a_table_tells_the_front_who_beats_whom_and_how_sure_that_is():
    frame = table((1, 0.2), (2, 0.4), (3, 0.39), (4, 0.1))
    frame.loc[3, "ap_se"] = math.nan
    joined = join_front(frame, drawn(frame))
    assert joined["on_front"].tolist() == [True, True, False, False]
    assert joined["beaten_by"].tolist() == ["", "", "p1", "p1"]
    assert 0.05 < joined["p_front"][2] < 0.4
    assert math.isnan(joined["p_front"][3])


def test_a_hypervolume_has_an_interval_where_errors_are_known():
    frame = table((1, 0.2), (2, 0.4))
    found = measure_front(frame, drawn(frame), Reference(5.0))
    assert found.value == pytest.approx(0.2 + 3 * 0.4)
    assert found.share == pytest.approx(1.4 / 5)
    assert found.low < found.share < found.high
    assert found.high - found.low < 0.1
    unknown = table((1, 0.2), se=math.nan, df=math.nan)
    assert math.isnan(measure_front(unknown, drawn(unknown), Reference(5.0)).low)


def test_the_most_accurate_that_fits_is_chosen():
    frame = table((1, 0.2), (2, 0.4), (8, 0.5))
    choice = choose(frame, 2.0, drawn(frame))
    assert (choice.key, choice.rival) == ("p1", "")
    assert choice.chance == 1.0
    assert choose(frame, 0.5).key == ""
    assert choose(frame, 100.0).key == "p2"


def test_of_equally_accurate_ones_the_fastest_is_chosen_and_the_rival_named():
    frame = table((3, 0.4), (2, 0.4), (1, 0.1))
    choice = choose(frame, 5.0, drawn(frame))
    assert (choice.key, choice.rival) == ("p1", "p0")
    assert choice.chance == pytest.approx(0.5, abs=0.05)


def test_no_chance_is_told_where_an_error_is_unknown():
    frame = table((3, 0.4), (2, 0.3))
    frame.loc[1, "ap_se"] = math.nan
    choice = choose(frame, 5.0, drawn(frame))
    assert choice.key == "p0"
    assert math.isnan(choice.chance)
