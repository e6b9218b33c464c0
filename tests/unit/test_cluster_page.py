"""The recipes on the page about clusters are whole, and say nothing that evolve does not know."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from evolve.cli.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_yaml_loads():
    local, job = map(yaml.safe_load, blocks("yaml"))
    assert local["provider"]["type"] == "local"
    assert job["kind"] == "RayJob"
    groups = [job["spec"]["rayClusterSpec"]["headGroupSpec"]]
    groups += job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    for group in groups:
        spec = group["template"]["spec"]
        volumes = {volume["name"] for volume in spec["volumes"]}
        mounts = {m["name"] for one in spec["containers"] for m in one["volumeMounts"]}
        assert mounts == volumes
    assert "--address auto" in job["spec"]["entrypoint"]
    assert str(job["spec"]["rayClusterSpec"]["rayVersion"]) in pinned()


def pinned():
    lines = (PAGE.parents[1] / "constraints.txt").read_text().splitlines()
    return [line.partition("==")[2] for line in lines if line.startswith("ray==")]


def test_the_batch_script_is_bash():
    (script,) = blocks("bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "#SBATCH --signal=B:TERM@60" in script


def test_the_page_says_that_nobody_ran_them():
    assert "have **not** been run on a real cluster" in TEXT


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"evolve (?:run|resume) [^`&\n]+", TEXT)))
)
def test_every_command_has_options_that_exist(command):
    words = [word for word in shlex.split(command, comments=True) if word.startswith("--")]
    verb = cli.get_command(None, command.split()[1])
    known = {name for option in verb.params for name in option.opts}
    assert set(words) <= known
