"""The size of a final comparison."""

import pytest

from evolve.confirm import Confirm, planned_trainings
from evolve.errors import SpaceError
from evolve.space import apply_overrides, load_space

SPACE = "parameters: {optimizer.lr: {type: float, low: 0.1, high: 1.0, default: 0.2}}\n"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3x3", (3, 3)),
        (" 5X10 ", (5, 10)),
        ("1 x 2", (1, 2)),
        ("0", (0, 0)),
        ("none", (0, 0)),
    ],
)
def test_sizes(text, size):
    found = Confirm.parse(text)
    assert (found.candidates, found.seeds) == size
    assert Confirm.parse(str(found)) == found


@pytest.mark.parametrize(
    "text", ["3", "0x3", "3x0", "x3", "-1x3", "3x3x3", "1.5x2", "", "99999x1"]
)
def test_other_text_is_refused(text):
    with pytest.raises(SpaceError, match="no size of a final comparison") as error:
        Confirm.parse(text, "--confirm")
    assert error.value.where == "--confirm"
    assert "3x3" in error.value.mend


def test_or_more_takes_the_larger_number_and_keeps_none():
    assert Confirm(3, 3).or_more(Confirm(5, 2)) == Confirm(5, 3)
    assert Confirm(3, 3).or_more(Confirm(0, 0)) == Confirm(3, 3)
    assert not Confirm(0, 0).or_more(Confirm(5, 2))


def test_defaults_are_trained_as_well():
    assert planned_trainings(3, 3) == 12
    assert planned_trainings(1, 2) == 4
    assert planned_trainings(0, 0) == 0


@pytest.mark.parametrize(
    ("line", "confirm"), [("", "3x3"), ("confirm: 5x2\n", "5x2"), ("confirm: 0\n", "0")]
)
def test_of_a_space_file(tmp_path, line, confirm):
    path = tmp_path / "space.yaml"
    path.write_text(line + SPACE)
    space = load_space(path)
    assert space.confirm == confirm
    assert type(space).from_dict(space.to_dict()) == space
    assert apply_overrides(space, ["confirm=2x4"]).confirm == "2x4"


def test_bad_size_of_a_space_file_is_refused_with_its_line(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("confirm: 3\n" + SPACE)
    with pytest.raises(SpaceError, match="no size of a final comparison") as error:
        load_space(path)
    assert "space.yaml:1:" in error.value.where
