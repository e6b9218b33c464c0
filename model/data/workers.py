"""Mini-batches made ahead by processes, in order and the same as without them."""

import mmap
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, NamedTuple, NoReturn, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from model.data._shared import SharedPages
from model.data.batch import Batch
from model.errors import DataError

_LOOK_S = 1.0  # between two looks at whether the other side lives, should its pipe not tell
_STOP_S = 2.0  # for a killed worker to be gone
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_START = (
    "import sys; sys.path[:] = sys.argv[4:]; from model.data.workers import serve; "
    "serve(*map(int, sys.argv[1:4]))"
)


class BatchMaker(Protocol):
    """Makes the mini-batches of a training, in whichever process it is asked to.

    It pickles, its module can be imported without torch, and what it makes depends on its own
    values and on the arguments alone: not on what was asked before, nor on the process.
    """

    def make(self, epoch: int, index: int) -> Batch:
        """Mini-batch `index` of an epoch, both counted from 0."""


class WorkerError(DataError):
    """A process that prepares mini-batches has died."""


class WorkerPool:
    """Processes that make mini-batches ahead, epoch after epoch.

    They are started by command: a fork would not survive the threads of torch and Ray, and
    multiprocessing imports the main program again in each, which in a Ray worker is all of Ray.
    Each keeps to one thread, leaves Ctrl-C to this process, and ends when it ends, in whatever
    way. `close` stops them, and so do the loss of the pool and the end of the interpreter.

    Images come through a ring of ``2 * workers + 2`` slots of shared memory. The pool serves one
    thread at a time.

    Parameters
    ----------
    maker : BatchMaker
    workers : int
        Processes; 0 makes each mini-batch here, when it is asked for.
    slot_bytes : int
        Size of the images of the largest mini-batch.

    Attributes
    ----------
    waited_s : float
        Seconds the consumer has waited for mini-batches since this was last set to 0.
    """

    def __init__(self, maker: BatchMaker, workers: int, slot_bytes: int) -> None:
        self.waited_s = 0.0
        self._maker = maker
        self._turn = 0  # counts the calls of `batches`, and their ends
        self._epoch = 0
        self._ahead: Iterator[int] = iter(())
        self._done: dict[int, _Reply] = {}
        self._lent: list[int] = []
        self._workers: list[_Worker] = []
        self.close = weakref.finalize(self, _stop, self._workers)
        if workers:
            slots = 2 * workers + 2
            self._ring = _Ring(slots, slot_bytes)
            self._free = deque(range(slots))
            _start(self._workers, workers, (maker, self._ring))

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batches(self, epoch: int, count: int, start: int = 0) -> Generator[Batch]:
        """make(epoch, start) to make(epoch, count - 1) in this order; work begins with this call.

        The images of a mini-batch are valid until the next one is asked for, or until `batches`
        is called again: that ends an iterator that is not used up.

        Raises
        ------
        WorkerError
            If a worker died; the pool is closed then.
        Exception
            Whatever `make` raised, in its place; another epoch may be asked for after it.
        """
        self._check_open(self._turn)
        wanted = range(start, count)
        self._begin(epoch, wanted)
        return self._in_order(self._turn, epoch, wanted)

    def _check_open(self, turn: int) -> None:
        if not self.close.alive:
            raise RuntimeError("the pool of data workers is closed")
        if turn != self._turn:
            raise RuntimeError("these mini-batches were ended by a later call of batches")

    def _in_order(self, turn: int, epoch: int, wanted: range) -> Generator[Batch]:
        try:
            for index in wanted:
                self._check_open(turn)
                started = time.perf_counter()
                batch = self._take(index) if self._workers else self._maker.make(epoch, index)
                self.waited_s += time.perf_counter() - started
                yield batch
        finally:
            if turn == self._turn and self.close.alive:
                self._begin(epoch, range(0))

    def _begin(self, epoch: int, wanted: range) -> None:
        """Want these and no others; what is under way for others comes back as stale."""
        self._turn += 1
        self._epoch = epoch
        self._ahead = iter(wanted)
        if self._workers:
            self._ring.turn[0] = self._turn
            self._free += [reply.slot for reply in self._done.values()]
            self._done.clear()
            self._take_back()
            self._ask()

    def _take(self, index: int) -> Batch:
        self._take_back()
        self._receive(0.0)
        while index not in self._done:
            self._receive(_LOOK_S)
        reply = self._done.pop(index)
        self._lent.append(reply.slot)
        if isinstance(reply.result, Exception):
            raise reply.result
        images = self._ring.images(reply.slot, reply.shape)
        batch: Batch = replace(reply.result, images=images)
        return batch

    def _take_back(self) -> None:
        self._free += self._lent
        self._lent.clear()

    def _ask(self) -> None:
        """Hand out work while there are slots, to whoever has least."""
        while self._free and (index := next(self._ahead, None)) is not None:
            worker = min(self._workers, key=lambda one: one.unanswered)
            request = _Request(self._turn, self._epoch, index, self._free.popleft())
            try:
                worker.connection.send(request)
            except OSError:
                self._lose(worker)
            worker.unanswered += 1

    def _receive(self, timeout_s: float) -> None:
        """Take in what the workers have sent, waiting for the first, and hand out more."""
        ready = wait([worker.connection for worker in self._workers], timeout_s)
        for worker in self._workers:
            if worker.connection in ready:
                self._file(worker, self._read(worker))
            elif worker.process.poll() is not None and not worker.connection.poll():
                self._lose(worker)  # and a forked process keeps its pipe open
        self._ask()

    def _read(self, worker: "_Worker") -> "_Reply":
        try:
            reply = worker.connection.recv()
        except (EOFError, OSError):
            self._lose(worker)
        if isinstance(reply, Exception):  # it could not even begin
            self.close()
            raise reply
        assert isinstance(reply, _Reply)
        return reply

    def _file(self, worker: "_Worker", reply: "_Reply") -> None:
        worker.unanswered -= 1
        if reply.turn == self._turn:
            self._done[reply.number] = reply
        else:
            self._free.append(reply.slot)

    def _lose(self, worker: "_Worker") -> NoReturn:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(_STOP_S)
        self.close()
        raise WorkerError(
            f"a data worker {_how_ended(worker.process.returncode)}",
            f"process {worker.process.pid}",
            "if the memory ran out, lower data.workers or data.cache_mb",
        )


