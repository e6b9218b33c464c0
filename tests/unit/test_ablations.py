"""Tables that are trained, in one process, on learning curves."""

import dataclasses
import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from evolve import ablations
from evolve.ablation.rows import plan_rows
from evolve.ablation.table import load_table
from evolve.ablations import AblationRequest, look_ahead, parts_of, start_ablation, stored_ablation
from evolve.data_source import DataSource
from evolve.engine import trainers
from evolve.errors import EvolveError, StoreError
from evolve.findings.table import find_table
from evolve.runs import stored_request
from evolve.seeds import fresh_seed
from evolve.store.comparison import PRETRAIN, TABLE, PlanRecord, read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_manifest
from evolve.store.status import StatusReader
from evolve.testing.curves import _noisy, follow_curve
from model.errors import Diverged
from tests.unit.engine.made_up import Fragile, Killed, Notes

TABLE_FILE = """
title: Rates
model: yolov4-nano
base: {set: {epochs: 2}}
rows:
  - {key: plain}
  - {key: faster, set: {optimizer.lr: 0.02}}
  - {key: fastest, set: {optimizer.lr: 0.05}}
"""
NEAR = TABLE_FILE.replace("lr: 0.05", "lr: 0.0024")  # a row that differs little from the first
PRETRAINED = """
title: Backbones
model: yolov4-nano
base: {set: {epochs: 2}}
rows:
  - {key: bare, pretrain: {model: csdarknet53-nano, set: {epochs: 2}}}
  - {key: cut, pretrain: {model: csdarknet53-nano, ingredients: [CutMix], set: {epochs: 2}}}
  - {key: tuned, ingredients: [S], pretrain: {model: csdarknet53-nano, set: {epochs: 2}}}
"""


def rough(config, data, *, data_seed, resume, halt=None):
    """A curve whose noise is every configuration's own, and which a classifier has too."""
    own = zlib.crc32(config.with_values({"seed": 0}).digest().encode())
    if config.augment.cutmix > 0 and config.seed == fresh_seed(0, 1):
        raise Diverged("the loss is not finite", "epoch 1", "lower optimizer.lr")
    for report in follow_curve(config, data, data_seed=data_seed, resume=resume, halt=halt):
        stream = (*report.stream, own)
        metrics = _noisy(report.reached, stream) | {"loss": 1.0}
        if config.task == "classify":
            metrics["top1"] = metrics["AP"]
        yield dataclasses.replace(report, stream=stream, metrics=metrics)


@pytest.fixture
def _rough(monkeypatch):
    monkeypatch.setitem(trainers.TRAINERS, "rough", rough)


def make(home, text=TABLE_FILE, *, trainer="curve", out="table", name="rates.yaml", **given):
    """A request for a table in a folder."""
    (home / name).write_text(text)
    (home / "curve-0").mkdir(exist_ok=True)
    source = DataSource(home / "curve-0", "curve-0", str(home / "curve-0"))
    plan = plan_rows(load_table(home / name))
    common = {"data": source, "out": home / out, "engine": "inline", "probes": False}
    return AblationRequest(**parts_of(plan), **(common | {"trainer": trainer} | given))


def values(folder):
    """What each training gave."""
    frame = read_comparison(folder.path, TABLE).trainings
    assert (frame["state"] == "COMPLETE").all()
    return {(r.row, r.seed_index): (r.value_val, r.value_test) for r in frame.itertuples()}


def test_rows_are_trained_with_the_same_seeds_and_judged(tmp_path):
    notes = Notes()
    folder = start_ablation(make(tmp_path), notes)
    plan = PlanRecord.read(folder.comparison(TABLE))
    assert plan.seeds == tuple(fresh_seed(0, index) for index in range(3))
    frame = read_comparison(folder.path, TABLE).trainings
    assert frame.groupby("seed_index")["seed"].nunique().tolist() == [1, 1, 1]
    assert len(notes.ended) == 9
    judged = find_table(folder.path).judged.set_index("row")
    assert judged.loc["faster", "word"] == "helps"  # the curve's best rate
    assert judged.loc["plain", "word"] == "baseline"
    manifest = read_manifest(folder)
    assert manifest["kind"] == "ablation"
    assert manifest["ended"]
    assert manifest["test_opened"]


