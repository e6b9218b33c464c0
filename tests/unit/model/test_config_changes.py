"""Settings that change during a training: what may change, when, and what holds then."""

import json

import pytest
import yaml
from pydantic import ValidationError

from model.config import (
    CHANGEABLE,
    TrainConfig,
    changeable,
    is_key,
    key_paths,
    without_epoch,
)

CHANGES = {
    4: {"optimizer.lr": 1, "augment.mosaic": 0.2},
    2: {"optimizer.lr": 0.5, "schedule.steps": (0.1,)},
}


def changing(changes=CHANGES, **values):
    return TrainConfig(**{"epochs": 6, "changes": changes} | values)


@pytest.mark.parametrize(
    ("values", "digest"),
    [
        ({}, "9dcdcb562df0df5f6eea1e34664119a5d1075512cee0b27f49dacf0e62f4bedf"),
        ({"model": "yolov4-csp-nano", "optimizer.lr": 0.01, "augment.grid_mask.probability": 0.5,
          "seed": 7, "schedule.steps": [0.5, 0.7]},
         "315bcde38505165cf56332fb31c87ac56224901c7654fec222ac256121fa16ca"),
        ({"task": "classify", "model": "csdarknet53-nano", "image_size": 64,
          "loss.label_smoothing": 0.1},
         "fc230b96734df50d6da211f93596c755524befa1d3b47ee750c46c98df452d79"),
    ],
)  # fmt: skip
def test_digests_are_those_of_before_there_were_changes(values, digest):
    """Written down then; checkpoints and stored runs are found again by them."""
    config = TrainConfig().with_values(values)
    assert config.digest() == digest
    assert "changes" not in config.to_dict()
    assert config.with_values({"changes": {}}).digest() == digest
    assert config.with_values({"changes": {3: {}}}).digest() == digest


def test_what_holds_after_some_epochs():
    config = changing()
    rates = [config.at(epoch).optimizer.lr for epoch in range(7)]
    assert rates == [0.002, 0.002, 0.5, 0.5, 1, 1, 1]
    assert [config.at(epoch).augment.mosaic for epoch in (3, 4)] == [0.5, 0.2]
    assert config.at(5).schedule.steps == (0.1,)
    assert config.at(5) == TrainConfig(epochs=6).with_values(
        {"optimizer.lr": 1.0, "augment.mosaic": 0.2, "schedule.steps": [0.1]}
    )
    assert config.at(0) == TrainConfig(epochs=6)


def test_a_configuration_without_changes_is_its_own():
    config = TrainConfig()
    assert config.at(3) is config


def test_values_are_as_the_settings_take_them():
    """So that one configuration has one digest, however it was written."""
    config = changing()
    assert config.changes == {
        2: {"optimizer.lr": 0.5, "schedule.steps": [0.1]},
        4: {"augment.mosaic": 0.2, "optimizer.lr": 1.0},
    }
    assert list(config.changes) == [2, 4]
    written_out = {"4": {"optimizer": {"lr": 1.0}, "augment": {"mosaic": 0.2}},
                   "2": {"schedule": {"steps": [0.1]}, "optimizer.lr": 0.5}}  # fmt: skip
    assert changing(written_out) == config
    assert changing(written_out).digest() == config.digest() != TrainConfig(epochs=6).digest()
    assert hash(changing(written_out)) == hash(config)


def test_json_and_yaml_give_the_same_again():
    config = changing({10: {"optimizer.lr": 0.1}, 9: {"augment.grid_mask.probability": 0.5}},
                      epochs=12)  # fmt: skip
    tree = config.to_dict()
    assert tree["changes"] == {
        "9": {"augment": {"grid_mask": {"probability": 0.5}}},
        "10": {"optimizer": {"lr": 0.1}},
    }
    for again in (json.loads(json.dumps(tree)), yaml.safe_load(yaml.safe_dump(tree))):
        assert TrainConfig.model_validate(again) == config
        assert TrainConfig.model_validate(again).digest() == config.digest()
    assert TrainConfig.model_validate_json(json.dumps(tree), strict=True) == config
    plain = yaml.safe_load("{epochs: 12, changes: {10: {optimizer.lr: 0.1}}}")
    assert list(TrainConfig.model_validate(plain).changes) == [10]


def test_key_paths_lead_to_changes():
    config = changing()
    paths = key_paths(config)
    assert paths["changes.4.optimizer.lr"] == 1.0
    assert paths["changes.2.schedule.steps"] == [0.1]
    assert TrainConfig().with_values(paths) == config
    again = config.with_values({"changes.4.optimizer.lr": 0.3, "changes.5.nms.kind": "diou"})
    assert again.changes[4] == {"augment.mosaic": 0.2, "optimizer.lr": 0.3}
    assert again.at(5).nms.kind == "diou"
    assert config.with_values({"seed": 3}).changes == config.changes
    assert not any(path.startswith("changes") for path in key_paths())


def test_key_paths_of_changes_are_told_from_others():
    assert without_epoch("changes.4.optimizer.lr") == "optimizer.lr"
    assert without_epoch("optimizer.lr") == "optimizer.lr"
    assert without_epoch("changes.4") == "changes.4"
    assert all(map(is_key, ("optimizer.lr", "changes", "changes.4.optimizer.lr")))
    assert not any(map(is_key, ("optimizer", "changes.4.optimizer", "changes.4", "lr", "")))


