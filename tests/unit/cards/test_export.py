"""From a run to its card, and what is kept back."""

import getpass
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from optuna.trial import create_trial

from evolve.cards.card import read_card
from evolve.cards.export import OTHERS, card_of_run, estimated_values, public_parameters
from evolve.cards.facts import data_facts, facts_of_run
from evolve.cli.main import BAD_INPUT, VERBS, cli, main
from evolve.errors import CardError, StoreError
from evolve.space import load_space
from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_run
from evolve.store.study import open_storage, open_study, sqlite_url
from model.data.coco import load_dataset
from tests.tiny_data import write_tiny_coco
from tests.unit.cards.made_up import curve_request, finish
from tests.unit.engine.made_up import make_space

SPACE_WITH_PATHS = """
train: {epochs: 2}
parameters:
  optimizer.lr: {type: float, low: 0.001, high: 0.1, default: 0.01, why: for /home/me}
  backbone.weights: {type: categorical, choices: ['', /home/me/a.pt], default: ''}
  loss.label_smoothing:
    {type: float, low: 0.0, high: 0.1, default: 0.0, when: {backbone.weights: /home/me/a.pt}}
constraints:
  - optimizer.lr / 2 < 0.07
  - backbone.weights == '' or optimizer.lr < 0.05
  - distill.teacher != '/home/me/b.pt'
  - loss.label_smoothing < 0.2
"""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A finished run whose comparison has ended too."""
    return finish(curve_request(tmp_path_factory.mktemp("home"), confirm="1x2"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    counts = {"train": 8, "val": 4, "test": 3}
    return write_tiny_coco(tmp_path_factory.mktemp("data") / "secret-place", counts)


def export(run, *arguments):
    done = CliRunner().invoke(cli, ["export-study", str(run), *map(str, arguments)])
    assert done.exception is None, done.output
    return done


def test_it_is_a_verb():
    assert list(VERBS).index("export-study") == list(VERBS).index("export") + 1


def test_a_card_tells_the_trials_the_best_first(earlier, tmp_path):
    export(earlier, "--out", tmp_path / "card.yaml")
    card, trials = read_card(tmp_path / "card.yaml"), read_run(earlier).trials
    assert (card.name, card.objective, card.epochs, card.image_size) == ("earlier", "AP", 2, 96)
    assert list(card.searched()) == ["optimizer.lr", "optimizer.momentum"]
    told = {trial.number: (trial.value, trial.params["optimizer.lr"]) for trial in card.trials}
    complete = trials[trials["state"] == "COMPLETE"]
    found = complete[["value", "params.optimizer.lr"]].itertuples(index=False, name=None)
    assert told == dict(zip(complete["number"], found, strict=True))
    assert len(told) == 8


def stored(tmp_path, rows):
    """A run whose study holds trials of these learning rates and values; study and space too."""
    space, folder = make_space(tmp_path, epochs=2), RunFolder.create(tmp_path / "run")
    folder.write_json(folder.manifest, {"objective": "AP", "space": space.to_dict()})
    study = open_study(open_storage(sqlite_url(folder.study)))
    for lr, value in rows:
        params = {"optimizer.lr": lr, "optimizer.momentum": 0.9}
        trial = create_trial(params=params, distributions=space.distributions(), value=value)
        study.add_trial(trial)
    return folder.path, study, space


def test_the_order_allows_for_noise(tmp_path):
    """One lucky trial where its neighbours are bad."""
    rng, lucky = np.random.default_rng(0), 5
    rows = [
        (float(lr), 0.5 - 0.1 * abs(math.log10(lr / 0.01)) + 0.01 * float(rng.normal()))
        for lr in np.geomspace(1e-4, 0.1, 60)
    ]
    rows[lucky] = (rows[lucky][0], max(value for _, value in rows) + 0.001)
    path, study, space = stored(tmp_path, rows)
    estimates = estimated_values(study.trials, space)
    ordered = sorted(estimates, key=lambda number: -estimates[number])
    assert study.best_trial.number == lucky
    assert ordered[0] != lucky
    numbers = [trial.number for trial in card_of_run(path, best=10).trials]
    assert len(numbers) == 10 + OTHERS
    assert numbers[:10] == ordered[:10]
    assert numbers[-1] == ordered[-1]
    assert numbers == [number for number in ordered if number in numbers]


def test_few_noisy_trials_keep_the_good_before_the_bad(tmp_path):
    values = (0.28, 0.30, 0.31, 0.23, 0.35, 0.39, 0.40)
    lrs = (0.002, 0.00238, 0.0029, 0.0008, 0.00185, 0.00268, 0.00239)
    path, *_ = stored(tmp_path, zip(lrs, values, strict=True))
    numbers = [trial.number for trial in card_of_run(path).trials]
    assert set(numbers[:3]) >= {5, 6}
    assert numbers[-1] == 3


def test_failures_are_told_in_a_word_and_apart(tmp_path):
    wide = make_space(tmp_path, epochs=2, high=10.0)
    run = finish(
        curve_request(
            tmp_path, trials=12, space=replace(wide, trials=12, sampler="random", confirm="0")
        )
    )
    card, trials = card_of_run(run), read_run(run).trials
    failed = trials[trials["state"] == "FAIL"]
    assert len(failed)
    assert [failure.number for failure in card.failed] == list(failed["number"])
    assert {failure.reason for failure in card.failed} == {"diverged"}
    assert not set(failed["number"]) & {trial.number for trial in card.trials}


def test_the_confirmed_winner_and_its_gain(earlier):
    card, record = card_of_run(earlier), read_comparison(earlier)
    winner, rows = card.confirmed, record.of_row(record.winner().key)
    assert winner.trial == record.winner().trial
    assert winner.params == {t.number: t.params for t in card.trials}[winner.trial]
    assert (winner.seeds, winner.judged_on) == (2, "test")
    assert winner.mean_val == rows["value_val"].mean()
    assert winner.mean_judged == rows["value_test"].mean()
    gain = winner.mean_judged - record.of_row("default")["value_test"].mean()
    assert winner.delta.mean == pytest.approx(gain)
    assert winner.delta.low <= winner.delta.mean <= winner.delta.high


def test_an_unfinished_comparison_is_not_told(earlier, tmp_path):
    run = shutil.copytree(earlier, tmp_path / "run")
    plan = json.loads((run / "final" / "comparison.json").read_text())
    for row in plan["rows"]:
        row["trainings"] = [f"{one}-later" for one in row["trainings"]]
    (run / "final" / "comparison.json").write_text(json.dumps(plan))
    assert card_of_run(run).confirmed is None


def with_data(run, tiny, **changes):
    """Let the manifest of a run say that it was on the tiny data."""
    dataset, folder = load_dataset(tiny), RunFolder(run)
    manifest = json.loads(folder.manifest.read_text())
    manifest["data"] = {
        "path": str(tiny),
        "name": tiny.name,
        "digest": dataset.digest,
        "classes": list(dataset.classes),
        "images": {split: len(records) for split, records in dataset.splits.items()},
        "notes": [],
    } | changes
    folder.write_json(folder.manifest, manifest)
    return manifest


def test_a_card_names_no_place_no_file_and_nobody(earlier, tiny, tmp_path):
    run = shutil.copytree(earlier, tmp_path / "run")
    with_data(run, tiny)
    assert export(run).stderr == ""
    text = (run / "card.yaml").read_text()
    assert "secret-place" not in text
    assert "train_1" not in text
    assert "red" not in text.replace("shared", "")
    assert "cpu" not in text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "/" in line or "\\" in line]
    assert getpass.getuser() not in text
    assert read_card(run / "card.yaml").data.train is not None


def test_names_of_classes_are_told_if_wanted(earlier, tiny, tmp_path):
    run = shutil.copytree(earlier, tmp_path / "run")
    with_data(run, tiny)
    export(run, "--class-names", "--name", "mine")
    card = read_card(run / "card.yaml")
    assert card.data.class_names == ("red", "green")
    assert card.name == "mine"


def test_data_in_numbers(tiny):
    dataset = load_dataset(tiny)
    facts = data_facts(dataset)
    boxes = np.concatenate([r.boxes_xyxy_px for r in dataset.splits["train"]])
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    assert facts.classes == 2
    assert facts.class_names is None
    assert facts.images == {"train": 8, "val": 4, "test": 3}
    assert facts.train.at[2] == 0.5
    assert facts.train.image_width_px == (64.0,) * 5
    assert facts.train.boxes_per_image[2] == np.median(
        [len(r.labels) for r in dataset.splits["train"]]
    )
    assert facts.train.box_side_px[2] == pytest.approx(np.median(sides), rel=1e-3)
    assert facts.train.box_side_of_image[2] == pytest.approx(np.median(sides) / 64, rel=1e-3)


def test_data_that_moved_are_found_and_others_are_not_taken(earlier, tiny, tmp_path):
    run = shutil.copytree(earlier, tmp_path / "run")
    manifest = with_data(run, tiny, path="/nowhere")
    facts, note = facts_of_run(manifest)
    assert "no data set at '/nowhere'" in note
    assert (facts.classes, facts.images["val"], facts.train) == (2, 4, None)
    assert facts_of_run(manifest, str(tiny)) == (data_facts(load_dataset(tiny)), "")
    other = write_tiny_coco(tmp_path / "other", {"train": 9, "val": 4})
    facts, note = facts_of_run(manifest, str(other))
    assert facts.images["train"] == 8
    assert "they have changed since the run" in note
    assert "the run read no data set" in export(earlier, "--out", tmp_path / "c.yaml").stderr


def test_settings_with_a_path_are_kept_back(tmp_path):
    (tmp_path / "space.yaml").write_text(SPACE_WITH_PATHS)
    space = load_space(tmp_path / "space.yaml")
    assert public_parameters(space) == {"optimizer.lr"}
    run = finish(curve_request(tmp_path, trials=4, space=replace(space, trials=4, confirm="0")))
    export(run)
    assert "/home/me" not in (run / "card.yaml").read_text()
    card = read_card(run / "card.yaml")
    assert card.space.constraints == ("optimizer.lr / 2 < 0.07",)
    assert {tuple(trial.params) for trial in card.trials} == {("optimizer.lr",)}


def test_a_run_without_complete_trials_has_nothing_to_tell(earlier, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(earlier / "manifest.json", run)
    with pytest.raises(CardError, match="no complete trial"):
        card_of_run(run)
    with pytest.raises(SystemExit) as ended:
        main(["export-study", str(run)])
    assert ended.value.code == BAD_INPUT
    assert "evolve resume" in capsys.readouterr().err
    assert not (run / "card.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "no such run folder"),
        ([".", "--out", "card.json"], "name it card.yaml"),
        ([".", "--out", "nowhere/card.yaml"], "no such folder"),
    ],
)
def test_bad_input_exits_with_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export-study", *arguments])
    assert ended.value.code == BAD_INPUT
    assert told in capsys.readouterr().err


def test_a_space_of_another_version_is_told_as_such(earlier, tmp_path):
    run = shutil.copytree(earlier, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["space"]["surprise"] = 1
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="cannot be understood"):
        card_of_run(run)