def test_the_first_seed_of_all_rows_comes_before_the_second_of_any(tmp_path):
    folder = start_ablation(make(tmp_path, seeds=2), Notes())
    ends = [json.loads(line) for line in folder.comparison(TABLE).journal.open()]
    numbers = [event["number"] for event in ends if event["event"] == "end"]
    frame = read_comparison(folder.path, TABLE).trainings
    assert numbers == sorted(numbers)
    assert sorted(frame["seed_index"]) == [0, 0, 0, 1, 1, 1]


def test_a_killed_table_ends_as_its_undisturbed_twin(tmp_path):
    twin = start_ablation(make(tmp_path, out="twin", shares=False), Notes())
    for epochs in (3, 5, 4):
        with pytest.raises(Killed):
            start_ablation(make(tmp_path, shares=False), Fragile(epochs))
    folder = start_ablation(make(tmp_path, shares=False), Notes())
    assert values(folder) == values(twin)


def test_more_seeds_keep_the_first(tmp_path):
    folder = start_ablation(make(tmp_path, seeds=2), Notes())
    before, notes = values(folder), Notes()
    start_ablation(stored_ablation(folder.path, seeds=4), notes)
    after = values(folder)
    assert len(notes.ended) == 6
    assert {key: after[key] for key in before} == before
    assert len(after) == 12


def test_fewer_seeds_take_none_away(tmp_path):
    folder = start_ablation(make(tmp_path, seeds=3), Notes())
    notes = Notes()
    start_ablation(make(tmp_path, seeds=2), notes)
    assert not notes.ended
    assert read_manifest(folder)["seeds"] == 3


def test_a_table_may_grow_but_no_row_may_change(tmp_path):
    folder = start_ablation(make(tmp_path), Notes())
    notes = Notes()
    grown = TABLE_FILE + "  - {key: slow, set: {optimizer.lr: 0.0005}}\n"
    start_ablation(make(tmp_path, grown), notes)
    assert len(notes.ended) == 3
    assert len(values(folder)) == 12
    changed = grown.replace("lr: 0.02}", "lr: 0.021}")
    with pytest.raises(StoreError, match=r"rows\.faster\.config\.optimizer\.lr: 0\.02 in the fol"):
        start_ablation(make(tmp_path, changed), Notes())
    assert len(values(folder)) == 12


@pytest.mark.parametrize(
    ("given", "told"),
    [({"seed": 1}, "seed: 0"), ({"region": 0.01}, "region: 0.002"), ({"seeds": "auto"}, "seeds:")],
)
def test_another_way_to_judge_is_another_table(tmp_path, given, told):
    start_ablation(make(tmp_path), Notes())
    with pytest.raises(StoreError, match=told):
        start_ablation(make(tmp_path, **given), Notes())


def test_other_code_does_not_go_on(tmp_path, monkeypatch):
    start_ablation(make(tmp_path), Notes())
    monkeypatch.setattr("evolve.session.code_digest", lambda: "another")
    with pytest.raises(StoreError, match="code: "):
        start_ablation(make(tmp_path, seeds=4), Notes())


def test_a_storage_that_cannot_be_opened_is_not_kept(tmp_path):
    with pytest.raises(StoreError, match="the study cannot be opened"):
        start_ablation(make(tmp_path, seeds=1, storage="nonsense"), Notes())
    assert not RunFolder(tmp_path / "table").manifest.exists()
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    folder = start_ablation(make(tmp_path, seeds=1, storage=url), Notes())
    assert len(values(folder)) == 3
    with pytest.raises(StoreError, match=f"the study of this run lies in {url}"):
        start_ablation(make(tmp_path, seeds=1, storage=f"{url}2"), Notes())
    notes = Notes()
    start_ablation(make(tmp_path, seeds=1), notes)  # the folder knows where
    assert not notes.ended


# -- sharing -------------------------------------------------------------------------------


def test_equal_trainings_of_other_runs_are_taken_over_with_their_files(tmp_path):
    first = start_ablation(make(tmp_path, out="first"), Notes())
    wider = TABLE_FILE + "  - {key: slow, set: {optimizer.lr: 0.0005}}\n"
    request = make(tmp_path, wider.replace("key: faster", "key: other-name"), out="second")
    assert look_ahead(request).taken == 9
    notes = Notes()
    second = start_ablation(request, notes)
    assert len(notes.ended) == 3
    ours, theirs = values(second), values(first)
    assert ours["other-name", 2] == theirs["faster", 2]
    place = second.comparison(TABLE).training("other-name", 0)
    assert len(place.read_metrics()) == 2
    assert "9 taken over from other runs" in notes.phases[0].about
    for path in sorted(first.path.rglob("*"), reverse=True):  # the other may go
        path.unlink() if path.is_file() else path.rmdir()
    assert values(second) == ours