class _Request(NamedTuple):
    turn: int
    epoch: int
    number: int
    slot: int


class _Reply(NamedTuple):
    turn: int
    number: int
    slot: int
    result: Any  # a Batch without its images, what `make` raised, or None if it came too late
    shape: tuple[int, ...]


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    unanswered: int = 0


class _Ring:
    """Slots for images, and the number of the present turn before them."""

    def __init__(self, slots: int, slot_bytes: int) -> None:
        self._slot_bytes = slot_bytes
        self._step = -(-slot_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self._pages = SharedPages(mmap.PAGESIZE + slots * self._step)
        self._map()

    def _map(self) -> None:
        self._bytes = np.frombuffer(self._pages.map(writable=True), np.uint8)
        self.turn = self._bytes[:8].view(np.int64)

    def images(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A slot's memory as images; it stays while the array is held."""
        start = mmap.PAGESIZE + slot * self._step
        return self._bytes[start : start + int(np.prod(shape))].reshape(shape)

    def put(self, slot: int, images: NDArray[np.uint8]) -> None:
        """Copy images into a slot."""
        if images.nbytes > self._slot_bytes:
            raise ValueError(f"images of {images.nbytes} bytes for slots of {self._slot_bytes}")
        np.copyto(self.images(slot, images.shape), images, casting="no")

    def __getstate__(self) -> tuple[int, int, SharedPages]:
        return self._slot_bytes, self._step, self._pages

    def __setstate__(self, state: tuple[int, int, SharedPages]) -> None:
        self._slot_bytes, self._step, self._pages = state
        self._map()


def _start(workers: list[_Worker], count: int, job: tuple[BatchMaker, _Ring]) -> None:
    """Add `count` processes, which read their job while this one goes on."""
    letter = pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
    pages = SharedPages(len(letter))
    with pages.map(writable=True) as memory:
        memory[:] = letter
    for _ in range(count):
        ours, theirs = Pipe()
        with theirs:
            workers.append(_Worker(_start_process(theirs.fileno(), pages.descriptor), ours))
    pages.close()


def _start_process(connection: int, letter: int) -> subprocess.Popen[bytes]:
    numbers = (connection, letter, os.getpid())
    # Blocked signals stay blocked in what is started, from its first instruction on.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, numbers), *map(str, sys.path)],
            stdin=subprocess.DEVNULL,
            pass_fds=(connection, letter),
            env={**os.environ, **_ONE_THREAD},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(workers: list[_Worker]) -> None:
    """Kill them all: they hold nothing that a kill could spoil.

    In a forked copy of this process they are no children, so Popen leaves them alone.
    """
    for worker in workers:
        worker.process.kill()
        worker.connection.close()
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(_STOP_S)


def _how_ended(code: int | None) -> str:
    if code is None:
        return "does not answer"
    if code < 0:
        return f"was killed (signal {-code})"
    return f"ended (exit code {code})"


def serve(connection_fd: int, letter_fd: int, parent: int) -> None:
    """Life of a worker: answer requests until the process `parent` is gone.

    Parameters
    ----------
    connection_fd : int
        Descriptor of the pipe to the pool.
    letter_fd : int
        Descriptor of a file with the pickled maker and ring.
    parent : int
        Id of the process that owns the pool.
    """
    cv2.setNumThreads(0)
    connection = Connection(connection_fd)
    requests: SimpleQueue[_Request] = SimpleQueue()
    listener = (connection, requests, parent)
    threading.Thread(target=_listen, args=listener, daemon=True).start()
    with suppress(OSError):  # the pool is gone
        try:
            maker, ring = _read_letter(letter_fd)
        except Exception as error:
            connection.send(_portable(error))
            return
        while True:
            connection.send(_answer(maker, ring, requests.get()))


def _listen(connection: Connection, requests: SimpleQueue[_Request], parent: int) -> None:
    """Queue what the pool asks, and end the process with the parent, even amid a mini-batch."""
    with suppress(EOFError, OSError):
        while os.getppid() == parent:  # else a forked process may keep the pipe open
            if connection.poll(_LOOK_S):
                requests.put(connection.recv())
    os._exit(0)


def _read_letter(descriptor: int) -> tuple[BatchMaker, _Ring]:
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as letter:
        os.close(descriptor)
        maker, ring = pickle.loads(letter)
    return maker, ring


def _answer(maker: BatchMaker, ring: _Ring, request: _Request) -> _Reply:
    turn, epoch, number, slot = request
    if turn != ring.turn[0]:
        return _Reply(turn, number, slot, None, ())
    try:
        batch = maker.make(epoch, number)
        ring.put(slot, batch.images)
    except Exception as error:
        return _Reply(turn, number, slot, _portable(error), ())
    bare = replace(batch, images=batch.images[:0])
    return _Reply(turn, number, slot, bare, batch.images.shape)


def _portable(error: Exception) -> Exception:
    """The error, or one with its words if it does not pickle; its traceback becomes a note."""
    note = "In a data worker:\n" + "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = DataError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error
