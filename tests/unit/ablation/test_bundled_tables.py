"""The tables that come with evolve have the paper's rows, and can be trained."""

import pytest

from evolve.ablation.paper import load_paper_table
from evolve.ablation.rows import plan_rows
from evolve.ablation.table import bundled_tables, find_table_file, load_table
from model.recipes import active, baseline
from model.transfer import check_buildable
from tests.thorough import quick

# arXiv:2004.10934: marks and losses by row of table 4
TABLE_4 = [
    ("", "MSE"), ("S", "MSE"), ("M", "MSE"), ("IT", "MSE"), ("GA", "MSE"), ("LS", "MSE"),
    ("CBN", "MSE"), ("CA", "MSE"), ("DM", "MSE"), ("S", "GIoU"), ("S", "DIoU"), ("S", "CIoU"),
    ("S M IT GA", "CIoU"), ("M GA OA", "CIoU"), ("S M IT GA OA", "MSE"),
    ("S M IT GA OA", "GIoU"), ("S M IT GA OA", "CIoU"),
]  # fmt: skip
TABLE_2 = [
    "", "MixUp", "CutMix", "M", "Blur", "LS", "Swish", "Mish", "CutMix M LS", "CutMix M LS Mish",
]  # fmt: skip
FREEBIES = {"RS", "S", "M", "IT", "GA", "OA", "CIoU"}


def planned(name, **options):
    return plan_rows(load_table(name), **options)


def marks(plan):
    return [" ".join(row.marks) for row in plan.rows]


def test_all_six_are_there():
    names = [path.stem for path in bundled_tables()]
    assert names == [
        "backbone", "bof", "bos", "classifier-darknet", "classifier-resnext", "minibatch",
    ]  # fmt: skip
    assert find_table_file("bof") == find_table_file("bof.yaml") == bundled_tables()[1]


SIZES = {"detect": ("yolov4-nano", "yolov4"), "classify": ("csdarknet53-nano", "csresnext50-nano")}


@pytest.mark.parametrize("path", bundled_tables(), ids=lambda path: path.stem)
@pytest.mark.parametrize("size", quick(1, [0, 1, None]))
def test_every_table_can_be_trained_in_every_size(path, size):
    table = load_table(path)
    assert table.file.description
    model = "" if size is None else SIZES[table.file.task][size]
    rows = plan_rows(table, model=model, check=check_buildable).rows
    assert [row.paper_row for row in rows] == list(range(1, len(rows) + 1))
    assert len({row.config.digest() + str(row.pretrain) for row in rows}) == len(rows)


@pytest.mark.parametrize("path", bundled_tables(), ids=lambda path: path.stem)
def test_every_row_stands_beside_a_published_value(path):
    table = load_table(path)
    paper = load_paper_table(table.file.paper)
    for spec in table.file.rows:
        value = paper.fractions(paper.rows[spec.paper_row - 1])[table.objective]
        assert 0.3 < value < 0.8


def test_bof_is_table_4():
    plan = planned("bof")
    assert list(plan.columns) == ["S", "M", "IT", "GA", "LS", "CBN", "CA", "DM", "OA"]
    assert [(" ".join(row.marks), row.values["loss"]) for row in plan.rows] == TABLE_4
    first = plan.rows[0]
    assert first.on == {*active(baseline()), "RS"}
    assert (first.config.model, plan.baseline) == ("csresnext50-panet-spp-nano", "baseline")
    tuned = plan.rows[4].config.optimizer
    assert (tuned.lr, tuned.momentum) == (0.00261, 0.949)


def test_bos_is_table_5_on_the_last_row_of_table_4():
    plan = planned("bos")
    assert marks(plan) == ["", "RFB", "SAM", "SAM G", "RFBN ASFF"]
    assert plan.rows[0].config == planned("bof").rows[-1].config
    assert all(row.on >= FREEBIES for row in plan.rows)


def test_backbone_is_table_6():
    plan = planned("backbone")
    models = [(row.config.model, row.pretrain.model) for row in plan.rows]
    assert (
        models
        == [("csresnext50-panet-spp-nano", "csresnext50-nano")] * 3
        + [("yolov4-nano", "csdarknet53-nano")] * 2
    )
    usual = set(active(baseline("classify")))
    own = [set(active(row.pretrain)) - usual for row in plan.rows]
    bof = {"CutMix", "M", "LS"}
    assert own == [set(), bof, {*bof, "Mish"}, bof, {*bof, "Mish"}]
    assert marks(plan) == ["", "", "Mish", "", "Mish"]
    assert plan.rows[1].values["pre-training"] == "csresnext50-nano: CutMix + LS + M"
    assert all(row.pretrain.task == "classify" for row in plan.rows)


def test_minibatch_is_table_7():
    plan = planned("minibatch")
    assert [row.values["mini-batch"] for row in plan.rows] == ["4", "8", "4", "8"]
    assert {row.config.batch_size for row in plan.rows} == {8}
    assert [row.baseline for row in plan.rows] == ["CSPResNeXt50-4"] * 3 + ["CSPDarknet53-4"]
    as_there = planned("minibatch", overrides=["batch_size=64"]).rows
    assert [row.config.subdivisions for row in as_there] == [16, 8, 16, 8]
    assert "OA" not in as_there[2].on


@pytest.mark.parametrize(
    ("name", "expected"),
    [("classifier-resnext", TABLE_2), ("classifier-darknet", ["", *TABLE_2[-2:]])],
)
def test_classifiers_are_tables_2_and_3(name, expected):
    plan = planned(name)
    assert marks(plan) == expected
    assert (plan.table.objective, plan.table.metrics) == ("top1", ("top1", "top5"))
    assert plan.columns["M"] == "Mosaic"


def test_a_model_takes_the_place_of_the_tables_or_gives_its_size():
    assert {row.config.model for row in planned("bof", model="yolov4-nano").rows} == {
        "yolov4-nano"
    }
    for asked, suffix in (("yolov4-small", "-small"), ("csresnext50-panet-spp", "")):
        rows = planned("backbone", model=asked).rows
        assert {row.config.model for row in rows} == {
            f"csresnext50-panet-spp{suffix}", f"yolov4{suffix}",
        }  # fmt: skip
        assert {row.pretrain.model for row in rows} == {
            f"csresnext50{suffix}", f"csdarknet53{suffix}",
        }  # fmt: skip
