"""Data workers against the ends a training can come to, and over many epochs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from model.data.batch import Batch
from model.data.workers import WorkerPool

ROOT = Path(__file__).parents[2]


class Tiny:
    """Small batches; from index `stuck_at` on one takes for ever."""

    def __init__(self, stuck_at=1000):
        self.stuck_at = stuck_at

    def make(self, epoch, index):
        if index >= self.stuck_at:
            time.sleep(1000)
        images = np.full((4, 3, 32, 32), (epoch + index) % 256, np.uint8)
        return Batch(images, np.full((8, 6), index, np.float32), step=index)


SCRIPT = """
import os, signal, sys, time
from tests.e2e.test_data_workers import Tiny
from model.data.workers import WorkerPool
pool = WorkerPool(Tiny(stuck_at=2), 2, 4 * 3 * 32 * 32)
batches = pool.batches(0, 9)
next(batches)
{more}
print(*(worker.process.pid for worker in pool._workers), flush=True)
{end}
"""
FORK = "pid = os.fork()\nif not pid:\n    time.sleep(100)\n    os._exit(0)"
WAIT = "next(batches); next(batches)"


def started(end, more=""):
    """A script at its end, and the processes of its workers."""
    code = SCRIPT.format(end=end, more=more)
    script = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = script.stdout.readline().split()
    assert len(pids) == 2
    return script, [psutil.Process(int(pid)) for pid in pids]


def assert_gone(workers):
    """Ended; whether whoever inherited a process has buried it is not for us to say."""
    deadline = time.monotonic() + 20
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, f"still there: {workers}"
        time.sleep(0.05)


def is_alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def forks():
    """Processes to be ended with the test, however it ends."""
    found = []
    yield found
    for one in found:
        one.kill()


@pytest.mark.parametrize("more", ["", FORK], ids=["alone", "while-a-fork-holds-the-pipes"])
def test_killed_parent_leaves_no_worker(more, forks):
    script, workers = started(WAIT, more)
    assert all(is_alive(worker) for worker in workers)
    forks += [one for one in psutil.Process(script.pid).children() if one not in workers]
    assert len(forks) == bool(more)
    script.kill()
    script.wait()
    assert_gone(workers)


def test_end_without_close_leaves_no_worker():
    script, workers = started("sys.exit(3)")
    script.wait(20)
    assert script.returncode == 3
    assert_gone(workers)
    assert not script.communicate()[1]


def test_ctrl_c_is_for_the_parent_alone():
    script, workers = started(WAIT)
    os.killpg(script.pid, signal.SIGINT)
    told = script.communicate(timeout=20)[1]
    assert script.returncode == -signal.SIGINT
    assert told.count("KeyboardInterrupt") == 1
    assert_gone(workers)


def usage(pool):
    """Descriptors, threads and resident bytes of this process and of its workers."""
    found = [psutil.Process(), *(psutil.Process(one.process.pid) for one in pool._workers)]
    return np.array([(p.num_fds(), p.num_threads(), p.memory_info().rss) for p in found])


@pytest.mark.slow
def test_nothing_grows_over_200_epochs():
    with WorkerPool(Tiny(), 2, 4 * 3 * 32 * 32) as pool:
        children = len(psutil.Process().children(recursive=True))
        for epoch in range(200):
            seen = [batch.step for batch in pool.batches(epoch, 20)]
            assert seen == list(range(20))
            next(pool.batches(epoch, 20))  # and one that is dropped
            if epoch == 19:
                early = usage(pool)
        late = usage(pool)
        print(f"descriptors, threads, bytes after 20 and 200 epochs:\n{early}\n{late}")  # noqa: T201
        np.testing.assert_array_equal(late[:, :2], early[:, :2])
        assert (late[:, 2] - early[:, 2]).max() < 2**20
        assert len(psutil.Process().children(recursive=True)) == children
