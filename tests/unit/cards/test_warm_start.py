"""Runs that begin with what others found."""

import json
import shutil
from dataclasses import replace

import pytest
from click.testing import CliRunner

from evolve.cards.card import read_card, write_card
from evolve.cards.export import card_of_run
from evolve.cards.warm_start import WarmStart, load_warm_starts
from evolve.cli import running
from evolve.cli.main import BAD_INPUT, cli, main
from evolve.errors import CardError, SpaceError, StoreError
from evolve.runs import stored_request
from evolve.search.factory import build_sampler
from evolve.search.prior import Prior
from evolve.store.read import read_run
from reports.method import describe_method
from tests.unit.cards.made_up import curve_request, finish
from tests.unit.engine.made_up import SPACE, make_space
from tests.unit.reports.made_up_run import make_run


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    return finish(curve_request(tmp_path_factory.mktemp("home")))


@pytest.fixture
def space(tmp_path):
    return make_space(tmp_path, epochs=2)


def warm(space, *sources):
    return load_warm_starts(sources, space)


def as_card(run, path, **changes):
    write_card(card_of_run(run).model_copy(update=changes), path)
    return path


def test_a_run_and_its_card_are_one_prior(earlier, space, tmp_path):
    (of_run,) = warm(space, earlier)
    (of_card,) = warm(space, as_card(earlier, tmp_path / "card.yaml"))
    assert of_run.prior == of_card.prior
    assert of_run.digest == of_card.digest
    trials = read_run(earlier).trials
    assert of_run.prior.name == "earlier"
    assert sorted(of_run.prior.values) == sorted(trials["value"])
    assert of_run.prior.params == tuple(t.params for t in card_of_run(earlier).trials)
    assert of_run.told(space) == "warm start from earlier: 8 trials, 2 of 2 parameters"


def test_what_the_space_cannot_take_is_left_out(earlier, space):
    trials = card_of_run(earlier).trials
    least = sorted(trial.params["optimizer.lr"] for trial in trials)[3]
    lr, momentum = space.parameters
    other = replace(lr, path="optimizer.weight_decay")
    narrow = replace(space, parameters=(replace(lr, low=least), other))
    (found,) = warm(narrow, earlier)
    assert len(found.prior.values) == len(trials) - 3
    assert {tuple(params) for params in found.prior.params} == {("optimizer.lr",)}
    assert min(params["optimizer.lr"] for params in found.prior.params) == least
    assert "5 trials, 1 of 2 parameters" in found.told(narrow)
    choice = replace(lr, kind="categorical", low=None, high=None, choices=("a", "b"), default="a")
    (found,) = warm(replace(space, parameters=(choice, momentum)), earlier)
    assert {tuple(params) for params in found.prior.params} == {("optimizer.momentum",)}


def test_another_objective_is_taken_and_told(earlier, space, tmp_path):
    card = as_card(earlier, tmp_path / "card.yaml", objective="AP50", name="theirs")
    (found,) = warm(space, card)
    assert found.told(space).endswith(", judged by AP50 there")


def test_the_same_study_twice_counts_once(earlier, space, tmp_path):
    card = as_card(earlier, tmp_path / "card.yaml")
    other = as_card(earlier, tmp_path / "other.yaml", trials=card_of_run(earlier).trials[2:])
    found = warm(space, other, earlier, card)
    assert [len(one.prior.values) for one in found] == [6, 8]


def test_nothing_shared_is_refused_with_both_names(earlier, space):
    alien = replace(space.parameters[0], path="optimizer.weight_decay")
    with pytest.raises(CardError, match="shares no parameter") as refused:
        warm(replace(space, parameters=(alien,)), earlier)
    assert refused.value.mend == (
        "it has optimizer.lr, optimizer.momentum; this space has optimizer.weight_decay"
    )


def test_too_little_is_refused(earlier, space, tmp_path):
    few = as_card(earlier, tmp_path / "few.yaml", trials=card_of_run(earlier).trials[:2])
    with pytest.raises(CardError, match="only 2 of 2 trials of 'earlier' can be used"):
        warm(space, few)
    away = replace(space.parameters[0], low=0.5, high=0.9, default=0.6)
    with pytest.raises(CardError, match="only 0 of 8 trials"):
        warm(replace(space, parameters=(away,)), earlier)


def test_what_is_not_there_is_told_with_its_neighbours(space, tmp_path):
    (tmp_path / "cards.yaml").touch()
    with pytest.raises(CardError, match="no such run folder or card") as refused:
        warm(space, tmp_path / "card.yaml")
    assert "cards.yaml" in refused.value.mend
    with pytest.raises(StoreError, match="holds no run"):
        warm(space, tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sampler": "tpe"}, "the sampler tpe takes no warm start"),
        ({"sampler": "random"}, "the sampler random takes no warm start"),
        ({"variant": "paper"}, "the sampler genetic with variant 'paper' takes no warm start"),
    ],
)
def test_only_the_genetic_sampler_takes_one(space, changes, told):
    space = replace(space, **changes)
    with pytest.raises(SpaceError, match=told) as refused:
        build_sampler(space.sampler, 0, space, warm_start=[Prior("p", ({},), (0.1,))])
    assert refused.value.where == "--warm-start"
    assert build_sampler(space.sampler, 0, space)


