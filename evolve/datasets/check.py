"""All that is wrong with a data set, and what a training or an import makes of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.datasets.box_checks import box_findings
from evolve.datasets.class_checks import class_findings, image_findings
from evolve.datasets.clean import clean
from evolve.datasets.findings import OUTCOMES, Finding, Outcome
from evolve.datasets.formats import coco
from evolve.datasets.label_checks import label_findings
from evolve.datasets.picture_checks import alike_findings, picture_findings, probe_entries
from evolve.datasets.raw import RawDataset
from evolve.datasets.read import read_raw
from evolve.datasets.training_outcome import ids_not_whole, of_training
from model.data.coco import load_dataset
from model.errors import DataError

Tell = Callable[[int, int], object]


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes
    ----------
    path : Path
    format, reason : str
        What the data were read as, and why; empty if they could not be read.
    is_trained_as_it_is : bool
        Outcomes are those of a training; otherwise those of ``evolve data import``.
    images, boxes : mapping of str -> int
        By split, of what is left; a crowd is no box.
    findings : tuple of Finding
        The worst first, those of a kind together.
    """

    path: Path
    format: str
    reason: str
    is_trained_as_it_is: bool
    images: Mapping[str, int]
    boxes: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[Outcome, int]:
        """Findings by outcome."""
        counted = Counter(found.outcome for found in self.findings)
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    @property
    def by_kind(self) -> list[tuple[Finding, ...]]:
        """Findings of one outcome and kind together, in order."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for found in self.findings:
            groups.setdefault((found.outcome, found.kind), []).append(found)
        return [tuple(group) for group in groups.values()]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        names = ("kind", "outcome", "split", "file", "item", "what", "mend")
        return {
            "path": str(self.path),
            "format": self.format,
            "reason": self.reason,
            "outcomes_of": "training" if self.is_trained_as_it_is else "import",
            "images": dict(self.images),
            "boxes": dict(self.boxes),
            "counts": self.counts,
            "findings": [{name: getattr(one, name) for name in names} for one in self.findings],
        }


def check_data(
    path: Path,
    format: str | None = None,
    *,
    seed: int = 0,
    processes: int | None = None,
    weights: Path | None = None,
    tell: Tell = lambda _done, _total: None,
) -> Check:
    """Look at all of a data set; every picture is decoded once.

    Parameters
    ----------
    path, format, seed
        As for `read.read_raw`.
    processes : int, optional
        That decode pictures; default: one for each core.
    weights : Path, optional
        Of a detector that is asked whether labels look forgotten; see `label_checks`.
    tell : callable
        Called with the number of pictures that are done, and of all.

    Returns
    -------
    Check
        Data that cannot be read at all give one finding, of the kind ``refused``.
    """
    try:
        raw = read_raw(path, format, seed=seed)
    except DataError as error:
        return Check(path, format or "", "", True, {}, {}, (_refused(error),))
    is_trained = raw.format == coco.NAME
    cleaned = clean(raw)
    findings = [of_training(found) if is_trained else found for found in cleaned.findings]
    if is_trained:
        findings += ids_not_whole(raw)
    broken: Outcome = "error" if is_trained else "dropped"
    findings += _of_pictures(cleaned.raw, broken, processes, tell)
    for theme in (box_findings, class_findings, image_findings):
        findings += theme(cleaned.raw)
    if weights is not None:
        total = sum(map(len, cleaned.raw.splits.values()))
        findings += label_findings(cleaned.raw, weights, tell=lambda done: tell(done, total))
    if is_trained and all(found.outcome != "error" for found in findings):
        findings += _of_loading(path, seed)
    return Check(
        path, raw.format, raw.reason, is_trained, *_counted(cleaned.raw), _in_order(findings)
    )


def _of_pictures(
    raw: RawDataset, broken: Outcome, processes: int | None, tell: Tell
) -> list[Finding]:
    entries, probes = probe_entries(raw, processes, tell)
    found = list(picture_findings(entries, probes, broken))
    return found + list(alike_findings(entries, probes))


def _of_loading(path: Path, seed: int) -> list[Finding]:
    """What a training refuses, if no fault by itself tells of it."""
    try:
        load_dataset(path, seed=seed)
    except DataError as error:
        return [_refused(error)]
    return []


def _refused(error: DataError) -> Finding:
    return Finding("refused", "error", "", error.where, "", error.what, error.mend)


def _counted(raw: RawDataset) -> tuple[dict[str, int], dict[str, int]]:
    images = {split: len(part) for split, part in raw.splits.items()}
    boxes = {
        split: sum(not box.is_crowd for image in part for box in image.boxes)
        for split, part in raw.splits.items()
    }
    return images, boxes


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """The worst outcome first, then leaks, then the kinds as they were first met."""
    met = {kind: place for place, kind in enumerate(dict.fromkeys(f.kind for f in findings))}

    def rank(found: Finding) -> tuple[int, bool, int]:
        is_leak = found.kind.startswith("leak-")
        return OUTCOMES.index(found.outcome), not is_leak, met[found.kind]

    return tuple(sorted(findings, key=rank))
