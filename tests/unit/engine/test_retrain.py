"""The ablation path of a run, really trained, in one process."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from evolve.cli.explain_cmd import told
from evolve.cli.main import cli
from evolve.data_source import DataSource
from evolve.errors import EvolveError, StoreError
from evolve.findings import find
from evolve.retrain import retrain_path
from evolve.runs import RunRequest, start_run, stored_request
from evolve.store.comparison import PATH, read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_manifest
from tests.unit.engine.made_up import Fragile, Killed, Notes, make_space

EPOCHS = 2


def make_run(home, confirm="1x2", trials=6):
    space = replace(make_space(home, epochs=EPOCHS), trials=trials, confirm=confirm)
    (home / "curve-0").mkdir()
    data = DataSource(home / "curve-0", "curve-0", str(home / "curve-0"))
    start_run(
        RunRequest(space=space, data=data, out=home / "run", engine="inline", trainer="curve"),
        Notes(),
    )
    return home / "run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def outcome(run):
    frame = read_comparison(run, PATH).trainings.drop(columns=["folder"])
    return json.loads(json.dumps(frame.to_dict("records"))), find(run).to_dict()


def test_the_path_is_trained_with_the_seeds_of_the_comparison(run):
    notes = Notes()
    retrain_path(stored_request(run), 2, notes)
    record, final = read_comparison(run, PATH), read_comparison(run)
    assert record.is_complete
    assert record.plan.seeds == final.plan.seeds
    assert record.judged_on == final.judged_on == "test"
    found = find(run)
    assert [row.title for row in record.rows[1:]] == [s.title for s in found.path.steps]
    assert found.path.is_trained
    assert found.path.split == "test"
    gain = sum(delta.mean for delta in found.path.trained)
    assert gain == pytest.approx(found.final.verdict.delta.mean)
    assert "Every step was trained with 2 seeds" in found.words


def test_what_the_comparison_has_trained_is_not_trained_again(run):
    notes = Notes()
    retrain_path(stored_request(run), 2, notes)
    steps = len(find(run).path.steps)
    assert len(notes.started) == 2 * (steps - 1)
    assert [phase.title for phase in notes.phases] == ["ablation path"]
    record = read_comparison(run, PATH)
    ends = record.trainings["row"].isin([record.rows[0].key, record.rows[-1].key])
    assert {path.parent.parent.name for path in record.trainings[ends]["folder"]} == {"final"}
    assert {path.parent.parent.name for path in record.trainings[~ends]["folder"]} == {"path"}
    assert all((path / "metrics.jsonl").is_file() for path in record.trainings["folder"])


def test_a_trained_path_is_not_trained_again_and_keeps_its_seeds(run):
    retrain_path(stored_request(run), 2, Notes())
    before = outcome(run)
    notes = Notes()
    retrain_path(stored_request(run), 1, notes)
    assert (notes.started, notes.phases) == ([], [])
    assert outcome(run) == before
    retrain_path(stored_request(run), 3, notes)
    assert {delta.pairs for delta in find(run).path.trained} == {3}


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_killed_it_ends_as_its_undisturbed_twin(run, finished, tmp_path, epochs):
    twin = Path(shutil.copytree(finished, tmp_path / "twin"))
    retrain_path(stored_request(twin), 2, Notes())
    with pytest.raises(Killed):
        retrain_path(stored_request(run), 2, Fragile(epochs))
    assert find(run).path.training.endswith("trainings of the ablation path have ended.")
    retrain_path(stored_request(run), 2, Notes())
    assert outcome(run)[0] == outcome(twin)[0]
    assert find(run).words == find(twin).words


def test_without_a_comparison_the_path_is_judged_on_val_and_test_stays_closed(tmp_path):
    run = make_run(tmp_path, confirm="0")
    retrain_path(stored_request(run), 2, Notes())
    found = find(run)
    assert (found.path.is_trained, found.path.split) == (True, "val")
    assert read_manifest(RunFolder(run))["test_opened"] is False
    assert not list(run.rglob("detections-test*"))
    start_run(stored_request(run, confirm="1x2"), Notes())
    assert find(run).final.verdict is not None


def test_a_run_of_few_trials_has_no_path(tmp_path):
    run = make_run(tmp_path, confirm="0", trials=2)
    with pytest.raises(EvolveError, match="no ablation path yet") as error:
        retrain_path(stored_request(run), 2, Notes())
    assert "4 complete trials" in error.value.mend
    assert read_comparison(run, PATH) is None


def test_another_configuration_is_refused(run):
    request = stored_request(run)
    with pytest.raises(StoreError, match="another configuration"):
        retrain_path(replace(request, seed=5), 2, Notes())


def invoke(*arguments):
    done = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_explain_tells_importance_path_and_words(run):
    text = invoke("explain", run)
    assert "importance  none: it takes 8 complete trials, and there are 6" in text
    assert "estimated" in text
    assert "measured" not in text
    assert find(run).words in text


def test_explain_trains_and_makes_the_report(run):
    shutil.rmtree(run / "report", ignore_errors=True)
    text = invoke("-q", "explain", run, "--retrain", "--seeds", "2", "--engine", "inline")
    assert "measured on test" in text
    assert (run / "report" / "index.html").is_file()
    tree = json.loads(invoke("explain", run, "--json"))
    assert tree["path"]["steps"][0]["measured"]["pairs"] == 2


def test_explain_shows_importances_by_method(tmp_path):
    lines = told(find(make_run(tmp_path, trials=12)))
    head = lines[1].split("  ")
    assert lines[0] == "importance in percent, from 12 complete trials"
    assert [cell.strip() for cell in head if cell.strip()] == [
        *("parameter", "PED-ANOVA", "95 %", "chance", "fANOVA", "95 %", "chance")
    ]
    assert {line.split()[0] for line in lines[2:4]} == {"optimizer.lr", "optimizer.momentum"}
