"""The run folder: where each file lies, and the lock that keeps two commands apart."""

import fcntl
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from evolve.errors import StoreError
from evolve.store.shape import are_numbers, is_of
from model.files import write_atomically, write_text_atomically


@dataclass(frozen=True)
class TrialFolder:
    """Files of one trial."""

    path: Path

    @property
    def config(self) -> Path:
        """Resolved training configuration, YAML."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line, one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """Text log."""
        return self.path / "log.txt"

    @property
    def last(self) -> Path:
        """Checkpoint to continue from."""
        return self.path / "last.pt"

    @property
    def previous(self) -> Path:
        """The checkpoint before that, if the last one should be torn."""
        return self.path / "previous.pt"

    def checkpoint(self, epoch: int) -> Path:
        """Checkpoint after an epoch, kept for trials that go on from it."""
        return self.path / f"checkpoint-{epoch:05d}.pt"

    def drop_checkpoints(self, before: int | None = None) -> None:
        """Remove what only continuing needs; of kept checkpoints those before an epoch."""
        if before is None:
            self.last.unlink(missing_ok=True)
            self.previous.unlink(missing_ok=True)
        for path in self.path.glob("checkpoint-*.pt"):
            if before is None or path.name < self.checkpoint(before).name:
                path.unlink(missing_ok=True)

    def take_over(self, donor: "TrialFolder", epoch: int, number: int) -> None:
        """Go on as trial `number` from a kept checkpoint of another, with its epochs so far.

        Where the checkpoint is missing the trial begins anew. Doing it twice changes nothing.
        """
        rows = [row | {"number": number} for row in donor.read_metrics() if row["epoch"] <= epoch]
        write_text_atomically(self.metrics, "".join(map(to_line, rows)))
        self.drop_checkpoints()
        self.best.unlink(missing_ok=True)
        with suppress(FileNotFoundError), donor.checkpoint(epoch).open("rb") as source:
            write_atomically(self.last, lambda file: shutil.copyfileobj(source, file))

    @property
    def best(self) -> Path:
        """Weights of the epoch with the best objective."""
        return self.path / "best.pt"

    @property
    def detections(self) -> Path:
        """Detections on val after the last epoch."""
        return self.path / "detections.json.gz"

    def detections_on(self, split: str) -> Path:
        """Detections on a split after the last epoch."""
        return self.detections if split == "val" else self.path / f"detections-{split}.json.gz"

    def read_metrics(self) -> list[dict[str, Any]]:
        """Finished epochs, oldest first, up to the first line that is none, as a torn one."""
        try:
            text = self.metrics.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        rows = []
        for line in text.splitlines():
            try:
                row = from_line(line)
            except (ValueError, TypeError, RecursionError):
                break
            if not _is_epoch(row):
                break
            rows.append({"objective": math.nan, "metrics": {}} | row)
        return rows


def to_line(row: dict[str, Any]) -> str:
    """A row of metrics.jsonl; NaN, which JSON lacks, becomes null."""
    try:
        text = _ENCODER.encode(row)
    except ValueError:  # few rows have one
        text = _ENCODER.encode(_finite(row))
    return text + "\n"


def from_line(line: str) -> dict[str, Any]:
    """The row of a line of metrics.jsonl; ValueError or TypeError if it is none."""
    row = _DECODER.decode(line)
    if not isinstance(row, dict):
        raise TypeError("a row is a JSON object")
    return row


def _is_epoch(row: dict[str, Any]) -> bool:
    metrics = row.get("metrics", {})
    numbers = (row.get("epoch"), row.get("epochs", 0))
    if not all(is_of(number, (int,)) for number in numbers) or not isinstance(metrics, dict):
        return False
    return is_of(row.get("objective", 0), (int, float)) and are_numbers(metrics)


def _finite(value: Any) -> Any:
    """Copy with null for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(found: dict[str, Any]) -> dict[str, Any]:
    """One object of a line with NaN for null."""
    if None not in found.values():
        return found
    return {key: math.nan if value is None else value for key, value in found.items()}


_ENCODER = json.JSONEncoder(allow_nan=False)
_DECODER = json.JSONDecoder(object_hook=_with_nan)


