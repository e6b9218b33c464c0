from model.config import FILES, TrainConfig, key_paths, set_value


def test_another_file_drops_the_digest_of_the_one_before():
    first = TrainConfig().with_values(
        {"backbone.weights": "a.pt", "backbone.weights_sha256": "0" * 64}
    )
    assert first.backbone.weights_sha256 == "0" * 64
    assert first.with_values({"optimizer.lr": 0.1}).backbone.weights_sha256 == "0" * 64
    assert first.with_values({"backbone.weights": "b.pt"}).backbone.weights_sha256 == ""


def test_files_are_keys_with_a_digest():
    assert {f"{key}_sha256" for key in FILES} | set(FILES) <= key_paths().keys()


def test_a_configuration_survives_its_dictionary():
    config = TrainConfig().with_values({"augment.grid_mask.probability": 0.5})
    again = TrainConfig.model_validate(config.to_dict())
    assert again == config
    assert again.digest() == config.digest() != TrainConfig().digest()


def test_setting_some_values_equals_checking_all_of_them():
    first = TrainConfig().with_values({"schedule.steps": (0.5, 0.7), "data.workers": 2})
    first = first.with_values({"changes.4.optimizer.lr": 0.001})
    values = {
        "optimizer.lr": 1,
        "augment.grid_mask.probability": 0.5,
        "changes.4.loss.focal": True,
    }
    tree = first.to_dict()
    for path, value in values.items():
        set_value(tree, path, value)
    found, anew = first.with_values(values), TrainConfig.model_validate(tree)
    assert found == anew
    assert (found.digest(), hash(found)) == (anew.digest(), hash(anew))
    assert [type(v) for v in key_paths(found).values()] == [
        type(v) for v in key_paths(anew).values()
    ]
    assert found.schedule is first.schedule
    assert first.optimizer == TrainConfig().optimizer
