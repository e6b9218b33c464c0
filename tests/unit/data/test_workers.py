import gc
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from model.data import workers
from model.data.batch import Batch
from model.data.workers import WorkerError, WorkerPool
from model.errors import DataError

# Toy batches are told apart by (epoch, index); the pool does not look into `step`.


def toy(epoch, index):
    images = np.random.default_rng((epoch, index)).integers(0, 256, (2, 3, 4, 5), np.uint8)
    targets = np.full((index % 3, 6), epoch + index / 8, np.float32)
    return Batch(images, targets, step=(epoch, index))


@dataclass(frozen=True)
class Toy:
    fails_at: int = -1
    dies_at: int = -1
    error: Exception | None = None

    def make(self, epoch, index):
        if index == self.fails_at:
            raise self.error
        if index == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return toy(epoch, index)


class Awkward(Exception):  # noqa: N818
    """Does not survive pickling."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Picky:
    def make(self, epoch, index):
        raise Awkward(1, 2)


class Growing:
    """One image more in each batch, and none contiguous."""

    def make(self, epoch, index):
        images = np.full((3, 2, 2, index + 1), index, np.uint8).T
        return Batch(images, np.zeros((0, 6), np.float32), step=index)


class Uneven:
    """Even indices are slow."""

    def make(self, epoch, index):
        time.sleep(0.02 * (index % 2 == 0))
        return toy(epoch, index)


class Sleeper:
    """Writes its process id, and sleeps for good on index 1."""

    def __init__(self, folder):
        self.folder = folder

    def make(self, epoch, index):
        (self.folder / str(os.getpid())).touch()
        if index == 1:
            time.sleep(1000)
        return toy(epoch, index)


class Surroundings:
    """What a worker sees of its process, as targets."""

    def make(self, epoch, index):
        blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        row = (os.getpid(), "torch" in sys.modules, blocked, cv2.getNumThreads(), 0, 0)
        return Batch(np.zeros((1, 3, 1, 1), np.uint8), np.array([row], np.float32), step=None)


class Lame:
    def __setstate__(self, state):
        raise DataError("no legs", "lame")

    def __getstate__(self):
        return {"some": 1}


def same(batches, epoch, count, start=0):
    """Check as they come: the images are lent only."""
    seen = start
    for batch in batches:
        wanted = toy(epoch, seen)
        np.testing.assert_array_equal(batch.images, wanted.images)
        np.testing.assert_array_equal(batch.targets, wanted.targets)
        assert batch.images.dtype == np.uint8
        assert batch.images.flags.c_contiguous
        assert batch.targets.dtype == np.float32
        assert batch.step == (epoch, seen)
        seen += 1
    assert seen == count


@pytest.fixture(scope="module")
def running():
    """A pool that only tests use which leave it whole."""
    with WorkerPool(Toy(), 2, 120) as pool:
        yield pool


@pytest.fixture(scope="module")
def failing():
    with WorkerPool(Toy(fails_at=5, error=DataError("torn", "a.png", "mend it")), 2, 120) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_batches_are_the_same_with_any_number_of_workers(count):
    with WorkerPool(Toy(), count, 120) as pool:
        for epoch, length in ((0, 30), (1, 1), (2, 0), (7, 17)):
            same(pool.batches(epoch, length), epoch, length)


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 2])
def test_batches_begin_where_they_are_asked_to(count, tmp_path):
    with WorkerPool(Toy(), count, 120) as pool:
        for start in (0, 1, 16, 17):
            same(pool.batches(7, 17, start), 7, 17, start)
        same(pool.batches(8, 5), 8, 5)


@pytest.mark.slow
def test_order_is_kept_where_some_batches_take_longer():
    with WorkerPool(Uneven(), 2, 120) as pool:
        same(pool.batches(3, 15), 3, 15)


@pytest.mark.parametrize("taken", [0, 1, 4])
def test_dropped_iterator_leaves_the_next_epoch_right(running, taken):
    for epoch in range(4):
        dropped = running.batches(epoch, 40)
        same(islice(dropped, taken), epoch, taken)
        dropped.close()
    same(running.batches(9, 11), 9, 11)


def test_iterator_that_is_forgotten_or_never_begun(running):
    running.batches(1, 40)
    next(running.batches(2, 40))
    same(running.batches(3, 11), 3, 11)


def test_later_call_ends_the_earlier_iterator(running):
    earlier = running.batches(1, 40)
    next(earlier)
    unbegun = running.batches(1, 40)
    later = running.batches(2, 11)
    same(islice(later, 3), 2, 3)
    for ended in (earlier, unbegun):
        with pytest.raises(RuntimeError, match=r"ended by a later call"):
            next(ended)
    same(later, 2, 11, start=3)


def test_batch_at_hand_is_not_overwritten_while_more_are_made(running):
    batches = running.batches(5, 40)
    first = next(batches)
    while any(worker.unanswered for worker in running._workers):
        running._receive(1.0)
    np.testing.assert_array_equal(first.images, toy(5, 0).images)
    assert first.images.flags.writeable
    batches.close()


def test_pool_may_move_to_another_thread(running):
    faults = []

    def use():
        try:
            same(running.batches(4, 12), 4, 12)
        except AssertionError as error:
            faults.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert not faults


def test_waiting_is_summed_up(running):
    running.waited_s = 0.0
    same(running.batches(0, 3), 0, 3)
    assert running.waited_s > 0.0


@pytest.mark.parametrize("epoch", [0, 1])
def test_error_of_the_maker_arrives_in_its_place(failing, epoch):
    batches = failing.batches(epoch, 20)
    same(islice(batches, 5), epoch, 5)
    with pytest.raises(DataError, match=r"torn\n  at   a\.png\n  mend mend it") as caught:
        next(batches)
    assert caught.value.args == ("torn", "a.png", "mend it")
    assert "in make" in caught.value.__notes__[0]
    same(failing.batches(epoch, 5), epoch, 5)


def test_error_without_workers_is_the_same_error():
    pool = WorkerPool(Toy(fails_at=2, error=DataError("torn")), 0, 120)
    batches = pool.batches(0, 9)
    same(islice(batches, 2), 0, 2)
    with pytest.raises(DataError, match=r"torn"):
        next(batches)


@pytest.mark.slow
def test_error_that_does_not_pickle_comes_as_words():
    with WorkerPool(Picky(), 1, 120) as pool, pytest.raises(DataError, match=r"Awkward: 1 and 2"):
        next(pool.batches(0, 1))


@pytest.mark.slow
def test_batches_of_several_sizes_and_one_too_large():
    with WorkerPool(Growing(), 2, 12 * 5) as pool:
        batches = pool.batches(0, 6)
        for index, batch in enumerate(islice(batches, 5)):
            assert batch.images.shape == (index + 1, 2, 2, 3)
            assert (batch.images == index).all()
            assert batch.images.flags.c_contiguous
        with pytest.raises(ValueError, match=r"images of 72 bytes for slots of 60"):
            next(batches)


@pytest.mark.slow
def test_maker_that_cannot_be_read_by_the_worker():
    with WorkerPool(Lame(), 2, 120) as pool:
        with pytest.raises(DataError, match=r"no legs"):
            next(pool.batches(0, 4))
        with pytest.raises(RuntimeError, match=r"pool of data workers is closed"):
            pool.batches(0, 4)


def test_maker_that_does_not_pickle_starts_nothing():
    before = children()
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"lambda"):
        WorkerPool(lambda: None, 2, 120)
    assert children() == before


@pytest.mark.slow
def test_worker_has_no_torch_one_thread_and_no_interest_in_ctrl_c():
    with WorkerPool(Surroundings(), 1, 120) as pool:
        (batch,) = pool.batches(0, 1)
        process, torch, blocked, threads = batch.targets[0, :4].tolist()
        assert process != os.getpid()
        assert (torch, blocked, threads) == (0, 1, 1)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def children():
    gc.collect()
    return {process.pid for process in psutil.Process().children(recursive=True)}


def descriptors():
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_killed_worker_is_an_error_at_once(tmp_path):
    before = children()
    pool = WorkerPool(Sleeper(tmp_path), 2, 120)
    batches = pool.batches(0, 9)
    next(batches)
    victim = min(children() - before)
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(WorkerError, match=rf"killed \(signal 9\)\n  at   process {victim}\n") as e:
        for _ in batches:
            pass
    assert "lower data.workers or data.cache_mb" in e.value.mend
    assert type(pickle.loads(pickle.dumps(e.value))) is WorkerError
    assert children() == before
    with pytest.raises(RuntimeError, match=r"pool of data workers is closed"):
        pool.batches(1, 9)


@pytest.mark.slow
def test_worker_killed_between_epochs_is_an_error_too():
    with WorkerPool(Toy(dies_at=3), 2, 120) as pool:
        same(pool.batches(0, 3), 0, 3)
        with pytest.raises(WorkerError, match=r"killed \(signal 9\)"):
            list(pool.batches(1, 4))


@pytest.mark.slow
def test_killed_worker_whose_pipe_another_process_has_inherited(monkeypatch):
    copies, start = [], workers._start_process

    def start_and_keep(connection, letter):
        copies.append(os.dup(connection))
        return start(connection, letter)

    monkeypatch.setattr(workers, "_start_process", start_and_keep)
    with (
        WorkerPool(Toy(dies_at=3), 1, 120) as pool,
        pytest.raises(WorkerError, match=r"killed \(signal 9\)"),
    ):
        list(pool.batches(0, 4))
    os.close(copies[0])


@pytest.mark.slow
def test_close_interrupts_a_worker_and_ends_an_iterator(tmp_path):
    before, held = children(), descriptors()
    pool = WorkerPool(Sleeper(tmp_path), 2, 120)
    batches = pool.batches(0, 9)
    next(batches)
    pool.close()
    pool.close()
    assert children() == before
    with pytest.raises(RuntimeError, match=r"pool of data workers is closed"):
        next(batches)
    del pool, batches
    assert descriptors() == held


@pytest.mark.slow
def test_lost_pool_stops_its_workers(tmp_path):
    before, held = children(), descriptors()
    next(WorkerPool(Sleeper(tmp_path), 2, 120).batches(0, 9))
    assert children() == before
    assert descriptors() == held


@pytest.mark.slow
def test_end_of_a_forked_copy_leaves_the_workers(running):
    child = os.fork()
    if not child:
        running.close()
        os._exit(0)
    os.waitpid(child, 0)
    same(running.batches(6, 11), 6, 11)
