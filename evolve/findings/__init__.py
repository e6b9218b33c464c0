"""What a stored run found: the verdict, how much was luck, and what mattered."""

from evolve.findings.join import find
from evolve.findings.records import Final, Findings, Path, RowFinding

__all__ = ["Final", "Findings", "Path", "RowFinding", "find"]
