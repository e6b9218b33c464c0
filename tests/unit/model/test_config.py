from model.config import FILES, TrainConfig, key_paths


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
