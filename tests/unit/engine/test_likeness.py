"""What a machine is asked before it may train, and what its answers lead to."""

import shutil
from pathlib import Path

import pytest

from evolve.engine.likeness import Question, check, look
from evolve.errors import EvolveError
from tests.tiny_data import write_tiny_coco


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "token").write_text("token")
    data = write_tiny_coco(tmp_path / "tiny")
    return Question(str(tmp_path / "run"), "token", str(data))


def names(asked):
    return [path.name for path in Path(asked.folder).iterdir()]


def test_a_machine_like_this_one_may_train(asked):
    ours, seen = look(asked), look(asked)
    check("node", seen, ours, asked, names(asked))
    assert ours["packages"]["torch"].count("+") == 0


@pytest.mark.parametrize(
    ("change", "what", "mend"),
    [
        ({"python": "3.9"}, "Python 3.9 runs there", "environment like this"),
        ({"packages": {"torch": "1.0"}}, "torch 1.0 is installed there", "constraints.txt"),
        ({"packages": {"numpy": ""}}, "no numpy is installed there", "pip install"),
        ({"source": "x"}, "code is not the same there", "another copy hides"),
        ({"reads": False}, "not the same, or not there", "--out"),
        ({"writes": False}, "cannot be written", "--out"),
        ({"answer": "elsewhere"}, "cannot be written", "--out"),
        ({"data": ""}, "cannot be read", "--ship-data"),
        ({"data": "x"}, "are not the same", "--ship-data"),
    ],
)
def test_each_difference_is_named_with_its_machine(asked, change, what, mend):
    ours = look(asked)
    with pytest.raises(EvolveError, match=what) as e:
        check("node 10.0.0.3", look(asked) | change, ours, asked, names(asked))
    assert e.value.where == "node 10.0.0.3"
    assert mend in e.value.mend


def test_another_folder_and_other_data_are_seen(asked, tmp_path):
    ours = look(asked)
    shutil.rmtree(asked.data)
    assert look(asked)["data"] == ""
    other = Question(str(tmp_path / "gone"), "token", asked.data)
    seen = look(other)
    assert (seen["reads"], seen["writes"]) == (False, False)
    with pytest.raises(EvolveError, match="run folder is not the same"):
        check("node", seen, ours, other)
