"""A file system that is really full, under the real command."""

import shutil
import subprocess
import sys

import pytest

from tests.e2e.test_limits import on_curves
from tests.e2e.test_run import SPACE, run, start_anew, told, wait_until
from tests.thorough import ON_RAY

MIB = 1024 * 1024


@pytest.fixture
def work(tmp_path):
    """A folder on a file system of 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "evolve-test", str(disk)]
    if not sys.platform.startswith("linux") or shutil.which("mount") is None:
        pytest.skip("needs Linux's mount")
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    (disk / "my.yaml").write_text(SPACE)
    for seconds in ("0", "0.2"):
        (disk / f"curve-{seconds}").mkdir()
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(work):
    """Leave no byte."""
    with (work / "ballast").open("wb", buffering=0) as file:
        for size in (MIB // 4, 1024, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@pytest.mark.parametrize("engine", ["inline", ON_RAY])
def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(work, engine):
    one = ("--no-probe", "--scheduler", "none", "--workers", "1", "--trials", "3")
    process = start_anew(work, *on_curves(*one, "--engine", engine, data="curve-0.2"))
    wait_until((work / "out" / "trials" / "00001" / "metrics.jsonl").exists)
    fill(work)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "make room" in errors
    assert "evolve resume" in errors
    assert run(work, "status", "out").returncode == 0
    (work / "ballast").unlink()
    done = run(work, "resume", "out", "--engine", "inline")
    assert done.returncode == 0, done.stderr
    ours = told(work)
    assert {state for state, *_ in ours.values()} == {"COMPLETE"}
    if engine == "inline":
        (work / "out").rename(work / "ours")
        assert run(work, *on_curves(*one)).returncode == 0
        assert told(work) == ours


def test_a_run_on_a_full_disk_is_refused_in_words(work):
    fill(work)
    done = run(work, *on_curves("--no-probe"))
    assert done.returncode in (1, 2)
    assert "no space left to write to" in done.stderr
