"""What the journals of a run say, joined to its findings."""

import math
from dataclasses import replace

import pytest

from evolve.findings.cache import Cache
from evolve.findings.driven import audit_of, closed_for, cost_of
from evolve.findings.join import join
from tests.unit.findings.made_up import make_record, make_run

PLACED = {"placement": {"workers": 2, "gpus": 0, "gpus_per_trial": 0.0, "threads": 1, "cpus": 2}}
RECIPE = {"root": 2, "params": {}, "changes": {}, "lineage": []}


def epoch(number, value, at=1.0, told=True):
    return {"event": "epoch", "at": at, "number": number, "epoch": 1, "value": value, "told": told}


def test_cost_is_of_search_and_comparison_and_beside_the_plan():
    manifest = {"outlook": PLACED | {"plan": {"search_s": 9.0, "final_s": 4.0}}}
    search = [{"event": "begin", "at": 1.0, "number": 0}, {"event": "end", "at": 4.0, "number": 0}]
    cost = cost_of(search, search[:1], manifest)
    assert (cost.search.held_s, cost.search.device_s) == (3, 3)
    assert (cost.planned_search_s, cost.planned_final_s) == (9, 4)
    assert len(cost.final.trials) == 1
    assert cost_of([], [], manifest) is None
    assert math.isnan(cost_of(search, [], {"outlook": {"plan": None}}).planned_search_s)


def test_the_audit_takes_what_the_scheduler_was_told():
    run = make_run(scheduler="asha")
    events = [epoch(n, 0.1 * n) for n in range(5)] + [epoch(5, None), epoch(4, 9.0, told=False)]
    run.trials.loc[0, "state"] = "PRUNED"
    found = audit_of(events, run)
    assert found.stopped == 1
    assert found.pairs["number"].tolist() == [1, 2, 3, 4]
    assert found.pairs["early"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert audit_of([], run) is None
    assert audit_of(events, make_run(scheduler="none")) is None


def test_a_path_does_not_lead_to_what_changed_on_the_way(tmp_path):
    run = replace(make_run(), recipes={5: RECIPE})
    record = make_record([0.30, 0.31, 0.32], trial_5=[0.342, 0.350, 0.361])
    found = join(run, record, None, Cache(tmp_path / "findings.json"))
    assert found.no_path == "the parameters of trial 5 changed during its training"
    assert (found.path, found.moved, found.importances.of) == (None, 1, 5)


def test_a_path_is_drawn_through_the_others(tmp_path):
    run = replace(make_run(), recipes={2: RECIPE})
    found = join(run, None, None, Cache(tmp_path / "findings.json"))
    assert (found.path.trial, found.path.trials, found.moved) == (5, 5, 1)
    run = replace(make_run(), recipes=dict.fromkeys((1, 2, 3), RECIPE))
    why = join(run, None, None, Cache(tmp_path / "findings.json")).no_path
    assert why.startswith("it takes 4 complete trials whose parameters stayed as they were")


def test_why_a_search_ended_early():
    begun = {"event": "session", "at": 0.0}
    assert closed_for([begun]) == ""
    assert closed_for([begun, {"event": "close", "at": 1.0, "why": "trials"}]) == ""
    assert closed_for([begun, {"event": "close", "at": 1.0, "why": "budget"}]) == "budget"
