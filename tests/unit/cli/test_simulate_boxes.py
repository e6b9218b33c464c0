"""`evolve simulate-boxes` in this process."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from evolve.cli.main import BAD_INPUT, cli, main

QUICK = ["--points", "1", "--iterations", "5"]


def simulate(*arguments):
    done = CliRunner().invoke(cli, ["simulate-boxes", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_curves_are_written_and_summed_up(tmp_path):
    result = json.loads(simulate("--out", tmp_path / "new" / "out", *QUICK, "--json"))
    frame = pd.read_csv(tmp_path / "new" / "out" / "curves.csv")
    assert list(frame) == ["iteration", "loss", "sum_error", "mean_error"]
    assert frame["iteration"].tolist() == list(range(6)) * 4
    assert frame["loss"].unique().tolist() == ["iou", "giou", "diou", "ciou"]
    assert result["cases"] == 343
    assert (frame["sum_error"] / 343).tolist() == pytest.approx(frame["mean_error"].tolist())
    last = frame[frame["iteration"] == 5].set_index("loss")["mean_error"]
    assert result["final_error"] == pytest.approx(last.to_dict())
    assert result["order"] == last.sort_values(ascending=False).index.tolist()
    assert (tmp_path / "new/out/curves.svg").read_text().lstrip().startswith("<?xml")
    assert (tmp_path / "new/out/curves.png").read_bytes()[:4] == b"\x89PNG"


def test_table_names_the_order(tmp_path):
    shown = simulate("--out", tmp_path, *QUICK, "--losses", "ciou, iou")
    assert "343 cases after 5 iterations, darknet gradient, seed 0" in shown
    assert "IoU > CIoU, as in the paper" in shown
    assert "GIoU" not in shown


def test_another_order_is_said_to_be_another(tmp_path):
    # after a few iterations GIoU is still ahead of DIoU
    shown = simulate("--out", tmp_path, *QUICK, "--losses", "giou,diou")
    assert "DIoU > GIoU, not the paper's order" in shown


def test_the_same_seed_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        simulate("--out", tmp_path / name, *QUICK, "--losses", "giou")
    for file in ("curves.csv", "curves.svg", "curves.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--losses", "cuio"], "did you mean 'ciou'"),
        (["--losses", ""], "knows no loss ''"),
        (["--points", "0"], "Invalid value for '--points'"),
        (["--out", "{tmp}/file/below"], "cannot write the curves"),
    ],
)
def test_bad_input_is_told(tmp_path, capsys, arguments, message):
    (tmp_path / "file").write_text("in the way")
    filled = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    with pytest.raises(SystemExit) as stopped:
        main(["simulate-boxes", *QUICK, "--out", str(tmp_path), *filled])
    assert stopped.value.code == BAD_INPUT
    assert message in capsys.readouterr().err
