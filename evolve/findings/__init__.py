"""What a stored run found: the verdict, how much was luck, and what mattered."""

from evolve.findings.join import find
from evolve.findings.records import AblationPath, Final, Findings, RowFinding

__all__ = ["AblationPath", "Final", "Findings", "RowFinding", "find"]
