"""What is released: one version, a citation by its format, and a wheel with all its data."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("evolve", "model", "reports", "search_spaces")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names in a wheel of this tree, built with what is installed and without a network."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).symlink_to(ROOT / name)
    code = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    built = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (file,) = out.glob("*.whl")
    return set(zipfile.ZipFile(file).namelist())


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages(wheel):
    """Source, templates, script and style, spaces and tables; nothing else."""
    ours = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert {name for name in wheel if ".dist-info/" not in name} == ours
    assert {"search_spaces/tables/bof.yaml", "reports/templates/script.js"} <= ours


@pytest.mark.slow
def test_the_wheel_has_the_licence_and_the_command(wheel):
    assert {name.rpartition("/")[2] for name in wheel} >= {"LICENSE", "entry_points.txt"}


def test_there_is_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["cff-version"] == "1.2.0"
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2004.10934"


def test_every_requirement_is_pinned():
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    extras = PROJECT["project"]["optional-dependencies"]
    tested = {*PROJECT["project"]["dependencies"], *extras["test"], *extras["docs"]}
    assert {_name(one) for one in tested} - {"evolve-yolo"} <= pinned


def _name(requirement):
    name = requirement.split("[")[0].split(">")[0].split("=")[0]
    return name.strip().lower().replace("_", "-")