def test_a_manifest_gives_back_what_it_was_given(earlier, space):
    (found,) = warm(space, earlier)
    tree = json.loads(json.dumps(found.to_dict()))
    assert WarmStart.from_dict(tree) == found
    assert WarmStart.from_dict(tree).digest == tree["digest"]


@pytest.mark.parametrize("params", [[], "text", None])
def test_a_garbled_manifest_is_told(earlier, space, params):
    (found,) = warm(space, earlier)
    tree = found.to_dict()
    tree["trials"][0]["params"] = params
    with pytest.raises(TypeError, match="warm_start"):
        WarmStart.from_dict(tree)


# -- whole runs ------------------------------------------------------------------------------


def proposals(run):
    frame = read_run(run).trials
    return frame[["number", "params.optimizer.lr", "params.optimizer.momentum"]].to_dict("records")


@pytest.fixture(scope="module")
def warmed(tmp_path_factory, earlier):
    home = tmp_path_factory.mktemp("warmed")
    starts = load_warm_starts([earlier], make_space(home, epochs=2))
    return finish(curve_request(home, "warm", warm_start=starts))


def test_a_prior_changes_what_is_proposed(earlier, warmed):
    assert proposals(warmed)[0] == proposals(earlier)[0]
    assert proposals(warmed)[1:] != proposals(earlier)[1:]


def test_a_resumed_run_needs_no_source(warmed, earlier, tmp_path):
    source = shutil.copytree(earlier, tmp_path / "source")
    request = curve_request(tmp_path, "warm", trials=4)
    run = finish(replace(request, warm_start=load_warm_starts([source], request.space)))
    shutil.rmtree(source)
    finish(stored_request(run, trials=8, data=request.data, engine="inline"))
    assert proposals(run) == proposals(warmed)


def test_another_warm_start_is_another_run(warmed, earlier, tmp_path):
    run = shutil.copytree(warmed, tmp_path / "warm")
    with pytest.raises(StoreError, match=r"another configuration\n +warm_start: "):
        finish(curve_request(tmp_path, "warm"))
    request = curve_request(tmp_path, "warm")
    card = as_card(earlier, tmp_path / "c.yaml", trials=card_of_run(earlier).trials[:5])
    with pytest.raises(StoreError, match="warm_start"):
        finish(replace(request, warm_start=load_warm_starts([card], request.space)))
    tampered = json.loads((run / "manifest.json").read_text())
    tampered["warm_start"][0]["trials"][0]["value"] = 0.9
    (run / "manifest.json").write_text(json.dumps(tampered))
    with pytest.raises(StoreError, match="warm_start"):
        finish(stored_request(run, data=request.data))


def test_through_the_command_line(warmed, earlier, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "conclude", lambda *_: (0, ""))  # the report has tests of its own
    monkeypatch.chdir(tmp_path)
    (tmp_path / "curve-0").mkdir()
    (tmp_path / "mine.yaml").write_text(SPACE.format(scheduler="none", epochs=2, high=0.1))
    as_card(earlier, tmp_path / "card.yaml")
    arguments = [
        *("run", "--space", "mine.yaml", "--data", "curve-0", "--trainer", "curve"),
        *("--engine", "inline", "--trials", "8", "--confirm", "0", "--out", "run"),
    ]
    done = CliRunner().invoke(cli, [*arguments, "--warm-start", "card.yaml"])
    assert done.exception is None, done.output
    assert "warm start from earlier: 8 trials, 2 of 2 parameters" in done.stderr
    assert proposals(tmp_path / "run") == proposals(warmed)
    again = CliRunner().invoke(cli, ["-q", *arguments, "--warm-start", str(earlier)])
    assert again.exception is None
    assert "warm start" not in again.stderr
    status = CliRunner().invoke(cli, ["status", "run"])
    assert "warm     start from earlier (8 trials)" in status.stdout
    told = json.loads(CliRunner().invoke(cli, ["status", "run", "--json"]).stdout)
    assert told["warm_start"] == [{"name": "earlier", "trials": 8}]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--warm-start", "nowhere.yaml"], "no such run folder or card"),
        (["--warm-start", "card.yaml", "--sampler", "tpe"], "the sampler tpe takes no warm start"),
    ],
)
def test_bad_input_exits_with_2_before_any_trial(
    earlier, tmp_path, monkeypatch, capsys, arguments, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "curve-0").mkdir()
    (tmp_path / "mine.yaml").write_text(SPACE.format(scheduler="none", epochs=2, high=0.1))
    as_card(earlier, tmp_path / "card.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["run", "--space", "mine.yaml", "--data", "curve-0", "--trainer", "curve",
              "--engine", "inline", "--out", "run", *arguments])  # fmt: skip
    assert ended.value.code == BAD_INPUT
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_report_names_the_earlier_studies():
    run = make_run(("COMPLETE",))
    assert "It began with" not in describe_method(run).paragraph
    stored = WarmStart(Prior("old", ({}, {}), (0.1, 0.2)), "AP", "runs/old").to_dict()
    told = describe_method(replace(run, manifest=run.manifest | {"warm_start": [stored]}))
    assert "It began with what was found in old (2 trials). " in told.paragraph


def test_the_card_of_a_warm_run_tells_its_own_trials(warmed, tmp_path):
    as_card(warmed, tmp_path / "card.yaml")
    card = read_card(tmp_path / "card.yaml")
    assert len(card.trials) == 8
    assert card.name == "warm"
