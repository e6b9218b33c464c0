"""The journal survives what the driver does not."""

import json

import pytest

from evolve.store.journal import Journal, JournalTail, read_journal


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time


def test_times_are_seconds_of_work_over_all_sessions(tmp_path):
    clock = Hands()
    first = Journal(tmp_path / "j", clock)
    clock.time += 5
    first.note("begin", 3, epoch=2)
    first.close()
    clock.time = 7.0  # another boot
    second = Journal(tmp_path / "j", clock)
    assert second.earlier == [{"event": "begin", "at": 5.0, "number": 3, "epoch": 2}]
    clock.time += 2
    assert second.now() == 7.0
    second.note("close")
    assert [e["at"] for e in read_journal(tmp_path / "j")] == [5.0, 7.0]


@pytest.mark.parametrize("torn", ['{"event": "ep', '{"event": "epoch", "at": 9}', "\x00\x00\n"])
def test_a_torn_line_is_left_out_and_written_over(tmp_path, torn):
    journal = Journal(tmp_path / "j", Hands())
    journal.note("begin", 1)
    journal.close()
    with (tmp_path / "j").open("a") as file:
        file.write(torn)
    again = Journal(tmp_path / "j", Hands())
    assert [e["event"] for e in again.earlier] == ["begin"]
    again.note("end", 1, state="FAIL")
    lines = (tmp_path / "j").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["begin", "end"]


def test_no_journal_is_an_empty_one(tmp_path):
    journal = Journal(tmp_path / "j")
    assert journal.earlier == []
    assert not (tmp_path / "j").exists()


def test_a_tail_reads_what_is_new_and_waits_for_whole_lines(tmp_path):
    path = tmp_path / "j"
    tail = JournalTail(path)
    assert tail.new() == ([], False)
    journal = Journal(path, Hands())
    journal.note("begin", 1)
    assert [event["event"] for event in tail.new()[0]] == ["begin"]
    assert tail.new() == ([], False)
    with path.open("a") as file:
        file.write('{"event": "ep')
    assert tail.new() == ([], False)
    with path.open("a") as file:
        file.write('och", "at": 3.0}\n')
    assert [event["event"] for event in tail.new()[0]] == ["epoch"]
    path.write_text("")
    assert tail.new() == ([], True)


@pytest.mark.parametrize("torn", ['{"event": "ep', "7", '{"event": "end"}', '{"at": 1}, {}'])
@pytest.mark.parametrize("place", [0, 1, 2499, 2500])
def test_many_lines_are_read_up_to_the_first_that_is_none(tmp_path, torn, place):
    path = tmp_path / "j"
    lines = [f'{{"event": "epoch", "at": {n}.5, "number": {n}}}\n' for n in range(2500)]
    path.write_text("".join([*lines[:place], f"{torn}\n", *lines[place:]]))
    numbers = list(range(place))
    assert [event["number"] for event in read_journal(path)] == numbers
    tail = JournalTail(path)
    assert [event["number"] for event in tail.new()[0]] == numbers
    assert tail.new() == ([], False)
    path.write_text("".join(lines))  # longer than what was read, or as long
    assert [event["number"] for event in tail.new()[0]] == list(range(place, 2500))
