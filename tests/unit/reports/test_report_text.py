import math

import pytest

from reports import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("one\r\ntwo\tthree  four", "one two three four"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("half\ud800", "half"),
        (None, ""),
        ("日本語 é", "日本語 é"),
    ],
)
def test_clean_leaves_one_harmless_line(value: object, shown: str) -> None:
    assert text.clean(value) == shown


def test_clean_cuts_long_text() -> None:
    assert text.clean("abcdef", longest=4) == "abc…"


def test_clean_lines_keeps_line_ends_only() -> None:
    assert text.clean_lines("first\r\nsecond\x07 \n") == "first\nsecond"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.31249, "31.2"), (0.0, "0.0"), (1.0, "100.0"), (math.nan, "--")]
)
def test_percent(value: float, shown: str) -> None:
    assert text.percent(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.038, "+3.8"), (-0.004, "\u22120.4"), (0.0002, "0.0"), (-0.0002, "0.0"), (math.nan, "--")],
)
def test_points_carry_their_sign(value: float, shown: str) -> None:
    assert text.points(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00052348, "0.0005235"),
        (16, "16"),
        (True, "True"),
        ("ciou", "ciou"),
        (1e-5, "1e-05"),
        (None, "--"),
        (math.nan, "--"),
    ],
)
def test_number(value: object, shown: str) -> None:
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (4.21, "4.2 s"),
        (42, "42 s"),
        (99.6, "1.7 min"),
        (600, "10 min"),
        (12_000, "3 h 20 min"),
        (math.nan, "--"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<script>", "&lt;script&gt;"),
        ("&lt;", "&amp;lt;"),
        ("two\nlines", "two lines"),
        ("# head", r"\# head"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("[a](b)", r"\[a\](b)"),
        (r"back\slash|", r"back\\slash\|"),
        ("0.5", "0.5"),
    ],
)
def test_markdown_shows_what_was_written(value: str, shown: str) -> None:
    assert text.markdown(value) == shown


def test_markdown_name_is_code_only_for_plain_names() -> None:
    assert text.markdown_name("optimizer.lr") == "`optimizer.lr`"
    assert text.markdown_name("a`|b") == r"a\`\|b"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+2", "'+1+2"),
        ("-1.5e-3", "-1.5e-3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("plain", "plain"),
    ],
)
def test_spreadsheet_defuses_formulas(value: str, shown: str) -> None:
    assert text.spreadsheet(value) == shown
