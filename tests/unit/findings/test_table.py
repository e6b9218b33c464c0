"""What is said of an ablation run, from folders that were put together by hand."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from evolve.analysis.judged_rows import judge_table
from evolve.errors import StoreError
from evolve.findings import images as images_module
from evolve.findings.cache import Cache
from evolve.findings.images import resample
from evolve.findings.table import find_table
from evolve.store.comparison import read_comparison
from tests.unit.findings.made_up_table import (
    PLAIN,
    RUNNING,
    a_table,
    bundled_table,
    design_table,
    make_detected,
    make_folder,
    train,
)

BASE = [0.300, 0.310, 0.305]
CLEAR = [0.331, 0.340, 0.336]
SHARES = {
    "base": [(0.5, 0.6), (0.55, 0.6), (0.5, 0.65)],
    "S": [(0.8, 0.6), (0.9, 0.65), (0.8, 0.65)],
    "M": [(0.5, 0.6), (0.55, 0.55), (0.5, 0.6)],
}


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(images_module, "RESAMPLES", 60)


@pytest.fixture
def detected(tmp_path):
    return make_detected(tmp_path, SHARES, images=30)


def change_manifest(folder, **changes):
    folder.write_json(folder.manifest, json.loads(folder.manifest.read_text()) | changes)


def test_before_it_begins_all_rows_wait(tmp_path):
    make_folder(tmp_path)
    found = find_table(tmp_path)
    assert found.record is None
    assert found.judged["row"].tolist() == ["base", "S", "M"]
    assert found.judged["planned"].tolist() == [3, 3, 3]
    assert found.judged["n"].tolist() == [0, 0, 0]
    assert set(found.trainings["state"]) == {"WAITING"}
    assert found.sentences == ()
    assert found.unfinished == "No training has begun."
    assert all(math.isnan(seconds) for seconds in found.train_s.values())
    assert (found.class_deltas.empty, found.effects.empty, found.costs) == (True, True, None)


def test_a_whole_table_of_curves_is_judged_by_its_seeds(tmp_path):
    train(make_folder(tmp_path), {"base": BASE, "S": CLEAR, "M": [0.301, 0.322, 0.299]})
    found = find_table(tmp_path)
    expected = judge_table(found.record.trainings, ["base", "S", "M"], "base", also=("AP", "AP50"))
    assert found.judged.equals(expected)
    assert found.sentences[0] == (
        "Of 2 rows 1 helps and 1 is undecided. The intervals hold nothing of what other images "
        "would change."
    )
    assert found.sentences[1].startswith("+ S helps by 3.1 AP points on test (")
    assert not any("other images" in one for one in found.sentences[1:])
    assert found.unfinished == ""
    assert found.no_images == found.no_classes == "these trainings looked at no images"
    assert found.train_s["S"] == pytest.approx(63)  # 60, 63 and 66
    assert (found.objective, found.judged_on, found.table) == ("AP", "test", PLAIN)


def test_a_half_done_table_with_failures_says_what_it_can(tmp_path):
    values = {"base": BASE, "S": [0.331, 0.340, RUNNING], "M": ["no memory", "no memory", None]}
    folder = train(make_folder(tmp_path), values)
    found = find_table(tmp_path)
    lines = found.judged.set_index("row")
    assert lines["n"].tolist() == [3, 2, 0]
    assert lines["failed"]["M"] == 2
    assert found.unfinished == (
        "7 of 9 trainings of the table have ended; what is said of rows may change."
    )
    assert [one.split()[:4] for one in found.sentences[1:]] == [["So", "far:", "+", "S"]]
    assert lines["reason"]["M"] == "2 × oom: no memory"  # noqa: RUF001
    change_manifest(folder, over=True)
    found = find_table(tmp_path)
    assert found.unfinished == (
        "7 of 9 trainings of the table have ended, and no more will be trained."
    )


def test_rows_that_the_plan_lacks_wait(tmp_path):
    train(make_folder(tmp_path), {"base": BASE, "S": CLEAR})
    found = find_table(tmp_path)
    assert found.judged.set_index("row")["planned"].tolist() == [3, 3, 3]
    waiting = found.trainings[found.trainings["row"] == "M"]
    assert waiting["seed"].tolist() == [100, 101, 102]
    assert len(found.record.trainings) == 6


def test_each_row_is_compared_with_its_own_baseline(tmp_path):
    rows = [("base", (), "base"), ("S", ("S",), "base"), ("M", ("S", "M"), "S")]
    table = a_table(rows)
    train(
        make_folder(tmp_path, table), {"base": BASE, "S": CLEAR, "M": [0.36, 0.37, 0.365]}, table
    )
    found = find_table(tmp_path)
    assert found.judged["delta"].tolist()[1:] == pytest.approx([0.03067, 0.02933], abs=1e-4)
    assert found.sentences[2].startswith("Against + S, + M helps by 2.9")


def test_seeds_at_looks_are_judged_as_declared(tmp_path):
    auto = {"seeds": "auto", "looks": [3, 4]}
    train(make_folder(tmp_path, **auto), {"base": BASE, "S": CLEAR, "M": [0.35, 0.28, 0.31]})
    found = find_table(tmp_path)
    lines = found.judged.set_index("row")
    assert (lines["word"]["S"], lines["seeds"].tolist()) == ("helps", [4, 3, 4])
    assert found.run.looks == (3, 4)
    assert found.unfinished == "2 rows will get more seeds."
    over = make_folder(tmp_path / "over", **auto, over=True)
    train(over, {"base": BASE, "S": CLEAR, "M": [0.35, 0.28, 0.31]})
    assert find_table(over.path).unfinished == ""


def test_words_are_of_the_level_that_was_declared(tmp_path):
    folder = train(make_folder(tmp_path), {"base": BASE, "S": CLEAR, "M": [0.301, 0.322, 0.299]})
    assert find_table(tmp_path).judged["word"][1] == "helps"
    change_manifest(folder, alpha=1e-6)
    assert find_table(tmp_path).judged["word"][1] == "undecided"


def test_looks_are_those_of_the_module_where_none_are_declared(tmp_path):
    make_folder(tmp_path, seeds="auto")
    found = find_table(tmp_path)
    assert found.run.looks == (3, 4, 6, 8, 11, 16)
    assert found.judged["planned"].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"kind": "run"}, "holds an evolution, not an ablation table"),
        ({"table": None}, "the manifest has no table"),
        ({"table": {}}, "stored table cannot be understood"),
        ({"seeds": None}, "does not say how the table is judged"),
        ({"seeds": "auto", "looks": [3, 3]}, "looks are rising numbers"),
        ({"region": "wide"}, "does not say how the table is judged"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, change, what):
    folder = make_folder(tmp_path)
    change_manifest(folder, **change)
    with pytest.raises(StoreError, match=what):
        find_table(tmp_path)


# -- detections ----------------------------------------------------------------------------


def test_images_take_part_and_classes_have_deltas(detected):
    found = find_table(detected.path)
    assert found.judged["source"].tolist()[1:] == ["seeds and images"] * 2
    assert (found.images, found.no_images, found.no_classes) == (30, "", "")
    lines = found.class_deltas.set_index(["row", "class"])
    assert list(lines.index) == [(r, c) for r in ("S", "M") for c in ("red", "green")]
    assert lines["baseline"].tolist() == ["base"] * 4
    assert lines["pairs"].tolist() == [3] * 4
    assert lines["mean"]["S", "red"] > 0.2
    assert lines["source"]["S", "red"] == "seeds and images"
    # the mean over the classes is the row's delta
    means = found.class_deltas.groupby("row")["mean"].mean()
    deltas = found.judged.set_index("row")["delta"]
    assert means["S"] == pytest.approx(deltas["S"], abs=1e-6)
    assert means["M"] == pytest.approx(deltas["M"], abs=1e-6)


def test_rows_and_classes_are_of_the_same_resamples(detected):
    record = read_comparison(detected.path, "table")
    manifest = json.loads(detected.manifest.read_text())
    cache = Cache(detected.path / "none.json")
    both = resample([record], manifest, None, cache, classes=True)
    alone = resample([record], manifest, None, cache)
    assert alone.classes == {}
    for name, values in alone.values.items():
        assert np.array_equal(values, both.values[name])
        mean = np.nanmean([one.resampled for one in both.classes[name].values()], axis=0)
        assert np.allclose(mean, values, atol=2e-5)
    assert both.holding["red"] <= 30


def test_what_was_kept_serves_when_data_and_detections_are_gone(detected, tmp_path):
    first = find_table(detected.path)
    (tmp_path / "set").rename(tmp_path / "moved")
    for file in detected.path.rglob("*.json.gz"):
        file.unlink()
    again = find_table(detected.path)
    assert again.judged.equals(first.judged)
    assert again.class_deltas.equals(first.class_deltas)
    quick = find_table(detected.path, images=False)
    assert quick.judged.equals(first.judged)
    assert (quick.class_deltas.empty, quick.no_classes) == (True, "they were not asked for")
    assert find_table(detected.path).no_classes == ""  # nothing was forgotten


def test_without_data_the_seeds_judge_and_it_is_said_why(detected, tmp_path):
    (tmp_path / "set").rename(tmp_path / "moved")
    found = find_table(detected.path)
    assert found.no_images.startswith("the data cannot be read")
    assert found.judged["source"].tolist()[1:] == ["seeds"] * 2
    assert found.class_deltas.empty
    moved = find_table(detected.path, str(tmp_path / "moved"))
    assert moved.images == 30


def test_the_quick_way_reads_no_detections(detected, monkeypatch):
    monkeypatch.setattr(images_module, "load_detections", None)
    found = find_table(detected.path, images=False)
    assert found.judged["source"].tolist()[1:] == ["seeds"] * 2
    assert found.no_images == "images are not resampled while trainings go on"
    assert not (detected.path / "findings.json").exists()


def test_classes_are_of_the_seeds_that_a_row_is_judged_by(tmp_path):
    shares = {key: [*each, (0.1, 0.9)] for key, each in SHARES.items()}
    folder = make_detected(tmp_path, shares, seeds="auto", looks=[3, 6])
    found = find_table(folder.path)
    assert found.judged["look"].tolist() == [3, 3, 3]
    assert set(found.class_deltas["pairs"]) == {3}


def test_classifiers_have_no_classes_and_say_so(tmp_path):
    folder = make_folder(tmp_path, trainer="detector", train={"task": "classify"})
    train(folder, {"base": BASE, "S": CLEAR, "M": CLEAR})
    found = find_table(tmp_path)
    assert found.class_deltas.empty
    assert found.no_classes == "images are resampled for detectors alone"


# -- designs -------------------------------------------------------------------------------

GAINS = {"S": 0.03, "M": 0.01, "LS": -0.02, "IT": 0.005, "CA": 0.0, "OA": 0.01}


def trained_design(path, kind, count, **options):
    table, tree = design_table(kind, list(GAINS)[:count], **options)
    noise = np.random.default_rng(0).normal(0, 1e-4, (len(table.rows), 3))
    values = {
        row.key: [
            float(0.3 + sum(GAINS[one] for one in row.marks) + 0.01 * s + noise[i, s])
            for s in range(3)
        ]
        for i, row in enumerate(table.rows)
    }
    return make_folder(path, table, design=tree), table, values


@pytest.mark.parametrize(
    ("kind", "count", "options", "name"),
    [
        ("full-factorial", 2, {}, "name"),
        ("fractional-factorial", 4, {}, "name"),
        ("shapley", 3, {}, "ingredient"),
        ("shapley", 6, {"orders": 4, "seed": 3}, "ingredient"),
    ],
)
def test_designs_have_their_effects(tmp_path, kind, count, options, name):
    folder, table, values = trained_design(tmp_path, kind, count, **options)
    train(folder, values, table)
    found = find_table(tmp_path)
    assert found.no_effects == ""
    effects = found.effects.set_index(name)
    for one in list(GAINS)[:count]:
        assert effects["mean"][one] == pytest.approx(GAINS[one], abs=1e-3)


def test_pairs_have_the_interactions_whose_rows_are_there(tmp_path):
    folder, table, values = trained_design(tmp_path, "pairs", 3)
    values["M+LS"] = [None, None, None]
    train(folder, values, table)
    found = find_table(tmp_path)
    assert set(found.effects["name"]) == {"M × S", "LS × S"}  # noqa: RUF001
    assert found.no_effects == (
        "1 of 3 effects take rows of which no training is complete: M + LS"
    )


def test_effects_wait_for_their_rows(tmp_path):
    folder, table, values = trained_design(tmp_path, "full-factorial", 3)
    assert find_table(tmp_path).no_effects.startswith("they take rows of which no training is")
    apart = {key: [each[0], None] for key, each in values.items()}
    apart["S"] = [None, values["S"][1]]
    train(folder, apart, table)
    found = find_table(tmp_path)
    assert found.effects.empty
    assert found.no_effects == (
        "they take a seed that all of their rows were trained to the end with"
    )


def test_rows_by_hand_and_one_at_a_time_have_none(tmp_path):
    folder, table, values = trained_design(tmp_path, "add-one-in", 3)
    train(folder, values, table)
    found = find_table(tmp_path)
    assert (found.effects.empty, found.no_effects) == (True, "")


@pytest.mark.parametrize("design", [3, {}, {"kind": "x", "ingredients": []}, {"kind": "pairs"}])
def test_a_design_that_cannot_be_understood_is_told(tmp_path, design):
    make_folder(tmp_path, design=design)
    assert find_table(tmp_path).no_effects.startswith("the stored design cannot be understood")


# -- costs, JSON, imports ------------------------------------------------------------------


def test_costs_are_read_where_they_are(tmp_path):
    folder = make_folder(tmp_path)
    row = {"parameters": 4600000, "bflops": 1.2, "latency_ms": None, "latency_p95_ms": None}
    tree = {"device": "a CPU", "protocol": "once", "rows": {"base": row}}
    folder.write_json(tmp_path / "costs.json", tree)
    costs = find_table(tmp_path).costs
    assert (costs.device, costs.row("base").parameters) == ("a CPU", 4.6e6)
    assert math.isnan(costs.row("base").latency_ms)
    assert math.isnan(costs.row("S").bflops)


@pytest.mark.parametrize("text", ["{", "[]", '{"rows": 3}', '{"rows": {"base": {"bflops": []}}}'])
def test_costs_that_cannot_be_read_are_none(tmp_path, text):
    make_folder(tmp_path)
    (tmp_path / "costs.json").write_text(text)
    assert find_table(tmp_path).costs is None


def test_all_of_it_is_json(detected):
    tree = json.loads(json.dumps(find_table(detected.path).to_dict(), allow_nan=False))
    assert tree["rows"][0]["word"] == "baseline"
    assert tree["rows"][0]["delta"] is None
    assert len(tree["classes"]) == 4
    assert tree["table"]["rows"][0]["key"] == "base"


def test_a_table_of_the_paper_comes_back(tmp_path):
    table = bundled_table("minibatch")
    train(make_folder(tmp_path, table), {row.key: BASE for row in table.rows}, table)
    assert find_table(tmp_path).table == table


def test_neither_torch_nor_ray_is_imported():
    code = (
        "import sys, evolve.findings.table, evolve.ablation.files\n"
        "sys.exit(bool({'torch', 'ray', 'matplotlib'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
