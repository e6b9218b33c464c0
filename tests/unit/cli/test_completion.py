"""What shells are offered."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.cli import complete
from evolve.cli.completion import joined

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def words():
    return complete.find_words()


@pytest.fixture
def kept(words, monkeypatch, tmp_path):
    """Let names be those that are known, as on every call but the first."""
    monkeypatch.setenv("EVOLVE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(complete, "find_words", lambda: words)
    assert complete.words() == words | {"key": complete._fingerprint()}
    monkeypatch.chdir(tmp_path)
    return words


def offered(function, text):
    return [item.value for item in function(None, None, text)]


def test_words_are_those_of_the_program(words):
    from model.config import key_paths
    from model.ingredient import catalogue
    from model.zoo import zoo

    assert set(zoo) < set(words["models"])
    assert words["ingredients"] == sorted(catalogue())
    assert set(words["keys"]) == set(key_paths())
    assert words["keys"]["loss.box"] == ["mse", "iou", "giou", "diou", "ciou"] or (
        {"giou", "ciou"} <= set(words["keys"]["loss.box"])
    )
    assert words["keys"]["scale_xy"] == ["true", "false"]
    assert words["keys"]["optimizer.lr"] == []
    assert "bof" in words["paper_tables"]


def test_samplers_and_schedulers_are_all_there():
    from typing import get_args

    from evolve.engine.schedulers import SCHEDULERS
    from evolve.space.schema import Sampler

    assert set(complete.SCHEDULERS) == set(SCHEDULERS)
    assert set(complete.SAMPLERS) == set(get_args(Sampler))


def test_names_are_kept_until_the_program_changes(kept, monkeypatch, tmp_path):
    monkeypatch.setattr(complete, "find_words", lambda: pytest.fail("they were kept"))
    assert complete.words()["models"] == kept["models"]
    monkeypatch.setattr(complete, "_fingerprint", lambda: "other")
    monkeypatch.setattr(complete, "find_words", lambda: {"models": ["new"]})
    assert complete.words()["models"] == ["new"]
    (tmp_path / "cache" / "words-1.json").write_text("{torn")
    assert complete.words()["models"] == ["new"]
    assert json.loads((tmp_path / "cache" / "words-1.json").read_text())["key"] == "other"
    monkeypatch.setenv("EVOLVE_CACHE_DIR", "/proc/nowhere")
    assert complete.words()["models"] == ["new"]


def test_names_that_users_want(kept, tmp_path):
    assert offered(complete.space, "s") == ["smoke"]
    assert offered(complete.table, "bo") == ["bof", "bos"]
    assert "yolov4-tiny-nano" in offered(complete.model, "yolov4-t")
    assert offered(complete.ingredients, "M,-Mi") == ["M,-MiWRC", "M,-Mish", "M,-MixUp"]
    assert offered(complete.setting, "augment.mosaic") == [
        "augment.mosaic=",
        "augment.mosaic_images=",
    ]
    assert "loss.box=ciou" in offered(complete.setting, "loss.box=")
    assert [item.type for item in complete.space(None, None, "./mine")] == ["file"]


def test_run_folders_are_offered_but_none_with_codes_in_its_name(kept, tmp_path):
    for name in ("ga-mine", "empty", "bad\x1b[2J", "new\nline"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "empty":
            (tmp_path / "runs" / name / "manifest.json").write_text("{}")
    assert offered(complete.run, "") == ["runs/ga-mine"]
    (tmp_path / "runs/ga-mine/best.pt").write_bytes(b"")
    assert offered(complete.weights, "runs/") == ["runs/ga-mine/best.pt"]
    assert [item.type for item in complete.run(None, None, "/x")] == ["dir"]


def test_key_equals_value_is_one_word_again():
    assert joined(["--set", "a", "=", "b"]) == ["--set", "a=b"]
    assert joined(["--set", "a", "="]) == ["--set", "a="]
    assert joined(["--set", "a", "=", ""]) == ["--set", "a="]
    assert joined(["x", ""]) == ["x", ""]


def evolve(*arguments, cwd, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, "-m", "evolve", *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=250,
    )  # fmt: skip


def test_click_completes_verbs_options_and_names(tmp_path):
    def complete_line(line, shell="bash"):
        done = evolve(cwd=tmp_path, _EVOLVE_COMPLETE=f"{shell}_complete", COMP_WORDS=line,
                      COMP_CWORD=str(len(line.split(" ")) - 1))  # fmt: skip
        assert done.stderr == ""
        return done.stdout.splitlines()

    assert complete_line("evolve re") == ["plain,resume", "plain,report"]
    assert "plain,--verbose" in complete_line("evolve run --v")
    assert complete_line("evolve run --space sm") == ["plain,smoke"]


def test_verbs_are_completed_without_heavy_packages():
    code = (
        "import sys, os\nfrom evolve.cli.main import main\n"
        "os.environ |= {'_EVOLVE_COMPLETE': 'bash_complete', 'COMP_WORDS': 'evolve run --sp', "
        "'COMP_CWORD': '2'}\n"
        "try: main([])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'ray', 'optuna', 'cv2', 'numpy', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=250)


SHELLS = {
    "bash": """source script
COMP_WORDS=(evolve run --space sm) COMP_CWORD=3; _evolve_completion evolve 2>/dev/null
echo "${COMPREPLY[@]}"
COMP_WORDS=(evolve train --set loss.bo) COMP_CWORD=3; _evolve_completion evolve 2>/dev/null
echo "${COMPREPLY[@]}"
COMP_WORDS=(evolve train --set loss.box = ci) COMP_CWORD=5; _evolve_completion evolve
echo "${COMPREPLY[@]}"
""",
    "zsh": """compdef() { :; }
compadd() { print -l ${(P)@[-1]} }
source script
words=(evolve run --space sm) CURRENT=4
_evolve_completion
""",
    "fish": """source script
complete -C 'evolve run --space sm'
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes(shell, tmp_path, words):
    program = shutil.which(shell)
    script = evolve("completion", shell, cwd=tmp_path).stdout
    assert f"_EVOLVE_COMPLETE={shell}_complete" in script
    if program is None:
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text(script)
    caller = tmp_path / "evolve"
    caller.write_text(f'#!/bin/sh\nexec {sys.executable} -m evolve "$@"\n')
    caller.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [program, "-c", SHELLS[shell]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert "smoke" in lines[0], done.stderr
    if shell == "bash":
        assert lines == ["smoke", "loss.box=", "ciou"]