def test_nothing_is_shared_where_that_is_not_wanted(tmp_path):
    start_ablation(make(tmp_path, out="first"), Notes())
    notes = Notes()
    start_ablation(make(tmp_path, out="second", shares=False), notes)
    assert len(notes.ended) == 9


def test_nothing_is_shared_with_other_code(tmp_path, monkeypatch):
    start_ablation(make(tmp_path, out="first"), Notes())
    monkeypatch.setattr("evolve.session.code_digest", lambda: "another")
    notes = Notes()
    start_ablation(make(tmp_path, out="second"), notes)
    assert len(notes.ended) == 9


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.study.write_bytes(b"no database"),
        lambda run: run.manifest.write_text("{"),
        lambda run: run.comparison(TABLE).plan.write_text("[]"),
        lambda run: run.write_json(
            run.manifest,
            read_manifest(run) | {"storage": "postgresql+psycopg://nowhere.invalid/x"},
        ),
    ],
)
def test_a_run_beside_it_that_cannot_be_read_is_passed_over(tmp_path, spoil):
    spoil(start_ablation(make(tmp_path, out="first", seeds=1), Notes()))
    notes = Notes()
    start_ablation(make(tmp_path, out="second", seeds=1), notes)
    assert len(notes.ended) == 3


def test_a_run_of_another_protocol_is_refused_by_name(tmp_path, monkeypatch):
    first = start_ablation(make(tmp_path, out="first"), Notes())
    monkeypatch.setattr("evolve.session.code_digest", lambda: "another")
    with pytest.raises(StoreError, match=r"another protocol\n.*code or versions: ") as refused:
        start_ablation(make(tmp_path, out="second", donors=(first.path,)), Notes())
    assert refused.value.where == str(first.path)
    assert not (tmp_path / "second").exists()


def test_a_run_with_nothing_in_common_is_refused_with_what_differs(tmp_path):
    first = start_ablation(make(tmp_path, out="first"), Notes())
    longer = make(tmp_path, TABLE_FILE.replace("epochs: 2", "epochs: 3"), out="second")
    with pytest.raises(StoreError, match="epochs: 2 there, 3 here"):
        start_ablation(replace(longer, donors=(first.path,)), Notes())
    with pytest.raises(StoreError, match="seeds: those of --seed differ"):
        start_ablation(make(tmp_path, out="third", seed=5, donors=(first.path,)), Notes())


# -- classifiers first -----------------------------------------------------------------------


@pytest.mark.usefixtures("_rough")
def test_detectors_start_from_the_classifier_of_their_seed(tmp_path):
    request = make(tmp_path, PRETRAINED, trainer="rough", seeds=2)
    notes = Notes()
    folder = start_ablation(request, notes)
    first = read_comparison(folder.path, PRETRAIN)
    assert [row.key for row in first.plan.rows] == ["bare", "cut"]  # tuned has the first's
    frame = read_comparison(folder.path, TABLE).trainings
    for one in frame[frame["state"] == "COMPLETE"].itertuples():
        config = (one.folder / "config.yaml").read_text()
        row = "bare" if one.row == "tuned" else one.row
        weights = folder.comparison(PRETRAIN).training(row, one.seed_index).best
        assert f"weights: {weights}\n" in config
        assert weights.is_file()
    assert [phase.title for phase in notes.phases] == ["pre-training", "Backbones"]


@pytest.mark.usefixtures("_rough")
def test_what_would_start_from_a_failed_classifier_fails_with_its_reason(tmp_path):
    folder = start_ablation(make(tmp_path, PRETRAINED, trainer="rough", seeds=2), Notes())
    frame = read_comparison(folder.path, TABLE).trainings.set_index(["row", "seed_index"])
    lost = frame.loc[("cut", 1)]
    assert lost["state"] == "FAIL"
    assert lost["reason"] == "diverged: its classifier failed: the loss is not finite"
    assert (frame.drop(("cut", 1))["state"] == "COMPLETE").all()
    judged = find_table(folder.path).judged.set_index("row")
    assert (judged.loc["cut", "n"], judged.loc["cut", "planned"]) == (1, 2)
    notes = Notes()
    start_ablation(stored_ablation(folder.path), notes)  # and nothing of it is tried again
    assert not notes.ended


