"""What is said of a run, from literal frames."""

import json
import math
from dataclasses import replace

import pytest

from evolve.findings.cache import Cache
from evolve.findings.join import join
from evolve.findings.steps import row_key
from tests.unit.findings.made_up import SPACE, TRIALS, make_record, make_run

DEFAULT = [0.30, 0.31, 0.32]
FINAL = make_record(DEFAULT, trial_5=[0.342, 0.350, 0.361], trial_2=[0.31, 0.33, 0.32])


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "findings.json")


def test_the_verdict_the_rows_and_the_luck(cache):
    final = join(make_run(), FINAL, None, cache).final
    assert final.winner == final.verdict.winner == "trial-5"
    assert final.sentence.startswith("Trial 5 beats the defaults by 4.1 AP points on test (95 %")
    assert final.luck.sentence.startswith("Of the 13.0 points seen in the search, 4.1 were")
    default, winner, other = final.rows
    assert (default.search_value, winner.search_value) == (0.30, 0.43)
    assert (default.delta, winner.trial, other.trial) == (None, 5, 2)
    assert winner.values == (0.342, 0.350, 0.361)
    assert winner.judged.mean == pytest.approx(0.351)
    assert winner.val.mean == pytest.approx(0.451)
    assert winner.metrics == {"AP": pytest.approx(0.351)}
    assert (other.delta.mean, other.delta.pairs) == (pytest.approx(0.01), 3)
    assert final.folders["trial-5"] == "final/trial-5/0"


def test_a_run_without_images_is_judged_by_its_seeds_and_says_why(cache):
    final = join(make_run(), FINAL, None, cache).final
    assert final.verdict.delta.source == "seeds"
    assert final.no_images == "these trainings looked at no images"
    assert "holds nothing of what other images would change" in final.sentence


def test_what_mattered_is_told_along_the_path(cache):
    found = join(make_run(), FINAL, None, cache)
    assert found.path.steps[0].parameters == ("optimizer.lr",)
    assert found.path.trial == 5
    assert found.path.start == pytest.approx(0.30, abs=0.03)
    assert found.words.startswith("Most of the gain came from optimizer.lr (0.002 -> 0.03)")
    assert found.words.endswith("so few give hints at best.")
    assert not found.path.is_trained
    assert found.importances.reason == "it takes 8 complete trials, and there are 6"


def test_without_a_gain_the_words_promise_nothing(cache):
    record = make_record(DEFAULT, trial_5=[0.31, 0.30, 0.325])
    found = join(make_run(), record, None, cache)
    assert found.final.verdict.word == "no detectable gain"
    assert found.words.startswith("The comparison confirms no gain, so this tells what the search")


def test_the_defaults_as_winner_have_no_path_and_no_luck(cache):
    found = join(make_run(), make_record(DEFAULT, trial_5=[0.2, 0.2, 0.2]), None, cache)
    assert found.final.sentence.startswith("The defaults stay")
    assert found.final.luck.sentence == ""
    assert found.path.steps == ()
    assert found.words == "The evolved configuration is the default one."


def test_a_partly_finished_comparison_says_what_it_can(cache):
    record = make_record([0.30, 0.31, 0.32], trial_5=[0.33, 0.345, None], trial_2=[0.3, 0.3, None])
    final = join(make_run(), record, None, cache).final
    assert final.unfinished == "7 of 9 trainings of the final comparison have ended."
    assert final.winner == "trial-5"  # the defaults' third seed is no merit
    assert "; 2 fresh seeds; " in final.sentence
    assert final.row("default").judged.count == 3
    assert final.row("trial-2").delta.pairs == 2


def test_a_comparison_without_a_whole_seed(cache):
    record = make_record([0.3], trial_5=[None])
    found = join(make_run(), record, None, cache)
    assert found.final.verdict is None
    assert found.final.sentence == (
        "Undecided: no fresh seed has been trained with every row yet."
    )
    assert math.isnan(found.final.row("trial-5").judged.mean)
    assert found.path.trial == 5  # the best of the search
    frame = record.trainings.assign(state="FAIL", value_val=math.nan)
    failed = join(make_run(), replace(record, trainings=frame), None, cache).final
    assert failed.sentence == "Undecided: every training of the final comparison failed."
    assert failed.unfinished == ""


