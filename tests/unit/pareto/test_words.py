"""Times as users write them, and fronts in sentences."""

import math

import pytest

from evolve.errors import EvolveError
from evolve.pareto.words import ms, parse_latency
from tests.unit.reports.made_up_front import front_of, line


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("8ms", 8.0), ("0.02s", 20.0), (" 33.3 ms ", 33.3), (".5ms", 0.5), ("2s", 2000.0)],
)
def test_a_time_is_read_as_milliseconds(text, wanted):
    assert parse_latency(text) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ("8", "'8' has no unit", "write 8ms or 8s"),
        ("fast", "'fast' is no time", "8ms or 0.02s"),
        ("8m", "is no time", "8ms"),
        ("-3ms", "is no time", "8ms"),
        ("0ms", "no detector takes 0ms", "above 0"),
        ("", "is no time", "8ms"),
        ("nanms", "is no time", "8ms"),
    ],
)
def test_what_is_no_time_is_told(text, what, mend):
    with pytest.raises(EvolveError) as error:
        parse_latency(text)
    assert what in error.value.what
    assert mend in error.value.mend
    assert error.value.where == "--max-latency"


def test_milliseconds_have_three_digits():
    assert [ms(v) for v in (0.512, 7.126, 9.999, 48.21, 120.4, 1204.2)] == [
        "0.51 ms", "7.13 ms", "10.0 ms", "48.2 ms", "120 ms", "1,204 ms",
    ]  # fmt: skip


def test_the_choice_is_told_with_its_interval():
    lines = [line("small", 416, 5, 0.30), line("large", 416, 7.5, 0.40)]
    found = front_of([*lines, line("huge", 416, 30, 0.6)], 8.0)
    assert found.sentence.startswith(
        "Within 8 ms, large at 416 px is the most accurate: 7.50 ms (p95 8.62 ms, so more than 1 "
        "pass in 20 takes longer than 8 ms), AP 40.0 % (95 % interval 38.0 to 42.0) on test."
    )


def test_a_rival_is_told():
    lines = [line("small", 416, 5, 0.30), line("large", 416, 6, 0.301, p95=1.1)]
    assert "is the most accurate: 6.00 ms (p95 6.60 ms), AP 30.1 %" in front_of(lines, 8).sentence
    assert front_of(lines, 8.0).sentence.endswith("its rival is small at 416 px.")


def test_that_none_fits_is_told():
    found = front_of([line("small", 416, 5, 0.30), line("large", 416, 6, 0.4)], 4.5)
    assert found.sentence == (
        "None fits within 4.5 ms: the fastest, small at 416 px, takes 5.00 ms on Some CPU at 2 "
        "GHz."
    )
    gone = front_of([line("small", 416, math.nan, 0.30)], 4.5)
    assert gone.sentence == "None fits within 4.5 ms: none could be run here."


def test_the_front_is_told():
    lines = [line("a", 416, 5, 0.3), line("b", 416, 6, 0.4), line("c", 416, 7, 0.1)]
    assert front_of(lines).sentence == (
        "2 of 3 points are on the front: a at 416 px and b at 416 px."
    )
    assert front_of(lines[1:]).sentence == "1 of 2 points is on the front: b at 416 px."
    assert front_of(lines[:1]).sentence.endswith("is the only point, so it is the front.")
    many = [line(f"d{n}", 416, 5 + n, 0.3 + n / 100) for n in range(7)]
    assert front_of(many).sentence.endswith("d3 at 416 px and 3 others.")


def test_one_training_has_no_interval():
    found = front_of([line("a", 416, 5, 0.3, se=math.nan, seeds=1)], 8.0)
    assert "AP 30.0 % (one training, no interval)" in found.sentence
