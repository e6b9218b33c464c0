"""One trial: its folder, its epochs, and what became of it.

`run_trial` is what an engine iterates, in whatever process: it trains, writes the trial's files
and yields one plain dictionary an epoch. A failure is yielded as a typed last word instead of
being raised, so that the process can go on to the next trial.
"""

import errno
import fcntl
import logging
import os
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TextIO

import yaml

from evolve.engine.board import Board
from evolve.engine.interrupt import Lookout
from evolve.engine.trainers import Report, get_trainer
from evolve.errors import TrialError
from evolve.store.folder import TrialFolder, to_line
from model.config import TrainConfig
from model.data.workers import WorkerError
from model.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    Diverged,
    Halted,
    ModelError,
)
from model.files import link_or_copy, write_text_atomically
from model.halt import Halt

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY_S = float(os.environ.get("EVOLVE_CHECKPOINT_EVERY_S", "20"))
LOCK_WAIT_S = 120.0  # a network file system keeps the lock of a lost machine for a while
LOG_LINES_KEPT = 20
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@dataclass(frozen=True)
class TrialTask:
    """All that a process needs to run one trial; plain values, so it travels anywhere.

    Attributes
    ----------
    number : int
    folder, data : str
        Paths.
    config : dict
        Resolved `TrainConfig`.
    objective : str
        Metric that is maximised.
    trainer : str
        Name in `evolve.engine.trainers`.
    data_seed : int
        Seed of the split of a single annotations file.
    threads : int
        Threads of torch and OpenCV.
    judged_on : str
        Split that the last epoch's weights are measured on beside val, which alone gives the
        objective; empty for none. Its metrics have its name before theirs, as in ``test/AP``.
    halt_file : str
        While there is such a file, the training writes a checkpoint and stops; empty for none.
    pauses : tuple of int
        Epochs after which it may be paused: a checkpoint is there before they are told.
    keeps : bool
        Whether these checkpoints are kept, for other trials to go on from.
    alone : bool
        Whether it needs all of a device.
    """

    number: int
    folder: str
    config: dict[str, Any]
    data: str
    objective: str
    trainer: str
    data_seed: int
    threads: int
    judged_on: str = ""
    halt_file: str = ""
    pauses: tuple[int, ...] = ()
    keeps: bool = False
    alone: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary."""
        return asdict(self)


def run_trial(task: TrialTask) -> Generator[dict[str, Any]]:
    """Run a trial, continuing it if it was interrupted.

    Yields
    ------
    dict
        After each epoch: number, epoch, epochs, objective (NaN where there is none), metrics,
        class_ap, time (Unix seconds). A last one with `failure` (type, what, where, mend, log)
        in place of the metrics, if the trial failed, or with `halted` if it was asked to stop;
        nothing follows it.
    """
    folder = TrialFolder(Path(task.folder))
    folder.path.mkdir(parents=True, exist_ok=True)
    _limit_threads(task)
    try:
        with TrialLock(folder) as lock, _logging_to(folder.log):
            for row in _epochs(task, folder):
                # whoever continues a paused trial may do so while this process still waits
                with lock.let_go(row["epoch"] in task.pauses):
                    yield row
    except Halted as halted:
        yield {"number": task.number, "halted": halted.what}
    except Exception as error:  # every failure of a trial gets its type here
        yield {"number": task.number, "failure": describe_failure(error, folder)}


def _limit_threads(task: TrialTask) -> None:
    if task.trainer == "curve":  # it computes nothing; the import of torch would cost seconds
        return
    import cv2
    import torch

    torch.set_num_threads(task.threads)
    cv2.setNumThreads(0 if task.threads == 1 else task.threads)


def _epochs(task: TrialTask, folder: TrialFolder) -> Iterator[dict[str, Any]]:
    config = TrainConfig.model_validate(task.config)
    write_text_atomically(folder.config, yaml.safe_dump(task.config, sort_keys=False))
    stored = folder.read_metrics()
    if stored and stored[-1]["epoch"] == config.epochs:
        yield stored[-1]  # finished, but the store was not told
        return
    reports = _start(task, folder, config)
    with _Records(task, folder, stored) as records:
        for report in reports:
            yield records.add(report)


def _start(task: TrialTask, folder: TrialFolder, config: TrainConfig) -> Iterator[Report]:
    """Reports from the last checkpoint on, or from the start where it is missing or torn."""
    trainer = get_trainer(task.trainer)
    halt = Halt(Lookout(Path(task.halt_file)), folder.last) if task.halt_file else None
    resumes = [path for path in (folder.last, folder.previous) if path.is_file()]
    for resume in (*resumes, None):
        reports = trainer(
            config, Path(task.data), data_seed=task.data_seed, resume=resume, halt=halt
        )
        try:
            first = next(reports)
        except CheckpointError as error:
            if resume is None:  # not ours, but one that the configuration names
                raise
            logger.warning("trial=%d cannot go on from %s: %s", task.number, resume.name,
                           error.what)  # fmt: skip
            continue
        logger.info("trial=%d begins with epoch=%d", task.number, first.epoch)
        yield first
        yield from reports
        return


class _Records:
    """Writer of a trial's growing files.

    Order matters for a kill at any moment: an epoch's line is on disk before a checkpoint that
    covers it, and the last epoch's weights and detections are there before its line.
    """

    def __init__(self, task: TrialTask, folder: TrialFolder, stored: list[dict[str, Any]]) -> None:
        self.task, self.folder, self.stored = task, folder, stored
        self.best = float("-inf")
        self.saved_at = time.monotonic()
        self.file: TextIO | None = None
        self.board: Board | None = None

    def __enter__(self) -> "_Records":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()
        if self.board is not None:
            self.board.close()

    def _open(self, first_epoch: int) -> TextIO:
        """Open the files with the epochs before `first_epoch`; later ones are made anew."""
        kept = [row for row in self.stored if row["epoch"] < first_epoch]
        if self.folder.best.is_file():
            self.best = max((row["objective"] for row in kept), default=self.best)
        write_text_atomically(self.folder.metrics, "".join(map(to_line, kept)))
        self.board = Board(self.folder.path)
        for row in kept:
            self.board.draw(row)
        return self.folder.metrics.open("a", encoding="utf-8")

    def add(self, report: Report) -> dict[str, Any]:
        """Record an epoch; its row."""
        self.file = self.file or self._open(report.epoch)
        row = self._row(report)
        last = report.epoch == report.epochs
        if row["objective"] > self.best:
            self.best = row["objective"]
            report.save_weights(self.folder.best)
        if last:
            report.save_detections(self.folder.detections)
            row["metrics"] |= self._judged(report)
        self.file.write(to_line(row))
        self.file.flush()
        pauses = report.epoch in self.task.pauses
        if last or pauses or time.monotonic() - self.saved_at > CHECKPOINT_EVERY_S:
            os.fsync(self.file.fileno())
            self._save(report, last=last, keep=pauses and self.task.keeps)
        assert self.board is not None
        self.board.draw(row)
        name, value = self.task.objective, row["objective"]
        place = f"trial={row['number']} epoch={row['epoch']} of {row['epochs']}"
        waited = report.metrics.get("wait_share")
        share = "" if waited is None else f" waiting_for_data={100 * waited:.1f}%"
        logger.info("%s %s=%.4f%s", place, name, value, share)
        return row

    def _save(self, report: Report, *, last: bool, keep: bool) -> None:
        """Write the checkpoint; the one before is kept until the training has ended."""
        folder = self.folder
        if folder.last.is_file() and not last:
            folder.last.replace(folder.previous)
        # nothing continues a finished trial: its weights are enough
        (report.save_weights if last else report.save)(folder.last)
        if last:
            folder.previous.unlink(missing_ok=True)
        if keep:
            link_or_copy(folder.last, folder.checkpoint(report.epoch))
        self.saved_at = time.monotonic()

    def _judged(self, report: Report) -> dict[str, float]:
        """Metrics on the split that only a comparison may see."""
        split = self.task.judged_on
        if not split:
            return {}
        metrics = report.measure_on(split, self.folder.detections_on(split))
        return {f"{split}/{name}": value for name, value in metrics.items()}

    def _row(self, report: Report) -> dict[str, Any]:
        return {
            "number": self.task.number,
            "epoch": report.epoch,
            "epochs": report.epochs,
            "objective": float(report.metrics.get(self.task.objective, float("nan"))),
            "metrics": dict(report.metrics),
            "class_ap": dict(report.class_ap),
            "time": time.time(),
        }


class TrialLock:
    """Keeps a trial's folder to one process; a killed one lets go by its end.

    Parameters
    ----------
    folder : TrialFolder
    """

    def __init__(self, folder: TrialFolder) -> None:
        self._path = folder.path / ".lock"

    def __enter__(self) -> Self:
        self._file = self._path.open("a", encoding="utf-8")
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _take(self) -> None:
        """Wait until no process of an earlier, killed run works here any more."""
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise TrialError(
                        "another process works on this trial",
                        str(self._path.parent),
                        "let it end, or end it, then go on with 'evolve resume'",
                    ) from error
                time.sleep(0.1)
            else:
                return

    @contextmanager
    def let_go(self, wanted: bool) -> Iterator[None]:
        """Give up the folder for a while, if that is wanted."""
        if wanted:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        yield
        if wanted:
            self._take()


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Copy the log of evolve and model to a file while a trial runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    ours = [logging.getLogger(name) for name in ("evolve", "model")]
    levels = [one.level for one in ours]
    for one in ours:
        one.addHandler(handler)
        one.setLevel(logging.INFO)
    try:
        yield
    finally:
        for one, level in zip(ours, levels, strict=True):
            one.removeHandler(handler)
            one.setLevel(level)
        handler.close()


def failure_type(error: BaseException) -> str:
    """One word for the kind of failure: one of `failures.POLICIES`."""
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, WorkerError):
        return "killed"
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
        return "oom"  # torch on the CPU
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return "disk"
    return "error"


def describe_failure(error: Exception, folder: TrialFolder) -> dict[str, Any]:
    """Type, words and last log lines of a failure; the traceback goes into the log file."""
    kind, text = failure_type(error), "".join(traceback.format_exception(error))
    bad_input = isinstance(error, (ConfigurationError, DataError)) and kind != "killed"
    try:
        with folder.log.open("a", encoding="utf-8") as log:
            log.write(text)
        tail = folder.log.read_text(encoding="utf-8").splitlines()[-LOG_LINES_KEPT:]
    except OSError:  # the disk may be what failed
        tail = text.splitlines()[-LOG_LINES_KEPT:]
    if not isinstance(error, ModelError):
        error = TrialError(f"{type(error).__name__}: {error}")
    return {
        "type": kind,
        "what": error.what,
        "where": error.where,
        "mend": error.mend,
        "log": tail,
        "bad_input": bad_input,
    }
