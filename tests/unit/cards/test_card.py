"""Cards as files: what is written is read again, and nothing that comes in is trusted."""

import pytest
import yaml

from evolve.cards.card import StudyCard, name_from, read_card, write_card
from evolve.cli.main import BAD_INPUT, exit_code
from evolve.errors import CardError

TREE = {
    "format": "evolve-card-1",
    "name": "study",
    "created": "2026-05-09T10:00:00+00:00",
    "evolve": "0.1.0",
    "objective": "AP",
    "direction": "maximize",
    "model": "yolov4-nano",
    "epochs": 4,
    "image_size": 96,
    "space": {
        "parameters": {
            "optimizer.lr": {
                "type": "float", "low": 1e-5, "high": 0.1, "scale": "log", "default": 2e-3
            },
            "batch_size": {"type": "int", "low": 4, "high": 64, "step": 4, "default": 8},
            "loss.box": {"type": "categorical", "choices": ["mse", "ciou"], "default": "ciou"},
        },
        "constraints": ["optimizer.lr < 0.05 or batch_size > 8"],
    },
    "trials": [
        {"number": 3, "value": 0.31,
         "params": {"optimizer.lr": 1e-5, "batch_size": 16, "loss.box": "mse"}},
        {"number": 0, "value": 1 / 3, "params": {"optimizer.lr": 0.1 + 0.2 - 0.2000001}},
    ],
    "failed": [{"number": 5, "reason": "diverged", "params": {"batch_size": 4}}],
    "confirmed": {"trial": 3, "params": {"loss.box": "mse"}, "seeds": 2, "judged_on": "test",
                  "mean_val": 0.3, "mean_judged": 0.29,
                  "delta": {"mean": 0.02, "low": -0.01, "high": 0.05, "pairs": 2}},
    "data": {"classes": 2, "images": {"train": 8, "val": 4}},
}  # fmt: skip


@pytest.fixture
def card():
    return StudyCard.model_validate(TREE)


@pytest.fixture
def tampered(card, tmp_path):
    """Write the card with one piece of its text replaced; the path."""

    def _tampered(old, new):
        path = tmp_path / "card.yaml"
        write_card(card, path)
        text = path.read_text()
        assert text.count(old) >= 1, text
        path.write_text(text.replace(old, new, 1))
        return path

    return _tampered


def test_what_is_written_is_read_again(card, tmp_path):
    write_card(card, tmp_path / "card.yaml")
    assert read_card(tmp_path / "card.yaml") == card
    assert yaml.safe_load((tmp_path / "card.yaml").read_text())["trials"][1]["value"] == 1 / 3
    assert [path.name for path in tmp_path.iterdir()] == ["card.yaml"]


def test_a_card_has_no_aliases(card, tmp_path):
    shared = card.trials[0]
    same = card.model_copy(update={"trials": (shared, shared.model_copy(update={"number": 9}))})
    write_card(same, tmp_path / "card.yaml")
    assert "*" not in (tmp_path / "card.yaml").read_text()
    assert read_card(tmp_path / "card.yaml") == same


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("value: 0.31", "value: .nan", r"'value' should be a finite number[^$]*card.yaml:\d+:\d+"),
        ("value: 0.31", "value: .inf", "'value' should be"),
        ("value: 0.31", "value: 31.0", "should be less than or equal to 1"),
        ("value: 0.31", "value: '0.31'", "'value' should be a valid number"),
        ("value: 0.31", "value: true", "'value' should be a valid number"),
        ("number: 3\n", "number: -3\n", "greater than or equal to 0"),
        ("number: 0\n", "number: 3\n", r"trial 3 is there twice[^$]*card.yaml:\d+:3"),
        ("optimizer.lr: 1.0e-05", "optimizer.lr: 1e-5", "YAML reads '1e-5' as text"),
        ("optimizer.lr: 1.0e-05", "optimizer.lr: 1.0e+300", "it goes from 1e-05 to 0.1"),
        ("optimizer.lr: 1.0e-05", "optimizer.lr: .nan", "should be a finite number"),
        ("optimizer.lr: 1.0e-05", "optimizer.lr: [1]", r"optimizer.lr"),
        ("batch_size: 16", "batch_size: 17", "'batch_size' never has the value 17"),
        ("batch_size: 16", "batch_size: 16.5", "never has the value 16.5"),
        ("batch_size: 16", "batch_size: true", "never has the value True"),
        ("batch_size: 16", "batch_size: " + "9" * 400, "9999...' is too large"),
        ("batch_size: 16", "batch_size: 0x" + "f" * 9000, "is too large"),
        ("batch_size: 16", "batch_sise: 16", "did you mean 'batch_size'"),
        ("loss.box: mse", "loss.box: ../../etc/passwd", "never has the value '../../etc/passwd'"),
        ("loss.box: mse", "../../etc: mse", "'../../etc' is no key path"),
        ("name: study", "name: ../../home/me", "'../../home/me' is no name"),
        ("name: study", 'name: "a\\e[2J"', r"'a\\x1b\[2J' is no name"),
        ("name: study", "name: " + "a" * 90, "aaa... is no name"),
        ("name: study", "name: study\nname: other", "key 'name' is given twice"),
        ("name: study", "name: study\nnmae: other", "unknown key 'nmae'"),
        ("name: study", "name: !!python/object/apply:os.system [ls]", "tag"),
        ("format: evolve-card-1", "format: evolve-card-2", "did you mean 'evolve-card-1'"),
        ("objective: AP\n", "objective: loss\n", "'objective' cannot be 'loss'"),
        ("direction: maximize", "direction: minimize", "'direction' cannot be 'minimize'"),
        ("low: 1.0e-05", "low: 1.0", "low is above high"),
        ("optimizer.lr < 0.05", "__import__('os').system('ls') < 0.05", "no function"),
        ("classes: 2", "classes: -2", "greater than or equal to 0"),
        ("train: 8", "moon: 8", "'moon' cannot be|should be 'train'"),
        ("mean: 0.02", "mean: 5", "less than or equal to 1"),
    ],
)  # fmt: skip
def test_hostile_cards_are_refused_with_the_place(tampered, old, new, told):
    path = tampered(old, new)
    with pytest.raises(CardError, match=told) as refused:
        read_card(path)
    assert "card.yaml:" in str(refused.value)
    assert exit_code(refused.value) == BAD_INPUT


def test_no_trials_are_none_to_begin_with(card, tmp_path):
    path = tmp_path / "card.yaml"
    write_card(card.model_copy(update={"trials": ()}), path)
    with pytest.raises(CardError, match="at least 1 item"):
        read_card(path)


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "card.yaml"
    path.write_bytes(b"#" * 5_000_000)
    with pytest.raises(CardError, match="larger than 1,000,000 bytes"):
        read_card(path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x00", b"\x80\x04\x95", b"- 1", b""])
def test_what_is_no_card_is_refused(tmp_path, content):
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(CardError, match=r"card\.yaml"):
        read_card(path)


def test_all_faults_are_told_at_once(tampered):
    path = tampered("batch_size: 16", "batch_size: 17")
    path.write_text(path.read_text().replace("loss.box: mse", "loss.box: iou", 1))
    with pytest.raises(CardError, match="2 faults"):
        read_card(path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ga-digits", "ga-digits"),
        ("../x/y", "x-y"),
        ("", "study"),
        ("é 1", "é 1"),
        ("\x1b", "study"),
    ],
)
def test_names_are_made_harmless(text, name):
    assert name_from(text) == name
    StudyCard.model_validate(TREE | {"name": name})