@pytest.mark.usefixtures("_rough")
def test_a_classifier_of_another_kind_is_another_training(tmp_path):
    folder = start_ablation(make(tmp_path, PRETRAINED, trainer="rough", seeds=1), Notes())
    rows = {row.key: row for row in PlanRecord.read(folder.comparison(TABLE)).rows}
    assert rows["bare"].config == rows["cut"].config
    assert rows["bare"].trainings != rows["cut"].trainings


# -- seeds as verdicts need them ---------------------------------------------------------------


@pytest.mark.usefixtures("_rough")
def test_rows_get_seeds_until_their_verdicts_stand(tmp_path):
    request = make(tmp_path, NEAR, trainer="rough", seeds="auto", region=0.0005, seed=1)
    folder = start_ablation(request, Notes())
    judged = find_table(folder.path).judged.set_index("row")
    counts = read_comparison(folder.path, TABLE).trainings.groupby("row").size()
    assert judged["stands"].all()
    assert counts.to_dict() == judged["seeds"].to_dict()
    assert counts["plain"] == counts.max()
    assert 3 <= counts.min() < counts.max() <= 16
    assert not read_manifest(folder)["over"]


@pytest.mark.usefixtures("_rough")
def test_a_killed_table_gets_the_same_seeds(tmp_path):
    given = {"trainer": "rough", "seeds": "auto", "region": 0.0005, "shares": False, "seed": 1}
    twin = start_ablation(make(tmp_path, NEAR, out="twin", **given), Notes())
    for epochs in (5, 8, 9):
        with pytest.raises(Killed):
            start_ablation(make(tmp_path, NEAR, **given), Fragile(epochs))
    folder = start_ablation(stored_ablation(tmp_path / "table"), Notes())
    assert values(folder) == values(twin)


def test_the_number_of_seeds_is_no_longer_asked_once_looks_were_declared(tmp_path):
    folder = start_ablation(make(tmp_path, seeds="auto"), Notes())
    with pytest.raises(EvolveError, match="declared beforehand"):
        stored_ablation(folder.path, seeds=5)


# -- the plan, the budget, and what is refused -------------------------------------------------


def test_looking_ahead_writes_nothing(tmp_path):
    ahead = look_ahead(make(tmp_path, probes=True))
    assert not (tmp_path / "table").exists()
    assert ahead.outlook.trainings == 9
    told = "\n".join(ahead.told()["lines"])
    assert "9 trainings; about" in told
    assert "guessed" in told
    told = "\n".join(look_ahead(make(tmp_path, probes=True, seeds="auto")).told()["lines"])
    assert "to the first look; at most 48 trainings" in told


@pytest.mark.usefixtures("_rough")
def test_what_is_done_is_planned_no_more(tmp_path):
    start_ablation(make(tmp_path, trainer="rough", seeds=2), Notes())
    ahead = look_ahead(make(tmp_path, trainer="rough", seeds=3))
    assert ahead.outlook.trainings == 3
    assert "as in table" in "\n".join(ahead.told()["lines"])


def test_a_table_ends_with_its_budget_and_says_so(tmp_path):
    (tmp_path / "curve-0.05").mkdir()
    data = DataSource(tmp_path / "curve-0.05", "slow", str(tmp_path / "curve-0.05"))
    request = make(tmp_path, data=data, probes=True, budget="1s", seeds=20)
    folder = start_ablation(request, Notes())
    frame = read_comparison(folder.path, TABLE).trainings
    done = int((frame["state"] == "COMPLETE").sum())
    assert 2 <= done < 60
    assert read_manifest(folder)["over"]
    status = StatusReader(folder.path).read()
    assert status.phase == "done"
    assert status.final.closed == "budget"
    start_ablation(stored_ablation(folder.path, budget="1h", seeds=20), Notes())
    assert len(values(folder)) == 60
    assert not read_manifest(folder)["over"]


class _Ticking:
    """A clock that gains a second with every epoch."""

    time = 0.0

    def now(self):
        return _Ticking.time