@dataclass(frozen=True)
class ComparisonFolder:
    """Files of a comparison: rows, each trained with several seeds."""

    path: Path

    @property
    def plan(self) -> Path:
        """Rows with their configurations, seeds, and how they are judged."""
        return self.path / "comparison.json"

    @property
    def journal(self) -> Path:
        """What the driver did, in order."""
        return self.path / "journal.jsonl"

    def training(self, row: str, seed_index: int) -> TrialFolder:
        """Folder of the training of a row with one of the seeds; it need not exist."""
        return TrialFolder(self.path / row / str(seed_index))


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and the places in it."""

    path: Path

    @property
    def manifest(self) -> Path:
        """Resolved configuration, seeds, versions, data, hardware."""
        return self.path / "manifest.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the process that holds the run, and written when it took it."""
        return self.path / ".lock"

    @property
    def study(self) -> Path:
        """Optuna's SQLite file."""
        return self.path / "study.db"

    @property
    def journal(self) -> Path:
        """What the driver did, in order."""
        return self.path / "journal.jsonl"

    @property
    def halt(self) -> Path:
        """File that asks all trainings to stop."""
        return self.path / ".halt"

    @property
    def best_config(self) -> Path:
        """The winner as a training configuration."""
        return self.path / "best.yaml"

    @property
    def front(self) -> Path:
        """The non-dominated trials of a run with two objectives."""
        return self.path / "front.json"

    @property
    def front_configs(self) -> Path:
        """Folder of their training configurations."""
        return self.path / "front"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.path / "report"

    @property
    def report_note(self) -> Path:
        """What the report was made of, and its files, as digests; it may be deleted."""
        return self.path / "report.json"

    @property
    def findings(self) -> Path:
        """What took long to compute from the rest; it may be deleted."""
        return self.path / "findings.json"

    @property
    def measured(self) -> Path:
        """Latency and AP of its networks, measured for fronts; it may be deleted."""
        return self.path / "measured.json"

    @property
    def costs(self) -> Path:
        """What the networks of a table, or of a run with two objectives, cost; measured."""
        return self.path / "costs.json"

    def trial(self, number: int) -> TrialFolder:
        """Folder of a trial; it need not exist."""
        return TrialFolder(self.path / "trials" / f"{number:05d}")

    def comparison(self, name: str) -> ComparisonFolder:
        """Folder of a comparison; it need not exist."""
        return ComparisonFolder(self.path / name)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of an existing run.

        Raises
        ------
        StoreError
            If there is no run; runs beside it are named.
        """
        folder = cls(path)
        if folder.manifest.is_file():
            return folder
        siblings = path.parent if path.parent.is_dir() else Path()
        runs = sorted(str(p.parent) for p in siblings.glob("*/manifest.json"))
        what = "this folder holds no run" if path.is_dir() else "no such run folder"
        known = f"runs here: {', '.join(runs)}" if runs else "start one with 'evolve run'"
        raise StoreError(f"{what} (no manifest.json)", str(path), known)

    @classmethod
    def create(cls, path: Path) -> "RunFolder":
        """Make the folder, or take it if it is there.

        Raises
        ------
        StoreError
            If it cannot be made or written.
        """
        mend = "give another folder with --out"
        try:
            (path / "trials").mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            what = "a file stands where the run folder should be"
            raise StoreError(what, str(path), mend) from error
        except OSError as error:
            raise StoreError(
                f"the run folder cannot be made: {error.strerror}", str(path), mend
            ) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise StoreError("the run folder is not writable", str(path), mend)
        return cls(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; the system lets go when the process ends, however.

        Raises
        ------
        StoreError
            If another process holds it.
        """
        with self.lock_file.open("a+", encoding="utf-8") as file:
            if not _taken(file):
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StoreError(
                    f"this run is in use by another process (pid {holder})",
                    str(self.path),
                    "wait for it, stop it, or give another folder with --out",
                )
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def holder(self) -> int | None:
        """Process that holds the run, 0 if it does not say which; None if nobody does.

        Looking takes a shared lock for an instant, which `lock` waits out.
        """
        try:
            file = self.lock_file.open(encoding="utf-8")
        except OSError:  # never begun, or not ours to read
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdecimal() else 0
        return None

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON in one step, keys in the order given."""
        write_json(path, value)


def _taken(file: TextIO) -> bool:
    """Whether the file could be locked; who only looks at the lock holds it for an instant."""
    for wait_s in (0.0, 0.02, 0.1):
        time.sleep(wait_s)
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one step, keys in the order given."""
    write_text_atomically(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
