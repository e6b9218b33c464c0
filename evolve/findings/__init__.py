"""What a stored run found: the verdict, how much was luck, and what mattered."""

from evolve.findings.join import find
from evolve.findings.records import AblationPath, Cost, Final, Findings, RowFinding

__all__ = ["AblationPath", "Cost", "Final", "Findings", "RowFinding", "find"]
