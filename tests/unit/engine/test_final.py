"""A search and its final comparison, in one process."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from evolve.data_source import DataSource
from evolve.errors import SpaceError
from evolve.final import judged_split
from evolve.runs import RunRequest, start_run, stored_request
from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_manifest, read_run
from model.config import TrainConfig
from model.data.coco import load_dataset
from tests.tiny_data import write_tiny_coco
from tests.unit.engine.made_up import Fragile, Killed, Notes, make_space


def request(tmp_path, confirm="2x2", out="run", **more):
    space = replace(make_space(tmp_path, epochs=2), trials=5, confirm=confirm)
    source = DataSource(argument="curve-0", path=Path("curve-0"), name="curve-0")
    given = {"space": space, "data": source, "engine": "inline", "trainer": "curve"} | more
    return RunRequest(out=tmp_path / out, **given)


class Hears(Notes):
    """A listener that keeps what it is told of the run before it begins."""

    def on_begin(self, manifest):
        self.manifest = manifest


def found(out):
    frame = read_comparison(out).trainings.drop(columns=["folder"])
    return read_run(out).trials["value"].to_list(), frame.to_dict("records")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    home = tmp_path_factory.mktemp("finished")
    notes = Notes()
    start_run(request(home), notes)
    return home / "run", notes


def test_the_best_trials_and_the_defaults_follow_the_search(finished):
    out, notes = finished
    record, trials = read_comparison(out), read_run(out).trials
    default, *candidates = record.rows
    assert (default.key, default.trial) == ("default", None)
    assert len(candidates) == 2
    assert len(record.trainings) == 6
    for row in candidates:
        trial = trials.set_index("number").loc[row.trial]
        assert row.key == f"trial-{row.trial:05d}"
        assert row.search_value == trial["value"]
        assert row.config["optimizer"]["lr"] == trial["params.optimizer.lr"]
    assert [phase.title for phase in notes.phases] == ["final comparison"]
    assert len(notes.ended) == 5 + 6
    assert not set(record.trainings["seed"]) & set(trials["seed"])


def test_test_is_opened_for_the_comparison_alone_and_that_is_noted(finished):
    out, _ = finished
    manifest = read_manifest(RunFolder(out))
    assert manifest["test_opened"] is True
    assert manifest["test_opened_at"] >= manifest["created"]
    assert manifest["confirm"] == "2x2"
    assert not list((out / "trials").rglob("detections-test*"))
    assert "test/" not in "".join(p.read_text() for p in (out / "trials").rglob("*.jsonl"))
    assert len(list((out / "final").rglob("detections-test.json.gz"))) == 6


def test_best_configuration_is_the_confirmed_one(finished):
    out, _ = finished
    record = read_comparison(out)
    text = (out / "best.yaml").read_text()
    winner = record.winner()
    assert TrainConfig.model_validate(yaml.safe_load(text)).to_dict() == winner.config
    mean = 100 * record.of_row(winner.key)["value_test"].mean()
    defaults = 100 * record.of_row("default")["value_test"].mean()
    assert text.startswith(
        f"# confirmed: trial {winner.trial} of run: mean AP {mean:.1f}% over 2 fresh seeds on "
        f"test, defaults {defaults:.1f}%\n"
    )
    assert winner.config["seed"] == 0


@pytest.mark.parametrize("epochs", [9, 10, 13, 21])
def test_killed_in_search_or_comparison_it_ends_as_its_undisturbed_twin(
    tmp_path, finished, epochs
):
    with pytest.raises(Killed):
        start_run(request(tmp_path), Fragile(epochs))
    start_run(
        stored_request(tmp_path / "run", engine="inline", data=request(tmp_path).data), Notes()
    )
    assert repr(found(tmp_path / "run")) == repr(found(finished[0]))
    assert (tmp_path / "run" / "best.yaml").read_text() == (finished[0] / "best.yaml").read_text()


def test_a_run_without_a_comparison_never_opens_test(tmp_path):
    notes = Notes()
    start_run(request(tmp_path, confirm="0"), notes)
    out = tmp_path / "run"
    assert read_comparison(out) is None
    assert notes.phases == []
    assert len(notes.ended) == 5
    assert read_manifest(RunFolder(out))["test_opened"] is False
    assert (out / "best.yaml").read_text().startswith("# trial ")


def test_resume_may_enlarge_the_comparison_but_not_forget_it(tmp_path):
    data = request(tmp_path).data
    start_run(request(tmp_path, confirm="1x1"), Notes())
    before = found(tmp_path / "run")[1]
    for confirm, trainings in (("2x2", 6), ("1x1", 6), (None, 6)):
        start_run(stored_request(tmp_path / "run", confirm=confirm, data=data), Notes())
        assert len(found(tmp_path / "run")[1]) == trainings
    after = {(one["row"], one["seed_index"]): one for one in found(tmp_path / "run")[1]}
    assert all(after[one["row"], one["seed_index"]] == one for one in before)
    start_run(stored_request(tmp_path / "run", confirm="0", data=data), Notes())
    assert len(found(tmp_path / "run")[1]) == 6


def test_more_trials_may_bring_other_candidates(tmp_path):
    data = request(tmp_path).data
    start_run(request(tmp_path, confirm="1x1"), Notes())
    opened = read_manifest(RunFolder(tmp_path / "run"))["test_opened_at"]
    start_run(stored_request(tmp_path / "run", trials=12, data=data), Notes())
    out = tmp_path / "run"
    record, trials = read_comparison(out), read_run(out).trials
    assert len(trials) == 12
    assert record.is_complete
    assert len(record.rows) == 2
    assert read_manifest(RunFolder(out))["test_opened_at"] == opened


def test_a_search_of_the_defaults_alone_has_nothing_to_compare(tmp_path):
    asked = request(tmp_path)
    start_run(replace(asked, space=replace(asked.space, trials=1)), Notes())
    assert read_comparison(tmp_path / "run") is None


def test_the_defaults_win_where_nothing_is_better(tmp_path):
    space = make_space(tmp_path, epochs=2)
    best = tuple(
        replace(one, default=0.02) if one.path == "optimizer.lr" else one
        for one in space.parameters
    )
    space = replace(space, trials=3, confirm="1x2", sampler="random", parameters=best)
    start_run(request(tmp_path, space=space), Notes())
    text = (tmp_path / "run" / "best.yaml").read_text()
    assert text.startswith("# the defaults of run: mean AP ")
    assert yaml.safe_load(text)["optimizer"]["lr"] == 0.02


def test_bad_sizes_are_refused(tmp_path):
    start_run(request(tmp_path, confirm="0"), Notes())
    with pytest.raises(SpaceError, match="'3' is no size of a final comparison") as error:
        stored_request(tmp_path / "run", confirm="3", data=request(tmp_path).data)
    assert error.value.where == "--confirm"


def test_val_is_judged_where_test_has_no_truths(tmp_path):
    both = load_dataset(write_tiny_coco(tmp_path / "both", {"train": 2, "val": 2, "test": 2}))
    assert judged_split(both) == "test"
    assert judged_split(load_dataset(write_tiny_coco(tmp_path / "bare"))) == "val"
    blank = tuple(
        replace(r, boxes_xyxy_px=r.boxes_xyxy_px[:0], labels=r.labels[:0], crowd=r.crowd[:0],
                areas=r.areas[:0])
        for r in both.splits["test"]
    )  # fmt: skip
    assert judged_split(replace(both, splits=both.splits | {"test": blank})) == "val"


# -- what a resumed run is told ----------------------------------------------------------------


def _told(asked):
    hears = Hears()
    start_run(asked, hears)
    return hears.manifest["outlook"]


def _stopped(tmp_path, epochs, **changes):
    space = replace(make_space(tmp_path, epochs=2), trials=5, confirm="2x2", **changes)
    data = DataSource(argument="curve-0.001", path=Path("curve-0.001"), name="curve-0.001")
    asked = request(tmp_path, space=space, data=data)
    with pytest.raises(Killed):
        start_run(asked, Fragile(epochs))
    return asked, read_manifest(RunFolder(asked.out))["outlook"]


def test_a_resumed_run_is_told_what_is_left_and_stores_what_is_planned(tmp_path):
    asked, first = _stopped(tmp_path, 2 * 2 + 1)  # two trials, and an epoch of the third
    assert (first["plan"]["trials"], first["plan"]["finals"]) == (5, 6)
    assert first["lines"][1].startswith("plan   5 trials of 2 epochs; about ")
    told = _told(asked)
    assert told["plan"]["trials"] == 3
    assert told["plan"]["finals"] == 6
    assert told["lines"][1].startswith("plan   3 of 5 trials left of 2 epochs; about ")
    assert told["plan"]["search_s"] < first["plan"]["search_s"]
    assert told["plan"]["disk_bytes"] < first["plan"]["disk_bytes"]
    stored = read_manifest(RunFolder(asked.out))["outlook"]
    assert stored == first
    assert _told(asked)["lines"][1] == "plan   nothing is left to be trained"
    assert read_manifest(RunFolder(asked.out))["outlook"] == first


def test_a_final_comparison_that_is_resumed_is_told_how_much_of_it_is_left(tmp_path):
    asked, first = _stopped(tmp_path, 5 * 2 + 2 * 2 + 1)
    told = _told(asked)
    assert (told["plan"]["trials"], told["plan"]["finals"]) == (0, 4)
    assert "final comparison (4 of 6 trainings left)" in told["lines"][1]
    more = stored_request(asked.out, trials=7, data=asked.data)
    assert _told(more)["plan"]["trials"] == 2
    stored = read_manifest(RunFolder(asked.out))["outlook"]
    assert (stored["plan"]["trials"], stored["probe"]) == (7, first["probe"])


def test_a_resumed_run_is_told_what_is_left_of_its_budget(tmp_path):
    asked, first = _stopped(tmp_path, 2 * 2 + 1, budget="1h")
    assert not any("are left" in line for line in first["lines"])
    journal = RunFolder(asked.out).journal
    *earlier, last = journal.read_text().splitlines()
    late = json.dumps(json.loads(last) | {"at": 900.0})  # a quarter of an hour is spent
    journal.write_text("\n".join([*earlier, late, ""]))
    (line,) = (line for line in _told(asked)["lines"] if "are left" in line)
    assert line.strip() == "of which 45m00s are left"