class _Ticks(Notes):
    def on_epoch(self, number, row):
        super().on_epoch(number, row)
        _Ticking.time += 1.0


@pytest.mark.usefixtures("_rough")
def test_a_budget_is_kept_for_rows_while_their_classifiers_are_trained(tmp_path, monkeypatch):
    monkeypatch.setattr("evolve.store.journal.SystemClock", _Ticking)
    request = make(tmp_path, PRETRAINED, trainer="rough", budget="60s", seeds=20)
    folder = start_ablation(request, _Ticks())  # two classifiers and three rows a seed, 2 s each
    first = read_comparison(folder.path, PRETRAIN).trainings
    table = read_comparison(folder.path, TABLE).trainings
    begun = table[table["state"] == "COMPLETE"]
    assert read_manifest(folder)["over"]
    assert _Ticking.time <= 60
    assert 10 <= (first["state"] == "COMPLETE").sum() <= 15  # half of it, and no more is known
    assert begun["seed_index"].max() >= 3
    assert len(begun) >= 12
    before = _Ticking.time
    start_ablation(replace(request, budget="120s"), _Ticks())
    first = read_comparison(folder.path, PRETRAIN).trainings
    table = read_comparison(folder.path, TABLE).trainings
    assert 100 < _Ticking.time <= 120 + before - 60
    classifiers = int((first["state"] == "COMPLETE").sum())
    rows = int((table["state"] == "COMPLETE").sum())
    assert rows > classifiers  # three rows to two classifiers: each that was trained is used
    counts = table[table["state"] == "COMPLETE"].groupby("row").size()
    assert counts["bare"] == counts["tuned"]
    assert read_manifest(folder)["over"]


@pytest.mark.usefixtures("_rough")
def test_a_budget_for_rows_without_their_classifier_is_refused(tmp_path):
    folder = make(tmp_path, PRETRAINED, probes=True, budget="5s")
    (tmp_path / "curve-1").mkdir()
    data = DataSource(tmp_path / "curve-1", "slow", str(tmp_path / "curve-1"))
    with pytest.raises(EvolveError, match=r"a classifier of about \ds and two trainings of about"):
        start_ablation(replace(folder, data=data), Notes())


def test_a_budget_for_less_than_two_trainings_is_refused(tmp_path):
    (tmp_path / "curve-30").mkdir()
    data = DataSource(tmp_path / "curve-30", "slow", str(tmp_path / "curve-30"))
    with pytest.raises(EvolveError, match="too little for two trainings"):
        start_ablation(make(tmp_path, data=data, probes=True, budget="10s"), Notes())
    assert not (tmp_path / "table").exists()


def test_a_folder_of_another_kind_is_refused_both_ways(tmp_path):
    folder = start_ablation(make(tmp_path), Notes())
    with pytest.raises(StoreError, match="holds an ablation table, not an evolution"):
        stored_request(folder.path)
    manifest = read_manifest(folder)
    folder.write_json(folder.manifest, manifest | {"kind": "run"})
    with pytest.raises(StoreError, match="holds an evolution, not an ablation table"):
        stored_ablation(folder.path)


def test_a_manifest_that_was_cut_is_refused(tmp_path):
    folder = start_ablation(make(tmp_path), Notes())
    manifest = read_manifest(folder)
    del manifest["rows"]
    folder.write_json(folder.manifest, manifest)
    with pytest.raises(StoreError, match="lacks or garbles 'rows'"):
        stored_ablation(folder.path)


def test_a_table_that_waits_for_its_classifiers_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(trainers.TRAINERS, "rough", rough)
    with pytest.raises(Killed):
        start_ablation(make(tmp_path, PRETRAINED, trainer="rough"), Fragile(2))
    status = StatusReader(tmp_path / "table").read()
    assert (status.kind, status.phase, status.state) == ("ablation", "pre-training", "interrupted")
    assert status.pretrain.trainings == 6
    assert status.final is None


def test_the_request_is_the_same_after_a_stop(tmp_path):
    request = make(tmp_path)
    folder = start_ablation(request, Notes())
    again = stored_ablation(folder.path)
    assert again.table == request.table
    assert again.configs == request.configs
    assert RunFolder(folder.path).costs.name == "costs.json"
    assert not folder.costs.exists()  # a curve has no network
    assert ablations.AUTO == "auto"
    assert isinstance(again.out, Path)
