"""Text of somebody else where it is printed."""

import pytest

from model.errors import DataError
from model.harmless import printable, printable_message

HOSTILE = {
    "clear": ("a\x1b[2Jb", "a?[2Jb"),
    "link": ("\x1b]8;;http://x\x07y\x1b]8;;\x07", "?]8;;http://x?y?]8;;?"),
    "bell": ("ding\a", "ding?"),
    "c1": ("a\x9b31mb", "a?31mb"),
    "bidi": ("cat\u202egnp.exe", "cat?gnp.exe"),
    "newline": ("a\nError: b\r\n", "a?Error: b??"),
    "separator": ("a\u2028b", "a?b"),
    "half": ("a\udcffb", "a?b"),
    "harmless": ("naïve \u200d \N{FIRE} \N{CJK UNIFIED IDEOGRAPH-732B}", None),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_what_could_command_a_terminal_is_a_question_mark(text, shown):
    assert printable(text) == (text if shown is None else shown)


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_an_error_says_it_so_wherever_it_stands(text, shown):
    clean = text if shown is None else shown
    said = str(DataError(text, text, text))
    assert said == f"DataError: {clean}\n  at   {clean}\n  mend {clean}"


def test_our_own_lists_keep_their_lines_and_a_name_adds_none():
    assert printable_message("2 faults\n  - one\n    at   x") == "2 faults\n  - one\n    at   x"
    assert printable_message("no\n  at   y") == "no\n  at   y"  # indented: no message
    assert printable_message("no\nTableError: y") == "no?TableError: y"


def test_kept_characters_are_those_that_are_named():
    assert printable("a\tb\nc\x1b", keep="\t\n") == "a\tb\nc?"
