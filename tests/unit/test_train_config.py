"""What a user gives -> one training configuration."""

import pytest
import yaml

from evolve.errors import SpaceError, StoreError
from evolve.train_config import build_config, given_values, ingredient_keys
from model.config import TrainConfig, key_paths
from model.errors import CheckpointError, ConfigurationError
from model.recipes import active, baseline


def test_nothing_given_is_the_defaults():
    assert build_config(None, {}) == TrainConfig()


def test_layers_lie_on_each_other(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("epochs: 5\noptimizer: {lr: 0.01, momentum: 0.8}\nschedule.steps: [0.5]\n")
    config = build_config(file, {"epochs": 7, "model": None}, ["optimizer.momentum=0.7"])
    changed = {"epochs": 7, "optimizer.lr": 0.01, "optimizer.momentum": 0.7,
               "schedule.steps": [0.5]}  # fmt: skip
    assert config == TrainConfig().with_values(changed)


def test_changes_during_the_training_are_read(tmp_path):
    """Their epochs may stand there as numbers, their settings nested or not."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "epochs: 8\nchanges:\n  4: {optimizer.lr: 0.01}\n  '6': {loss: {focal: true}}\n"
    )
    config = build_config(file, {}, ["changes.4.augment.mosaic=0.25", "changes.6.optimizer.lr=1"])
    assert config.changes == {
        4: {"augment.mosaic": 0.25, "optimizer.lr": 0.01},
        6: {"loss.focal": True, "optimizer.lr": 1.0},
    }
    file.write_text(yaml.safe_dump(config.to_dict()))
    assert build_config(file, {}) == config
    with pytest.raises(SpaceError, match="a change after 4 epochs is none of a training of 3"):
        build_config(file, {"epochs": 3})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{4: {optimizer.rl: 1}}", "c.yaml:2:15  changes.4.optimizer.rl"),
        ("{4: {optimizer.rl: 1}}", "did you mean 'optimizer.lr'"),
        ("{4: {batch_size: 1}}", "'batch_size' cannot change during a training"),
        ("{4: {optimizer.lr: -1}}", "c.yaml:2:15  changes.4.optimizer.lr"),
        ("{4: {optimizer.lr: 1e-3}}", "write 1.0e-3"),
        ("{20: {optimizer.lr: 1}}", "take a whole number from 1 to 7"),
        ("{04: {optimizer.lr: 1}}", "the key '04' is read as int"),
        ("{4.5: {optimizer.lr: 1}}", "the key '4.5' is read as float"),
        ("{4: 3}", "should be an object"),
    ],
)
def test_what_is_wrong_with_changes_is_told(tmp_path, text, words):
    file = tmp_path / "c.yaml"
    file.write_text(f"epochs: 8\nchanges: {text}\n")
    with pytest.raises(SpaceError) as caught:
        build_config(file, {})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("changes.4.optimizer.rl=1", "unknown key 'changes.4.optimizer.rl'"),
        ("changes.4.epochs=1", "'epochs' cannot change during a training"),
        ("changes.30.optimizer.lr=1", "a change after 30 epochs is none of a training of 20"),
        ("changes.4.optimizer.lr=0", "should be greater than 0"),
        ("changes.4.augment.cutmix=0.5", "only a classifier has changes.4.augment.cutmix = 0.5"),
        ("changes=3", "should be an object"),
    ],
)
def test_an_override_of_a_change_is_checked(item, words):
    with pytest.raises(SpaceError) as caught:
        build_config(None, {}, [item])
    assert words in str(caught.value)


def test_a_classifier_starts_from_darknets_settings(tmp_path):
    config = build_config(None, {}, task="classify")
    assert config == baseline("classify").with_values(
        {"model": "csdarknet53-nano", "image_size": "auto"}
    )
    assert (config.optimizer.lr, config.batch_size, config.schedule.kind) == (0.1, 128, "poly")
    file = tmp_path / "c.yaml"
    file.write_text("task: classify\noptimizer: {momentum: 0.8}\n")
    ours = build_config(file, {})
    assert ours == config.with_values({"optimizer.momentum": 0.8})
    with pytest.raises(SpaceError, match=r"for task classify, not detect"):
        build_config(file, {}, task="detect")


def test_a_whole_configuration_comes_back_as_it_was(tmp_path):
    config = build_config(None, {"epochs": 3}, ["augment.cutmix=0.3"], task="classify")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config.to_dict()))
    assert build_config(tmp_path / "c.yaml", {}) == config


def test_ingredients_are_put_on_the_baseline():
    plain = build_config(None, {}, ingredients="none")
    assert plain == baseline("detect")
    mixed = build_config(None, {"epochs": 3}, ["augment.mosaic=0.25"], ingredients="m, LS,CIoU")
    assert {"M", "LS", "CIoU"} <= set(active(mixed))
    assert (mixed.epochs, mixed.augment.mosaic, mixed.loss.box) == (3, 0.25, "ciou")
    classifier = build_config(None, {}, task="classify", ingredients="CutMix,Mish,-Flip")
    assert classifier.augment.cutmix == 0.5
    assert classifier.backbone.activation == "mish"
    assert classifier.augment.flip == 0
    assert classifier.model == "csdarknet53-nano"


def test_ingredients_are_checked_with_the_overrides_in_place():
    with pytest.raises(ConfigurationError, match="subdivisions"):
        build_config(None, {}, ["subdivisions=1"], ingredients="CBN")
    assert build_config(None, {}, ["subdivisions=4"], ingredients="CBN").norm == "cmbn"


@pytest.mark.parametrize(
    ("ingredients", "task", "words"),
    [
        ("CutMixx", "classify", "there is no ingredient 'CutMixx'"),
        ("CutMix", "detect", "CutMix is not for task detect"),
        ("S", "classify", "S is not for task classify"),
        ("KD", "detect", "KD needs the checkpoint"),
    ],
)
def test_what_is_wrong_with_ingredients_is_told(ingredients, task, words):
    with pytest.raises(ConfigurationError, match=words):
        build_config(None, {}, task=task, ingredients=ingredients)


@pytest.mark.parametrize("text", ["", " ,", ","])
def test_no_ingredient_is_asked_back(text):
    with pytest.raises(SpaceError, match="no ingredient is named"):
        ingredient_keys(text)


def test_keys_are_read():
    assert ingredient_keys("M, LS,,-Flip") == ["M", "LS", "-Flip"]
    assert ingredient_keys("None") == []


def test_ga_has_the_papers_values_or_a_runs(monkeypatch, tmp_path):
    paper = build_config(None, {}, ingredients="GA")
    assert (paper.optimizer.lr, paper.optimizer.momentum) == (0.00261, 0.949)
    monkeypatch.setattr("evolve.ga_values.read_ga_values", lambda _: {"optimizer.lr": 0.011})
    given = given_values("ga", tmp_path, None)
    assert given == {"GA": {"optimizer.lr": 0.011}}
    own = build_config(None, {}, ingredients="ga", given=given)
    assert key_paths(own)["optimizer.lr"] == 0.011


def test_a_teacher_is_given_by_its_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.pt").write_bytes(b"x")
    given = given_values("KD,M", None, tmp_path.relative_to(tmp_path) / "best.pt")
    assert given == {"KD": {"distill.teacher": str(tmp_path / "best.pt")}}
    config = build_config(None, {}, ingredients="KD", given=given)
    assert config.distill.teacher == str(tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="no such weights file"):
        given_values("KD", None, tmp_path / "lost.pt")


def test_values_need_their_ingredient(tmp_path):
    with pytest.raises(SpaceError, match="--ga gives its values to the ingredient GA, which"):
        given_values("M,LS", tmp_path, None)
    with pytest.raises(SpaceError, match="--teacher gives its values to the ingredient KD"):
        given_values(None, None, tmp_path)


@pytest.mark.parametrize(
    ("keys", "override"),
    [
        ("CBN", "norm=bn"),
        ("M", "augment.mosaic=0"),
        ("SAT", "sat.kind=none"),
        ("CIoU", "loss.box=giou"),
        ("-Flip", "augment.flip=0.5"),
    ],
)
def test_an_override_does_not_undo_an_ingredient(keys, override):
    with pytest.raises(SpaceError, match=rf"--set undoes the ingredient {keys}") as raised:
        build_config(None, {}, ["epochs=3", override], ingredients=keys)
    assert raised.value.where == f"--set {override}"


def test_an_override_may_tune_an_ingredient():
    assert build_config(None, {}, ["augment.mosaic=0.9"], ingredients="M").augment.mosaic == 0.9


def test_what_an_ingredient_needs_may_be_set():
    config = build_config(None, {}, ["distill.teacher=t.pt"], ingredients="KD")
    assert config.distill.teacher == "t.pt"


def test_none_stands_alone():
    with pytest.raises(SpaceError, match="'none' is the baseline itself"):
        ingredient_keys("none,S")


def test_the_task_is_not_set():
    with pytest.raises(SpaceError, match="the task is not set like this") as raised:
        build_config(None, {}, ["task=classify"])
    assert raised.value.mend == "give --task"


def test_a_folder_of_other_changes_is_another_training(tmp_path):
    from evolve.train_one import Origin, prepare_folder

    origin = Origin("/data", "digest", 0)
    config = build_config(None, {"epochs": 8}, ["changes.4.optimizer.lr=0.5"])
    folder = prepare_folder(tmp_path / "t", config, origin)
    folder.config.write_text(yaml.safe_dump(config.to_dict()))
    folder.last.write_bytes(b"begun")
    assert prepare_folder(tmp_path / "t", config, origin).path == folder.path
    for other, words in [
        (config.with_values({"changes": {}}), r"changes\.4\.optimizer\.lr: 0\.5 -> None"),
        (config.with_values({"changes.5.nms.beta": 1}), r"changes\.5\.nms\.beta: None -> 1\.0"),
    ]:
        with pytest.raises(StoreError, match=words):
            prepare_folder(tmp_path / "t", other, origin)
