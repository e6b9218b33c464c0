"""A cleaned data set without the pictures that no training can decode."""

from collections.abc import Callable
from dataclasses import replace

from evolve.datasets.clean import Cleaned
from evolve.datasets.picture_checks import BROKEN, picture_findings, probe_entries

Tell = Callable[[int, int], object]


def without_undecodable(
    cleaned: Cleaned,
    *,
    processes: int | None = None,
    tell: Tell = lambda _done, _total: None,
) -> Cleaned:
    """Decode every picture once and leave out those that are cut short or broken.

    Parameters
    ----------
    cleaned : Cleaned
    processes : int, optional
        That decode; default: one for each core.
    tell : callable
        Called with the number of pictures that are done, and of all.

    Raises
    ------
    EvolveError
        If a process died.
    """
    raw = cleaned.raw
    entries, probes = probe_entries(raw, processes, tell)
    found = [one for one in picture_findings(entries, probes, "dropped") if one.kind == BROKEN]
    if not found:
        return cleaned
    good = [entry for entry, probe in zip(entries, probes, strict=True) if not probe.fault]
    splits = {split: tuple(image for name, image in good if name == split) for split in raw.splits}
    findings = (*cleaned.findings, *found)
    return Cleaned(replace(raw, splits=splits, findings=findings), findings)