@pytest.mark.parametrize(
    ("changes", "place", "what"),
    [
        ({0: {"optimizer.lr": 1}}, ("0",), "a change after 0 epochs is none of a training of 6"),
        ({6: {"optimizer.lr": 1}}, ("6",), "a change after 6 epochs is none of a training of 6"),
        ({"x": {"optimizer.lr": 1}}, ("x", "[key]"), "valid integer"),
        ({2: {"optimizer.rate": 1}}, ("2", "optimizer", "rate"), "unknown key 'optimizer.rate'"),
        ({2: {"optimizer": 1}}, ("2", "optimizer"), "unknown key 'optimizer'"),
        ({2: {"batch_size": 4}}, ("2", "batch_size"), "'batch_size' cannot change during a"),
        ({2: {"drop.kind": "path"}}, ("2", "drop", "kind"), "'drop.kind' cannot change"),
        ({2: {"changes.3.optimizer.lr": 1}}, ("2", "changes", "3", "optimizer", "lr"), "unknown"),
        ({2: {"optimizer.lr": -1}}, ("2", "optimizer", "lr"), "should be greater than 0"),
        ({2: {"loss.box": "iuo"}}, ("2", "loss", "box"), "Input should be 'mse'"),
        ({2: {"schedule.steps": [0.1, 2]}}, ("2", "schedule", "steps", 1), "less than or equal"),
        ({2: 3}, (2,), "valid dictionary"),
        (3, (), "valid dictionary"),
        ({2: {"optimizer.lr": 1, "optimizer": {"lr": 2}}}, ("2", "optimizer.lr"), "set twice"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_changes_are_refused_with_their_place(changes, place, what):
    with pytest.raises(ValidationError) as caught:
        changing(changes)
    (fault,) = caught.value.errors()
    assert fault["loc"] == ("changes", *place)
    assert what in fault["msg"]


def test_all_faults_are_told():
    with pytest.raises(ValidationError) as caught:
        changing({2: {"optimizer.lr": -1, "augment.mosaic": 2}})
    assert [fault["loc"][2:] for fault in caught.value.errors()] == [
        ("optimizer", "lr"), ("augment", "mosaic")
    ]  # fmt: skip
    with pytest.raises(ValidationError) as caught:
        changing({9: {"seed": 1}})
    assert len(caught.value.errors()) == 2


def test_a_fault_elsewhere_is_told_alone():
    with pytest.raises(ValidationError) as caught:
        changing(seed=-1)
    assert [fault["loc"] for fault in caught.value.errors()] == [("seed",)]


def test_a_shorter_training_has_no_place_for_a_change():
    with pytest.raises(
        ValidationError, match="a change after 4 epochs is none of a training of 4"
    ):
        changing().with_values({"epochs": 4})


def test_text_of_a_file_is_no_number():
    tree = changing().to_dict()
    tree["changes"]["4"]["optimizer"]["lr"] = "0.01"
    assert TrainConfig.model_validate(tree).at(4).optimizer.lr == 0.01
    with pytest.raises(ValidationError, match="valid number"):
        TrainConfig.model_validate_json(json.dumps(tree), strict=True)


def test_what_may_change():
    assert all(map(changeable, ("optimizer.lr", "optimizer.clip_norm", "schedule.final",
                                "loss.iou_normalizer", "augment.grid_mask.probability", "sat.kind",
                                "nms.kind", "ema.decay", "bn_momentum", "drop.probability",
                                "distill.weight")))  # fmt: skip
    fixed = ("batch_size", "subdivisions", "epochs", "image_size", "seed", "shapes.range",
             "data.workers", "model", "norm", "head.box", "drop.kind", "distill.teacher",
             "changes", "optimizer", "optimizer.rate", "")  # fmt: skip
    assert not any(map(changeable, fixed))
    for name in CHANGEABLE:
        assert any(path == name or path.startswith(f"{name}.") for path in key_paths()), name


def test_histories_agree_until_the_first_difference():
    ours = changing()
    later = ours.with_values({"changes.5.optimizer.lr": 3})
    other = ours.with_values({"changes.4.optimizer.lr": 3})
    assert ours.history(5) == later.history(5)
    assert ours.history(6) != later.history(6)
    assert ours.history(4) == other.history(4)
    assert ours.history(5) != other.history(5)
    assert ours.history(2) == TrainConfig(epochs=6).history(2)
    assert ours.history(3) != TrainConfig(epochs=6).history(3)
    assert ours.history(0) != TrainConfig(epochs=6, seed=1).history(0)


def test_a_change_to_what_holds_anyway_makes_no_other_history():
    idle = TrainConfig(epochs=6, changes={3: {"optimizer.lr": 0.002}})
    assert idle.history(6) == TrainConfig(epochs=6).history(6)
    # the same settings at another time are another history
    early, late = ({n: {"optimizer.lr": 1}, 5: {"optimizer.lr": 2}} for n in (2, 3))
    assert changing(early).history(6) != changing(late).history(6)
