"""Tables as people write them: what they become, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.ablation.rows import check_seeds, plan_rows
from evolve.ablation.table import find_table_file, load_table
from evolve.errors import TableError
from model.config import TrainConfig
from model.recipes import active, baseline
from model.transfer import check_buildable

ROWS = "title: mine\nrows:\n  - {key: a}\n"


@pytest.fixture
def plan(tmp_path):
    def _plan(text, **options):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return plan_rows(load_table(path), **options)

    return _plan


def row(text):
    """Table of a plain row and another."""
    return f"{ROWS}  - {{key: b, {text}}}\n"


def design(name, ingredients, base="[]", more=""):
    return (
        f"title: mine\nbase: {{ingredients: {base}}}\n"
        f"plan: {{design: {name}, ingredients: [{ingredients}]{more}}}\n"
    )


def test_a_table_has_what_its_file_says(plan):
    made = plan(
        "title: Which losses?\nmodel: yolov4-nano\nobjective: AP50\n"
        "values: {loss: [MSE, GIoU, CIoU], lr: optimizer.lr}\n"
        "base: {ingredients: [s, M], set: {epochs: 5}}\nbaseline: plain\nrows:\n"
        "  - {key: ciou, title: With CIoU, ingredients: [ciou, -Flip]}\n"
        "  - {key: plain}\n"
        "  - {key: no-M, ingredients: [-M, GIoU], set: {optimizer.lr: 0.001}}\n"
    )
    first, second, third = made.rows
    usual = {*active(baseline()), "S", "M"}
    assert first.on == usual - {"MSE", "Flip"} | {"CIoU"}
    assert (second.on, third.on) == (usual, usual - {"MSE", "M"} | {"GIoU"})
    assert [r.config.epochs for r in made.rows] == [5, 5, 5]
    assert list(made.columns) == ["Flip", "M"]  # what differs, but for the losses
    assert [r.marks for r in made.rows] == [("M",), ("Flip", "M"), ("Flip",)]
    assert third.values == {"loss": "GIoU", "lr": "0.001"}
    assert (first.title, second.title) == ("With CIoU", "plain")
    assert (made.baseline, made.table.objective, made.least_seeds) == ("plain", "AP50", 1)
    assert made.table.metrics == ("AP", "AP50", "AP75")


def test_a_row_may_take_away_what_the_base_puts_in(plan):
    made = plan(
        "title: t\nbase: {ingredients: [CIoU, -Flip]}\nrows:\n  - {key: a}\n"
        "  - {key: b, ingredients: [-CIoU]}\n  - {key: c, ingredients: [-CIoU, GIoU, Flip]}\n"
    )
    losses = [r.config.loss.box for r in made.rows]
    assert losses == ["ciou", "mse", "giou"]
    assert [r.config.augment.flip for r in made.rows] == [0.0, 0.0, 0.5]


def test_overrides_are_for_all_rows_and_give_way_to_ingredients(plan):
    made = plan(row("ingredients: [GA]"), overrides=["epochs=3", "train.optimizer.lr=0.005"])
    assert [r.config.optimizer.lr for r in made.rows] == [0.005, 0.00261]
    assert {r.config.epochs for r in made.rows} == {3}


def test_classifiers_that_detectors_start_from_have_overrides_of_their_own(plan):
    text = row("pretrain: {model: csdarknet53-nano, ingredients: [LS], set: {batch_size: 32}}")
    made = plan(text, overrides=["pretrain.epochs=7"], check=check_buildable)
    assert made.rows[0].pretrain is None
    start = made.rows[1].pretrain
    assert (start.epochs, start.batch_size, start.task) == (7, 32, "classify")
    assert start.loss.label_smoothing == 0.1
    assert made.rows[1].config.epochs == TrainConfig().epochs


def test_values_of_ga_come_from_the_user_or_the_table_or_the_paper(plan):
    text = row("ingredients: [GA]")
    assert plan(text).rows[1].config.optimizer.lr == 0.00261
    table = f"given: {{GA: {{optimizer.lr: 0.004}}}}\n{text}"
    assert plan(table).rows[1].config.optimizer.lr == 0.004
    found = {"GA": {"optimizer.lr": 0.007, "augment.hue": 0.02}}
    made = plan(table, given=found)
    assert made.rows[1].config.optimizer.lr == 0.007
    assert made.rows[1].config.augment.hue == 0.02
    assert "GA" in made.rows[1].on
    assert "GA" not in made.rows[0].on
    assert made.given == found


def test_a_plan_makes_rows(plan):
    made = plan(design("add-one-in", "M, CIoU, -Flip", base="[S]"))
    assert [r.key for r in made.rows] == ["base", "M", "CIoU", "no-Flip"]
    assert list(made.columns) == ["M", "CIoU", "Flip"]
    assert [r.marks for r in made.rows] == [("Flip",), ("M", "Flip"), ("CIoU", "Flip"), ()]
    assert made.baseline == "base"
    assert made.design.on["CIoU"] == {"CIoU"}
    left = plan(design("leave-one-out", "M, CIoU"))
    assert [r.config.loss.box for r in left.rows] == ["ciou", "ciou", "mse"]
    sampled = plan(design("shapley", "S, M, IT, LS, CA, OA", more=", orders: 4, seed: 1"))
    assert (len(sampled.design.orders), sampled.least_seeds) == (4, 2)


def test_seeds_are_counted(plan):
    made = plan(design("pairs", "S, M"))
    check_seeds(made, 2)
    with pytest.raises(TableError, match=r"pairs needs 2 seeds or more, not 1\n.*:3:8  plan.des"):
        check_seeds(made, 1)
    check_seeds(plan(row("ingredients: [M]")), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("title: t\n", r"the table has no rows: nothing to compare\n.*mine.yaml:1:1"),
        (ROWS, r"has one row: nothing to compare\n.*:2:1  rows"),
        ("rows: []\n", "'title' is missing"),
        (f"tittle: t\n{ROWS}", r"unknown key 'tittle'\n.*:1:1  tittle\n.*'title'"),
        (row("ingredient: [S]"), r"row 'b': unknown key 'ingredient'\n.*:4:14.*\n.*'ingredients'"),
        (row("ingredients: [S, Mx]"),
         r"row 'b': there is no ingredient 'Mx'\n.*:4:31  rows.1.ingredients.1\n.*'M'"),
        (row("title: 3"), "row 'b': 'title' should be a valid string, got 3"),
        (ROWS + "  - {key: A, ingredients: [M]}\n",
         r"the row 'A' is there twice, first on line 3\n.*:4:6  rows.1.key\n.*rename one"),
        (ROWS + "  - {key: a/b}\n", r"row 'a/b': the key 'a/b' cannot name a folder\n.*:4:6"),
        (row("set: {}"), r"rows 'a' and 'b' are one and the same training\n.*:4:6  rows.1.key"),
        (row("ingredients: [MSE]"), "'a' and 'b' are one and the same"),
        (row("ingredients: [SPP, PAN]"),
         r"'a' and 'b' are one .* training: SPP and PAN are in the baseline, as far as the model "
         r"has them\n.*:4:6  rows.1.key\n.*write -SPP, -PAN to take them away"),
        (f"baseline: c\n{row('ingredients: [S]')}", r"'c' is no row of this table\n.*:1:1"),
        (row("ingredients: [S], baseline: c"), "row 'b' is compared with 'c', which is no row"),
        (row("ingredients: [CIoU, GIoU]"),
         r"row 'b': CIoU wants loss.box = ciou, GIoU wants giou\n.*:4:28  rows.1.ingredients.0\n"
         ".*leave one of them out"),
        (f"base: {{ingredients: [CIoU]}}\n{row('ingredients: [GIoU]')}",
         r"row 'b': CIoU wants.*\n.*:5:28  rows.1.ingredients.0\n.*write -CIoU in this row"),
        (f"base: {{ingredients: [CIoU, GIoU]}}\n{row('ingredients: [S]')}",
         r"TableError: every row: CIoU wants.*\n.*:1:22  base.ingredients.0"),
        (row("ingredients: [DM]"), r"row 'b': DM requires RS\n.*:4:28.*\n.*add RS"),
        (row("ingredients: [SAM, BiFPN]"), "row 'b': SAM conflicts with BiFPN"),
        (row("ingredients: [-S]"), "row 'b': S is not on"),
        (row("ingredients: [CutMix]"), "row 'b': CutMix is not for task detect"),
        (row("ingredients: [KD]"), "row 'b': KD needs .*\n.*\n.*distill.teacher"),
        (row("ingredients: [StyleTransfer]"), "row 'b': StyleTransfer cannot be used"),
        (row("set: {augment.mosaic: 0.5}"),
         r"row 'b': 'augment.mosaic' puts M on\n.*:4:20.*\n.*write M among the table's ingr"),
        (row("set: {loss.box: ciou}"), "takes MSE away\n.*\n.*what is to replace it"),
        (row("set: {augment.flip: 0}"), "takes Flip away\n.*\n.*write -Flip"),
        (row("set: {epocs: 3}"), r"row 'b': 'epocs' is no setting.*\n.*:4:20.*\n.*'epochs'"),
        (row("set: {epochs: 0}"), "row 'b': 'epochs' cannot be 0: .*greater than or equal to 1"),
        (row("set: {optimizer.lr: 1e-3}"), "YAML reads '1e-3' as text; write 1.0e-3"),
        (row("set: {task: classify}"), "row 'b': 'task' is not set like this\n.*\n.*'task:' at"),
        (row("set: {model: yolov4}"), "write 'model:' beside it"),
        (row("set: {seed: 3}"), "trained with the same seeds"),
        (row("mini_batch: 3"), r"row 'b': mini-batches of 3 do not make up a batch of 8"),
        (row("mini_batch: 4, set: {subdivisions: 2}"),
         "row 'b': mini_batch and subdivisions say the same"),
        (row("ingredients: [S], paper_row: 3"), "row 'b' stands beside row 3 of no paper's table"),
        (f"objective: ap\n{row('ingredients: [S]')}", "'ap' is not measured in task detect"),
        (f"metrics: [AP, top1]\n{row('ingredients: [S]')}", r"'top1' is not measured.*\n.*:1:15"),
        (f"columns: [S, Q]\n{row('ingredients: [S]')}", r"there is no ingredient 'Q'\n.*:1:1"),
        (f"columns: [-S]\n{row('ingredients: [S]')}", "'-S' takes an ingredient away"),
        (f"columns: [S, S]\n{row('ingredients: [S]')}", "the column 'S' is there twice"),
        (f"values: {{x: los}}\n{row('ingredients: [S]')}", "values.x: 'los' is neither a setting"),
        (f"values: {{x: [S, Q]}}\n{row('ingredients: [S]')}", "values.x: there is no ingr.* 'Q'"),
        (f"given: {{KD: {{distill.teacher: a.pt}}}}\n{row('ingredients: [S]')}",
         r"given to the ingredient KD, which no row has\n.*:1:9  given.KD"),
        (f"given: {{LS: {{loss.box: ciou}}}}\n{row('ingredients: [LS]')}",
         "LS does not set 'loss.box'"),
        (f"given: {{LS: {{loss.label_smoothing: 2}}}}\n{row('ingredients: [LS]')}",
         "row 'b': loss.label_smoothing: Input should be less than 1"),
        (row("pretrain: {model: csdarknet53-nano, ingredients: [S]}"),
         r"row 'b': its classifier: S is not for task classify\n.*:4:64"),
        (f"task: classify\n{row('pretrain: {model: x}')}", "'b' is a classifier, which starts"),
        (row("pretrain: {model: csdarknet53-nano}, set: {backbone.weights: a.pt}"),
         "row 'b': it starts from a classifier of its own and from backbone.weights"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_with_place_and_mend(plan, text, message):
    with pytest.raises(TableError, match=message):
        plan(text)


def test_all_faults_of_all_rows_are_told_at_once(plan):
    text = row("ingredients: [DM]") + "  - {key: c, ingredients: [S, CIoU, DIoU]}\n"
    with pytest.raises(TableError) as refused:
        plan(text, overrides=["epochs=0"])
    told = str(refused.value)
    assert "TableError: 3 faults" in told
    for part in ("'epochs' cannot be 0", "row 'b': DM", "row 'c': CIoU", "mine.yaml:5:31"):
        assert part in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (design("leave-one-out", "M, CIoU, GIoU"),
         r"leave-one-out puts CIoU and GIoU into one row \('all'\): CIoU wants.*\n"
         r".*:3:54  plan.ingredients.2\n.*take add-one-in"),
        (design("pairs", "CIoU, GIoU"), r"CIoU and GIoU into one row \('CIoU\+GIoU'\)"),
        (design("shapley", "SAM, BiFPN, M"), "SAM conflicts with BiFPN\n.*\n.*take add-one-in"),
        (design("full-factorial", "DM, RS"),
         r"a row with DM and without RS \('DM'\): DM requires RS\n.*\n"
         ".*put RS into base.ingredients, or take cumulative with RS named before DM"),
        (design("add-one-in", "M, DM"), "DM requires RS\n.*\n.*put RS into base.ingredients$"),
        (design("add-one-in", "M, S", base="[M]"),
         r"M is on in every row of this plan\n.*:3:42.*\n.*base.ingredients, or write -M here"),
        (design("add-one-in", "Flip"), "Flip is on in every row"),
        (design("add-one-in", "M, m"), r"M is named twice\n.*plan.ingredients"),
        (design("add-one-in", ""), "at least 1 item"),
        (design("shapely", "M"), "'design' cannot be 'shapely'\n.*\n.*'shapley'"),
        (design("pairs", "M"), "1 ingredient has no others"),
        (design("fractional-factorial", "M, S"), "of 4 to 16 ingredients, not 2\n.*:3:38"),
        (design("pairs", "M, S", more=", orders: 4"), "'orders' is of the design shapley"),
        (design("shapley", "S, M, IT, LS, CA, OA", more=", orders: 3"), "even number from 4"),
        (design("pairs", "M, S") + "baseline: M\n", "pairs has a baseline of its own\n.*:4:1"),
        (design("pairs", "M, S") + "rows: [{key: a}]\n", "makes the rows, and rows are given"),
    ],
)  # fmt: skip
def test_plans_that_cannot_be_are_refused_with_one_that_can(plan, text, message):
    with pytest.raises(TableError, match=message):
        plan(text)


def test_a_fault_in_a_plan_is_told_at_its_ingredient(plan):
    with pytest.raises(TableError, match=r"row 'all': KD needs.*2 more rows\)\n.*:3:51  plan.ing"):
        plan(design("leave-one-out", "M, S, KD"))


@pytest.mark.parametrize(
    ("text", "items", "message"),
    [
        (f"base: {{ingredients: [RS]}}\n{row('ingredients: [M]')}", ["shapes.range=1.0"],
         r"every row: 'shapes.range' is what RS sets, and so.*\n.*--set shapes.range=1"),
        (f"base: {{ingredients: [S], set: {{scale_xy: false}}}}\n{row('ingredients: [M]')}", [],
         r"every row: 'scale_xy' is what S sets.*\n.*:1:32  base.set.scale_xy"),
        (row("ingredients: [GA], set: {optimizer.lr: 0.01}"), [],
         r"row 'b': 'optimizer.lr' is what GA sets.*\n.*:4:39  rows.1.set.*\n.*under 'given'"),
    ],
)  # fmt: skip
def test_settings_that_would_not_be_heard_are_refused(plan, text, items, message):
    with pytest.raises(TableError, match=message):
        plan(text, overrides=items)


def test_one_bad_override_is_one_fault(plan):
    with pytest.raises(TableError) as refused:
        plan(row("ingredients: [M]"), overrides=["loss.box=ciou", "epochs=3"])
    assert "epochs" not in str(refused.value)


def test_overrides_for_classifiers_that_are_not_there_are_refused(plan):
    with pytest.raises(TableError, match=r"no row of this table.*\n.*--set pretrain.epochs=3"):
        plan(row("ingredients: [M]"), overrides=["pretrain.epochs=3"])


def test_the_design_that_is_named_works(plan):
    made = plan(design("cumulative", "M, RS, DM"))
    assert [r.config.batch_policy for r in made.rows] == ["fixed"] * 3 + ["dynamic"]
    assert len(plan(design("add-one-in", "M, CIoU, GIoU")).rows) == 4


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["epochs"], r"must be key=value\n.*--set epochs\n.*epochs=5"),
        (["epocs=3"], r"'epocs' is no setting.*\n.*--set epocs=3\n.*'epochs'"),
        (["seed=1"], "'seed' is not set like this\n.*--set seed=1\n.*give --seeds"),
        (["model=yolov4"], "give --model"),
        (["loss.box=ciou"], r"'loss.box' takes MSE away\n.*--set loss.box=ciou"),
        (["augment.mosaic=0.8"], "'augment.mosaic' puts M on\n.*\n.*write M among"),
        (["subdivisions=2"], "the table sets 'subdivisions' itself, in b\n.*\n.*copy of the file"),
        (["optimizer.lr=0.1"], "the table sets 'optimizer.lr' itself, in c"),
        (["epochs=0"], "'epochs' cannot be 0"),
        (["pretrain.epochs=0"], "'epochs' cannot be 0.*\n.*--set pretrain.epochs=0"),
    ],
)
def test_bad_overrides_are_refused(plan, items, message):
    text = row("mini_batch: 8, pretrain: {model: csdarknet53-nano}")
    with pytest.raises(TableError, match=message):
        plan(text + "  - {key: c, set: {optimizer.lr: 0.01}}\n", overrides=items)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: yolov4-tiny-nano\n" + row("ingredients: [ASFF]"),
         r"row 'b': ASFF: yolov4-tiny-nano has 2 scales.*\n.*:5:28  rows.1.ingredients.0\n.*3l"),
        ("model: yolov4-tiny-nano\n" + row("ingredients: [-SPP]"),
         r"row 'b': SPP: yolov4-tiny has a neck of its own.*\n.*:5:28"),
        ("model: yolov5\n" + row("ingredients: [M]"),
         r"every row: no such model: 'yolov5'\n.*:1:1  model\n.*'yolov4'"),
        ("model: csdarknet53-nano\n" + row("ingredients: [M]"),
         r"every row: no such model: 'csdarknet53-nano'\n.*:1:1  model"),
        ("task: classify\nmodel: yolov4-nano\n" + row("ingredients: [M]"),
         r"every row: no such classifier: 'yolov4-nano'"),
        (row("pretrain: {model: csresnext50-nano}"),
         "row 'b': the backbone of csresnext50-nano does not fit yolov4-nano: stem"),
    ],
)  # fmt: skip
def test_what_no_network_can_be_built_from_is_refused_by_row(plan, text, message):
    with pytest.raises(TableError, match=message):
        plan(text, check=check_buildable)


def test_a_model_of_another_family_is_refused_where_rows_name_theirs():
    table = load_table("minibatch")
    with pytest.raises(TableError, match=r"none is yolov4-csp\n.*--model yolov4-csp-nano\n.*size"):
        plan_rows(table, model="yolov4-csp-nano")


def test_values_for_no_row_are_refused(plan):
    with pytest.raises(TableError, match="given to the ingredient GA, which no row has"):
        plan(row("ingredients: [M]"), given={"GA": {"optimizer.lr": 0.01}})


def test_a_table_is_found_or_the_nearest_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bof.yaml").write_text(row("ingredients: [S]"))
    assert str(find_table_file("bof")) == "bof.yaml"
    with pytest.raises(TableError, match=r"there is no table 'boff'\n.*\n.*did you mean 'bof"):
        load_table("boff")


def test_tables_in_the_manual_load_as_they_stand(plan):
    page = (Path(__file__).parents[3] / "docs/tables.md").read_text()
    texts = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    texts = [text for text in texts if text.startswith("title:")]
    made = [plan(text, check=check_buildable) for text in texts]
    assert [len(one.rows) for one in made] == [5, 16]
    assert len(texts[0].splitlines()) <= 11
    assert [r.values["loss"] for r in made[0].rows] == ["MSE", "MSE", "GIoU", "CIoU", "CIoU"]


def test_tables_are_read_without_heavy_packages():
    code = (
        "import sys\nfrom evolve.ablation.rows import plan_rows\n"
        "from evolve.ablation.table import load_table\nplan_rows(load_table('bof'))\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "ray", "optuna", "pandas"} & set(done.stdout.split())
