"""The front of a run on its page."""

from dataclasses import replace

from evolve.findings.front import front_of
from evolve.findings.join import join
from reports.front_tables import front_context, front_files, front_table
from reports.method import describe_method
from tests.unit.findings.made_up import make_record, make_run

COSTS = [4.0, 4.0, 8.0, 2.0, 6.0, 9.0]


def made(record=None, cost="latency"):
    run = make_run(cost=cost)
    run.trials["cost"] = COSTS
    return front_of(run, record)


def cells(table):
    return [row.cells for row in table.rows]


def test_members_come_first_from_the_cheapest_on():
    table = front_table(made())
    assert [column.head for column in table.columns] == [
        "Trial",
        "latency, ms",
        "AP, val",
        "Front",
    ]
    assert cells(table)[0] == ("3", "2", "26.0", "on the front")
    assert cells(table)[-1] == ("0", "4", "30.0", "dominated by trial 1")
    assert [row.mark for row in table.rows] == ["best"] * 5 + [""]


def test_fresh_seeds_have_a_column_and_say_who_stays():
    record = make_record([0.30, 0.31], trial_4=[0.41, 0.42], trial_2=[0.40, 0.41])
    by_trial = {row[0]: row for row in cells(front_table(made(record)))}
    assert by_trial["4"][3] == "41.5 ± 0.7"
    assert by_trial["4"][4] == "on the front; with fresh seeds it stays"
    assert by_trial["2"][4] == "on the front; with fresh seeds dominated by trial 4"
    assert by_trial["5"][3:] == ("--", "on the front")


def test_the_page_says_how_much_the_front_covers(tmp_path):
    from evolve.findings.cache import Cache

    found = join(make_run(), None, None, Cache(tmp_path / "findings.json"))
    assert front_context(found)["front"] is None
    assert front_files(found) == {}
    found = replace(found, front=made(cost="BFLOPs"))
    about = front_context(found)["front_about"]
    assert about.startswith("Hypervolume ")
    assert " % of the box between AP 0 at 9.9 BFLOPs and a perfect detector" in about
    assert front_files(found)["front.csv"].splitlines()[1].startswith("0,0.3,4.0,False,1,")


def test_the_method_names_both():
    run = make_run(cost="latency", sampler="genetic")
    assert "and beside it latency, which is lowered" in describe_method(run).paragraph
    assert "beside it" not in describe_method(make_run(sampler="genetic")).paragraph
