"""Processes of processes, until the last has ended."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from evolve.engine.offspring import GRACE_S, children, end_with, families

TREE = (
    "import subprocess, sys, time\n"
    "held = subprocess.Popen([sys.executable, '-c', {child!r}],\n"
    "                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)\n"
    "print('up', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def tree():
    """Starts a process whose child runs some code, and ends both in the end."""
    started = []

    def start(child):
        process = subprocess.Popen(
            [sys.executable, "-c", TREE.format(child=child)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "up\n"
        while len(families([process.pid])) < 2:
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_families_are_those_that_psutil_sees(tree):
    process = tree("import time; time.sleep(60)")
    seen = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    assert families([process.pid]) == {process.pid, *seen}
    assert process.pid in children([os.getpid()])
    assert children([process.pid]) == seen


def test_it_waits_for_grandchildren_that_end_by_themselves(tree):
    process = tree("import sys, time; sys.stdin.read(); time.sleep(0.5)")  # once its parent ends
    grandchild = psutil.Process(next(iter(children([process.pid]))))
    began = time.monotonic()
    end_with(process.kill, [process.pid])
    assert 0.5 <= time.monotonic() - began < GRACE_S
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_what_does_not_end_is_killed(tree):
    process = tree("import time; time.sleep(60)")
    grandchild = psutil.Process(next(iter(children([process.pid]))))
    end_with(process.kill, [process.pid], grace_s=0.2)
    assert psutil.wait_procs([grandchild], timeout=5)[1] == []


def test_an_error_of_the_stop_itself_leaves_nothing_either(tree):
    process = tree("import time; time.sleep(60)")

    def fails():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        end_with(fails, [process.pid], grace_s=0.1)
    assert process.wait(5) == -9


def test_nothing_to_wait_for():
    called = []
    end_with(lambda: called.append(1), [])
    assert called == [1]