def test_a_search_alone_is_explained_too(cache):
    found = join(make_run(), None, None, cache)
    assert found.final is None
    assert found.path.trial == 5
    assert found.words.startswith("Most of the gain came from optimizer.lr")


def test_few_trials_have_no_path(cache):
    found = join(make_run([*TRIALS[:3], (0.1, 0.9, None)]), None, None, cache)
    assert found.path is None
    assert found.no_path == "it takes 4 complete trials, and there are 3"
    assert found.words == ""


@pytest.mark.parametrize("space", [{}, None, {"parameters": 3}])
def test_a_manifest_without_a_space_is_borne(cache, space):
    found = join(make_run(space=space), FINAL, None, cache)
    assert found.final.verdict.word == "gain"
    assert found.importances.reason == found.no_path == "the run does not say what it searched"


def keys_of(path):
    configs = [SPACE.to_config(step.config) for step in path.steps]
    return [row_key(number, config) for number, config in enumerate(configs, start=1)]


def trained_path(path, *values):
    rows = {key.replace("-", "_"): value for key, value in zip(keys_of(path), values, strict=True)}
    return make_record(DEFAULT, name="path", **rows)


def test_a_trained_path_stands_for_the_estimates(cache):
    path = join(make_run(), FINAL, None, cache).path
    first = [0.341, 0.351, 0.359]
    found = join(make_run(), FINAL, trained_path(path, first, [0.342, 0.350, 0.361]), cache)
    assert found.path.is_trained
    assert found.path.split == "test"
    assert [delta.mean for delta in found.path.trained] == pytest.approx(
        [0.0403333333, 0.0006666667]
    )
    assert "Every step was trained with 3 seeds or more." in found.words
    frame = found.path.frame()
    assert frame["measured"].tolist() == pytest.approx([0.0403333333, 0.0006666667])
    assert frame["pairs"].tolist() == [3, 3]


def test_a_path_that_is_partly_trained_keeps_the_estimates(cache):
    path = join(make_run(), FINAL, None, cache).path
    found = join(make_run(), FINAL, trained_path(path, [0.34, None, None], [None] * 3), cache)
    assert not found.path.is_trained
    assert found.path.training == "4 of 9 trainings of the final comparison have ended."
    assert "These are estimates" in found.words
    assert [delta.pairs for delta in found.path.trained] == [1, 0]


def test_a_path_that_was_trained_before_on_val_alone_is_told_on_val(cache):
    path = join(make_run(), FINAL, None, cache).path
    record = trained_path(path, [0.34, 0.35, 0.36], [0.34, 0.35, 0.36])
    frame = record.trainings.assign(value_test=math.nan)
    found = join(make_run(), FINAL, replace(record, trainings=frame), cache)
    assert found.path.split == "val"
    assert found.path.trained[0].mean == pytest.approx(0.04)


def test_the_path_of_an_earlier_search_is_left_out(cache):
    other = make_record(DEFAULT, name="path", step_01_0=DEFAULT)
    assert join(make_run(), FINAL, other, cache).path.trained == ()


def test_everything_is_json_without_nan(cache):
    tree = join(make_run(), FINAL, None, cache).to_dict()
    text = json.dumps(tree, allow_nan=False)
    assert json.loads(text)["final"]["rows"][1]["delta"]["pairs"] == 3
    assert tree["path"]["steps"][0]["measured"] is None


def test_slow_results_are_computed_once(tmp_path, monkeypatch):
    path = tmp_path / "findings.json"
    cache = Cache(path)
    first = join(make_run(), FINAL, None, cache).to_dict()
    cache.write()
    monkeypatch.setattr("evolve.findings.steps.Surrogate", None)
    monkeypatch.setattr("evolve.findings.join.measure_importance", None)
    assert join(make_run(), FINAL, None, Cache(path)).to_dict() == first
    more = [*TRIALS, (0.05, 0.9, 0.44)]
    with pytest.raises(TypeError):  # another trial, another result
        join(make_run(more), FINAL, None, Cache(path))
