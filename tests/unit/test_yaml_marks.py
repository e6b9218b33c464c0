import pickle
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from evolve.errors import EvolveError, SpaceError
from evolve.yaml_marks import load_yaml, read_marked, undotted, validate
from model.config import TrainConfig


class Small(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lr: float = 0.1
    name: str = ""
    kind: Literal["red", "blue"] = "red"
    sizes: tuple[int, ...] = ()


@pytest.fixture
def write(tmp_path):
    def _write(text: str | bytes, name: str = "a.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


def test_marks_point_at_keys_and_list_items(write):
    marked = load_yaml(write("a: 1\nb:\n  c.d: [5,\n    6]\n"))
    assert marked.data == {"a": 1, "b": {"c.d": [5, 6]}}
    assert marked.marks[("b", "c.d")] == (3, 3)
    assert marked.marks[("b", "c.d", 1)] == (4, 5)
    assert marked.where(("b", "c.d", 1)).endswith("a.yaml:4:5  b.c.d.1")


def test_a_missing_key_is_placed_at_its_parent(write):
    marked = load_yaml(write("a: 1\nb: {c: 2}\n"))
    assert marked.where(("b", "x")).endswith("a.yaml:2:1  b.x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a remark\n", "is empty"),
        ("- 1\n", "must hold a mapping"),
        ("a: [1\n", r"broken YAML.*\n.*a.yaml:2:1"),
        ("a:\n\tb: 1\n", "indent with spaces"),
        ("a: b: c\n", r"a.yaml:1:5\n.*quote a value"),
        ("a: 1\n---\nb: 2\n", "keep one document"),
        ("a: 1\nb: 2\na: 3\n", r"key 'a' is given twice, on lines 1 and 3[^\n]*\n.*a.yaml:3:1"),
        ("a: !!python/object:os.system {}\n", "tag 'tag:yaml.org,2002:python|!!python"),
        ("a: !mine 3\n", r"the tag '!mine' is not allowed\n.*a.yaml:1:4"),
        ("a: 1:30\n", "'1:30' is read as a number to base 60"),
        ("a: 010\n", "read as octal"),
        ("a: 0x" + 5000 * "f", "'0xffffffffffffffffff...' is too large"),
        ("no: 1\n", r"the key 'no' is read as bool[^$]*quote it: 'no'"),
        ("3: 1\n", "the key '3' is read as int"),
        ("? [a]\n: 1\n", "a key must be a single word"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n", "merge keys"),
        ("a: " + "[" * 200, "more than 32 levels deep"),
        ("a: *b\n", "undefined alias"),
        ("a: &a [*a]\n", "aliases expand to more than"),
        ("a: 1\nb: \x01\n", r"character that YAML does not allow[^$]*a.yaml:2:4"),
        ("a: " + "9" * 5000, "cannot be read as int"),
        ("%YAML 9\n", "broken YAML"),
        (b"a: 1\nb: \xff\n", r"not UTF-8 text \(byte 0xff\)\n.*a.yaml:2:4"),
        ("a: 1\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_unusable_yaml_is_refused(write, text, message):
    with pytest.raises(SpaceError, match=message):
        load_yaml(write(text), SpaceError)


def test_a_bomb_of_aliases_is_refused(write):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(EvolveError, match="aliases expand to more than 50000 values"):
        load_yaml(write("\n".join(lines)))


def test_ordinary_aliases_and_a_byte_order_mark_are_fine(write):
    assert load_yaml(write(b"\xef\xbb\xbfa: &x [1]\nb: *x\n")).data == {"a": [1], "b": [1]}


def test_a_missing_file_names_the_nearest(write):
    path = write("a: 1\n", "smoke.yaml")
    with pytest.raises(EvolveError, match=r"no file 'smoek.yaml'[^$]*did you mean 'smoke.yaml'"):
        load_yaml(path.with_name("smoek.yaml"))


def test_a_folder_and_a_huge_file_and_a_device_are_refused(write, tmp_path):
    with pytest.raises(EvolveError, match="a folder is given"):
        load_yaml(tmp_path)
    with pytest.raises(EvolveError, match="larger than 1,000,000 bytes"):
        load_yaml(write("#" * 1_000_001))
    with pytest.raises(EvolveError, match="not a regular file"):
        load_yaml(Path("/dev/null"))


def test_an_unreadable_file_is_told(write, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(EvolveError, match="cannot read the file: Permission denied"):
        load_yaml(write("a: 1\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 1e-3\n", r"'lr' should be a valid number, got '1e-3'\n.*\n.*write 1.0e-3"),
        ("lr: 2E5\n", r"write 2.0e\+5"),
        ("lr: no\n", "YAML reads no as the boolean false"),
        ("lr: '0.1'\n", "should be a valid number"),
        ("lr:\n", "the value is empty"),
        ("name: on\n", "YAML reads on as the boolean true; for text quote it"),
        ("name: 3\n", "'name' should be a valid string, got 3"),
        ("kind: blu\n", r"'kind' cannot be 'blu'\n.*\n.*did you mean 'blue'"),
        ("nmae: x\n", r"unknown key 'nmae'\n.*a.yaml:1:1.*\n.*did you mean 'name'"),
        ("sizes: [1, x]\n", r"'sizes\[1\]' should be a valid integer"),
    ],
)
def test_a_fault_against_the_model_has_place_and_mend(write, text, message):
    with pytest.raises(SpaceError, match=message):
        validate(load_yaml(write(text)), Small, SpaceError)


def test_all_faults_are_told_at_once_in_the_order_of_the_file(write):
    marked = read_marked(write("lr: x\nnmae: a\nlr: y\nkind: blu\n"), SpaceError)
    with pytest.raises(SpaceError, match=r"^SpaceError: 4 faults") as caught:
        validate(marked, Small, SpaceError)
    told = str(caught.value)
    assert told.index(":2:1") < told.index(":3:1") < told.index(":4:1")
    assert str(pickle.loads(pickle.dumps(caught.value))) == told


def test_validate_gives_the_model(write):
    marked = load_yaml(write("lr: 1.0e-3\nname: 2024-01-01\nsizes: [1, 2]\n"))
    assert validate(marked, Small, SpaceError) == Small(lr=1e-3, name="2024-01-01", sizes=(1, 2))


def test_a_training_configuration_may_be_dotted(write):
    marked = undotted(load_yaml(write("optimizer.lr: 0.02\noptimizer: {momentum: 0.8}\n")))
    config = validate(marked, TrainConfig, EvolveError)
    assert (config.optimizer.lr, config.optimizer.momentum) == (0.02, 0.8)


def test_a_union_is_one_fault_with_both_reasons(write):
    with pytest.raises(EvolveError, match=r"valid integer.* or 'image_size' cannot be 'atuo'"):
        validate(load_yaml(write("image_size: atuo\n")), TrainConfig, EvolveError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.lr: 0.1\noptimizer: {lr: 0.2}\n", r"'optimizer.lr' is set twice\n.*:2:13"),
        ("optimizer: 3\noptimizer.lr: 0.1\n", r"'optimizer.lr' is set twice\n.*:2:1"),
        ("optimizer.rl: 0.1\n", r"unknown key 'rl'\n.*:1:1  optimizer.rl\n.*'lr'"),
        ("optimizer.lr: 1e-3\n", r":1:1  optimizer.lr\n.*write 1.0e-3"),
    ],
)
def test_faults_of_dotted_keys_are_placed(write, text, message):
    with pytest.raises(EvolveError, match=message):
        validate(undotted(read_marked(write(text))), TrainConfig, EvolveError)
