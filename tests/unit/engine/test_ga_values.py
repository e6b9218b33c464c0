"""The winner of a stored run as values for the ingredient GA."""

import json

import pytest

from evolve.ablation.costs import OF_THE_PAPER, tuning_text
from evolve.engine.inline import run_inline
from evolve.errors import StoreError
from evolve.ga_values import read_ga_values, tuning_cost
from model.recipes import active, baseline, with_ingredients
from tests.unit.engine.made_up import make_coordinator, make_space

BEST = "optimizer: {lr: 0.004, momentum: 0.95}\nloss: {iou_threshold: 0.3}\nepochs: 4\n"


SPEC = {"type": "float", "low": 0.0, "high": 1.0, "default": 0.5}


def write_run(folder, parameters=("optimizer.lr", "loss.iou_threshold"), best=BEST):
    folder.mkdir()
    manifest = {"name": folder.name, "space": {"parameters": dict.fromkeys(parameters, SPEC)}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if best is not None:
        (folder / "best.yaml").write_text(best)
    return folder


def test_searched_settings_alone_in_the_order_of_the_space(tmp_path):
    found = read_ga_values(write_run(tmp_path / "run", ("loss.iou_threshold", "optimizer.lr")))
    assert list(found.items()) == [("loss.iou_threshold", 0.3), ("optimizer.lr", 0.004)]


def test_values_of_a_real_run_are_those_of_its_best_trial(tmp_path):
    space = make_space(tmp_path)
    coordinator = make_coordinator(tmp_path / "run", space, trials=3)
    run_inline(coordinator)
    coordinator.folder.write_json(coordinator.folder.manifest, {"space": space.to_dict()})
    assert read_ga_values(tmp_path / "run") == coordinator.study.best_trial.params


def test_values_make_a_recipe(tmp_path):
    values = {"GA": read_ga_values(write_run(tmp_path / "run"))}
    alone = with_ingredients(baseline(), ["GA"], values)
    assert (alone.optimizer.lr, alone.loss.iou_threshold) == (0.004, 1.0)
    both = with_ingredients(baseline(), ["IT", "GA"], values)
    assert (both.optimizer.lr, both.loss.iou_threshold) == (0.004, 0.3)
    assert {"IT", "GA"} <= set(active(both, values))


def test_no_run(tmp_path):
    with pytest.raises(StoreError, match=r"no such run folder .*manifest\.json"):
        read_ga_values(tmp_path / "nowhere")


def test_run_without_a_winner(tmp_path):
    run = write_run(tmp_path / "run", best=None)
    with pytest.raises(StoreError, match=r"no best trial yet \(no best\.yaml\)"):
        read_ga_values(run)


def test_setting_that_is_gone_is_named_with_the_nearest(tmp_path):
    run = write_run(tmp_path / "run", ("optimizer.lrr",))
    with pytest.raises(StoreError, match=r"'optimizer\.lrr'") as caught:
        read_ga_values(run)
    assert "'optimizer.lr'" in caught.value.mend


@pytest.mark.parametrize("manifest", [{}, {"space": None}, {"space": {"parameters": {}}}])
def test_manifest_without_a_space(tmp_path, manifest):
    run = write_run(tmp_path / "run")
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="names no searched settings"):
        read_ga_values(run)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("optimizer: {lr: -1.0}", "'lr' should be greater than 0"),
        ("optimizer: {lrr: 1.0}", "unknown key 'lrr'"),
        ("!!python/object:os.system {}", r"must hold a mapping|not allowed|broken"),
        ("a: [", "broken YAML"),
    ],
)
def test_damaged_winner(tmp_path, text, what):
    run = write_run(tmp_path / "run", best=text)
    with pytest.raises(StoreError, match=what):
        read_ga_values(run)


def test_what_finding_them_took_comes_from_the_journal(tmp_path):
    run = write_run(tmp_path / "run")
    events = [
        {"event": "session", "at": 0.0},
        {"event": "begin", "at": 0.0, "number": 0},
        {"event": "begin", "at": 1.0, "number": 1},
        {"event": "end", "at": 5.0, "number": 0, "state": "COMPLETE"},
        {"event": "end", "at": 8.0, "number": 1, "state": "PRUNED"},
    ]
    (run / "journal.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    found = tuning_cost(run)
    assert (found["run"], found["trials"], found["held_s"]) == ("run", 2, 12.0)
    assert found["device_s"] is None  # nobody knows what a trial held
    told = tuning_text(found)
    assert "the run 'run' found in 2 trials: 12s of trainings, which no column counts" in told
    manifest = json.loads((run / "manifest.json").read_text())
    placement = {"workers": 2, "gpus": 0, "threads": 3, "cpus": 6}
    manifest["outlook"] = {"placement": placement}
    (run / "manifest.json").write_text(json.dumps(manifest))
    found = tuning_cost(run)
    assert (found["device_s"], found["unit"]) == (36.0, "core")
    assert "36s of cores" in tuning_text(found)


def test_the_papers_own_values_say_so():
    assert tuning_text(OF_THE_PAPER).startswith("the learning rate and momentum of the paper")


def test_an_ablation_has_found_no_values(tmp_path):
    run = write_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text()) | {"kind": "ablation"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="holds an ablation table"):
        read_ga_values(run)
