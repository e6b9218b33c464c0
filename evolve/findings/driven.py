"""What the journals of a run say of it: what it cost, and what early stopping was worth."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from evolve.analysis.fidelity import Audit, Rule, audit
from evolve.analysis.ledger import devices_of, make_ledger
from evolve.findings.records import Cost, Findings
from evolve.store.comparison import FINAL
from evolve.store.folder import RunFolder
from evolve.store.journal import read_journal
from evolve.store.records import RunRecord

PROMOTED = 5  # trials, where the manifest does not say


def with_journals(found: Findings, folder: Path, run: RunRecord) -> Findings:
    """Findings with what the journals of a run tell, where anything was written down."""
    place = RunFolder(folder)
    search = list(read_journal(place.journal))
    final = list(read_journal(place.comparison(FINAL).journal))
    return replace(
        found,
        cost=cost_of(search, final, run.manifest),
        audit=audit_of(search, run),
        closed=closed_for(search),
    )


def closed_for(search: Sequence[dict[str, Any]]) -> str:
    """Why a search ends before all trials that were asked for; empty if it does not."""
    told = [event for event in search if event["event"] in ("close", "open")]
    why = str(told[-1].get("why", "")) if told else ""  # an opening has none
    return "" if why == "trials" else why


def cost_of(
    search: Sequence[dict[str, Any]], final: Sequence[dict[str, Any]], manifest: dict[str, Any]
) -> Cost | None:
    """Cost of search and final comparison, from their journals."""
    if not search:
        return None
    devices = devices_of(manifest)
    return Cost(
        make_ledger(search, devices),
        make_ledger(final, devices) if final else None,
        _planned(manifest, "search_s"),
        _planned(manifest, "final_s"),
    )


def _planned(manifest: dict[str, Any], key: str) -> float:
    try:
        return float(manifest["outlook"]["plan"][key])
    except (KeyError, TypeError, ValueError):
        return math.nan


def audit_of(search: Sequence[dict[str, Any]], run: RunRecord) -> Audit | None:
    """Audit of the early stopping of a search, from its journal."""
    rows = [
        (event["number"], event["epoch"], event["value"])
        for event in search
        if event["event"] == "epoch" and event.get("told")
    ]
    if not rows:
        return None
    epochs = pd.DataFrame(rows, columns=["number", "epoch", "value"])
    return audit(run.trials, epochs.astype({"value": float}), _rule(run.manifest))


def _rule(manifest: dict[str, Any]) -> Rule:
    space = manifest.get("space")
    promote = space.get("promote") if isinstance(space, dict) else None
    promote = promote if isinstance(promote, int) else PROMOTED
    return Rule(str(manifest.get("scheduler", "none")), promote)
