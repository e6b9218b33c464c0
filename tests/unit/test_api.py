"""Runs and ablations from Python, with the trainer that draws curves."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib.figure
import pandas as pd
import pytest

import evolve
from evolve import EvolveError, RunResult, TableResult, ablate, load, report, run
from evolve.engine.interrupt import stoppable
from evolve.store.read import read_run

DOC = Path(__file__).parents[2] / "docs" / "python.md"
CURVE = {"engine": "inline", "trainer": "curve", "progress": False}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def result(home):
    """Give a run that was made where a loop is running, as in a notebook."""

    async def cell():
        return run("smoke", trials=4, confirm="1x2", out=home / "run", **CURVE)

    return asyncio.run(cell())


@pytest.fixture(scope="module")
def table(home):
    return ablate("minibatch", seeds=2, out=home / "table", **CURVE)


def test_the_package_is_light_and_names_all_it_has():
    code = (
        "import sys, evolve; assert set(evolve.__all__) <= set(dir(evolve)); "
        "heavy = {'torch', 'ray', 'numpy', 'pandas', 'optuna', 'click', 'matplotlib'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); "
        "from evolve import run, ablate, load, report; "
        "assert callable(run) and callable(ablate); assert 'torch' not in sys.modules; "
        "import evolve.ablations; assert callable(evolve.ablate)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=250)
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        evolve.rnu  # noqa: B018


def test_a_run_gives_its_trials_its_best_and_its_verdict(result):
    assert isinstance(result, RunResult)
    stored = read_run(result.folder)
    pd.testing.assert_frame_equal(result.trials, stored.trials)
    assert len(result.trials) == 4
    best = stored.trials.set_index("number").loc[result.best.trial]
    assert result.best.value == best["value"]
    assert result.best.params["optimizer.lr"] == best["params.optimizer.lr"]
    assert result.best.config["optimizer"]["lr"] == pytest.approx(best["params.optimizer.lr"])
    assert result.front is None
    assert result.verdict in str(result)
    assert "final comparison on test" in str(result)
    assert "4 complete" in repr(result)
    mine = result.trials
    mine["number"] = 0
    assert result.trials["number"].tolist() == [0, 1, 2, 3]


def test_it_shows_itself_and_names_from_outside_are_text(result):
    from dataclasses import replace

    page = result._repr_html_()
    assert "optimizer.lr" in page
    assert "0.002" in page
    final = replace(result.found.final, sentence="a <b>\x1b[2J")
    hostile = replace(result, found=replace(result.found, final=final))
    assert "a &lt;b&gt;?[2J" in hostile._repr_html_()


def test_figures_and_the_report_are_those_of_the_command(result, home):
    assert isinstance(result.figure("history"), matplotlib.figure.Figure)
    assert {"history", "parameters", "curves", "comparison"} <= set(result.figures())
    assert result.figure("history")._repr_png_().startswith(b"\x89PNG")  # as a notebook asks for
    with pytest.raises(EvolveError, match=r"no figure 'histroy'(.|\n)*did you mean 'history'"):
        result.figure("histroy")
    with pytest.raises(EvolveError, match="nothing to show"):
        result.figure("schedule")
    assert result.report() == (home / "run" / "report" / "index.html").resolve()
    assert result.report().is_file()
    page = result.report(home / "elsewhere", formats=["md"])
    assert page.name == "report.md"
    with pytest.raises(EvolveError, match="did you mean 'html'"):
        result.report(formats=["htlm"])


def test_a_table_gives_rows_deltas_and_the_terminals_text(table):
    assert isinstance(table, TableResult)
    assert len(table.rows) == len(table.found.table.rows)
    assert len(table.deltas) == len(table.rows) - 1
    assert {"delta", "low", "high", "word"} <= set(table.deltas)
    assert len(table.trainings) == 2 * len(table.rows)
    assert str(table).splitlines()[0].startswith(table.found.table.title)
    assert "<table" in table._repr_html_()
    assert isinstance(table.figure("roadmap"), matplotlib.figure.Figure)
    assert "roadmap" in table.figures()
    assert table.verdict.startswith(table.found.sentences[0][:20])
    assert table.report().is_file()


def test_both_are_loaded_again_and_stand_beside_each_other(result, table, home):
    assert str(load(result.folder)) == str(result)
    assert str(load(str(table.folder))) == str(table)
    other = run("smoke", trials=2, confirm="1x2", seed=1, out=home / "other", **CURVE)
    assert report(result.folder, other.folder, out=home / "both").is_file()
    with pytest.raises(EvolveError, match="no run to report"):
        report()


def test_the_same_call_continues_and_another_run_is_never_overwritten(home):
    first = run("smoke", trials=2, confirm="0", out=home / "again", **CURVE)
    again = run("smoke", trials=3, confirm="0", out=home / "again", **CURVE)
    assert again.trials["value"].tolist()[:2] == first.trials["value"].tolist()
    assert len(again.trials) == 3
    with pytest.raises(EvolveError):
        run("smoke", trials=2, confirm="0", seed=9, out=home / "again", **CURVE)


def test_settings_are_values_not_text(home):
    settings = {"optimizer.lr": 1e-5, "augment.hide_and_seek.patches": [0.0, 0.25]}
    made = run("smoke", trials=1, confirm="0", settings=settings, out=home / "set", **CURVE)
    train = made.record.manifest["train"]
    assert train["optimizer"]["lr"] == 1e-5
    assert train["augment"]["hide_and_seek"]["patches"] == [0.0, 0.25]


BAD = {
    "space": ({"space": "smok"}, "did you mean 'smoke.yaml'"),
    "key": ({"settings": {"optimizer.lrr": 1}}, "did you mean 'optimizer.lr'"),
    "type": ({"settings": {"optimizer.lr": object()}}, "of type object"),
    "data": ({"data": "nowhere"}, "no data set"),
    "engine": ({"engine": "rya"}, "did you mean 'ray'"),
    "trials": ({"trials": 0}, "trials cannot be 0"),
    "workers": ({"workers": 1.5}, "no whole number"),
    "seed": ({"seed": -1}, "seed cannot be -1"),
    "fidelity": ({"fidelity": 2}, "between 0 and 1"),
    "budget": ({"budget": "soon"}, "soon"),
    "sampler": ({"sampler": "genetik"}, "did you mean 'genetic'"),
}


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_an_error_of_ours(changes, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EvolveError, match=said):
        run(**{"space": "smoke", **CURVE, **changes})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table": "boff"}, "did you mean 'bof"),
        ({"seeds": 0}, "seeds cannot be 0"),
        ({"reuse": "x", "share": False}, "takes nothing from other runs"),
        ({"model": "yolo4-nano", "data": "nowhere", "trainer": "detector"}, "'yolov4-nano'"),
    ],
)
def test_so_is_it_for_tables(changes, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EvolveError, match=said):
        ablate(**{"table": "bof", **CURVE, **changes})


def test_progress_is_a_line_a_trial_on_stdout(home, capsys):
    run("smoke", trials=2, confirm="0", out=home / "told", **{**CURVE, "progress": True})
    said = capsys.readouterr()
    assert re.search(r"\[2/2\] trial 1 complete", said.out)
    assert said.err == ""
    run("smoke", trials=3, confirm="0", out=home / "told", **CURVE)
    assert capsys.readouterr().out == ""


def test_an_interrupt_is_told_and_the_same_call_goes_on(home, monkeypatch):
    from evolve.engine import inline

    whole, seen = inline.run_inline, []

    def interrupted(director):
        if not seen:
            seen.append(True)
            signal.raise_signal(signal.SIGINT)
        return whole(director)

    monkeypatch.setattr(inline, "run_inline", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="nothing finished is lost: the same call"):
        run("smoke", trials=2, confirm="0", out=home / "stopped", **CURVE)
    assert signal.getsignal(signal.SIGINT) is before
    done = run("smoke", trials=2, confirm="0", out=home / "stopped", **CURVE)
    assert (done.trials["state"] == "COMPLETE").all()


def test_another_thread_can_run_too(home):
    found = []
    thread = threading.Thread(
        target=lambda: found.append(
            run("smoke", trials=1, confirm="0", out=home / "thread", **CURVE)
        )
    )
    thread.start()
    thread.join()
    assert len(found[0].trials) == 1


def test_all_code_of_the_page_runs(tmp_path, monkeypatch):
    """With the trainer of tests: nothing else of the page is changed."""
    import functools

    from evolve import api

    blocks = re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 9
    for name in ("run", "ablate"):
        quick = functools.partial(getattr(api, name), trainer="curve")
        monkeypatch.setattr(api, name, quick)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, str(DOC), "exec"), names)
    assert (tmp_path / "history.png").is_file()
    assert json.loads((tmp_path / "runs/table/manifest.json").read_text())["seeds"] == 2


def test_stopping_is_ours_alone_while_a_run_is_at_work(tmp_path):
    from evolve.engine.interrupt import Interrupt, signals

    interrupt = Interrupt(tmp_path / "halt")
    with signals(None), stoppable(interrupt):
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
