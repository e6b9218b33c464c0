"""What a run cost, what its early stopping was worth, and what was tried again: tables."""

import math
from typing import Any

from evolve.analysis.fidelity import ALL, Audit
from evolve.analysis.ledger import Ledger
from evolve.findings import Cost, Findings
from evolve.store.records import RunRecord
from reports.summary import STATE_WORDS
from reports.tables import LISTED, Column, Row, Table, frame_to_csv
from reports.text import MINUS, MISSING, TIMES, clean, duration, listed, plural

COSTLIEST = 12
MOST_SESSIONS = 50
LOG_LINES, LONGEST_LINE = 12, 200
GROUPS = {
    "best": "promoted for their value",
    "by lot": "promoted by lot",
    "defaults": "the defaults",
    "spared": "spared, the first three",
    "others": "not stopped",
}


def driven_context(found: Findings | None, run: RunRecord) -> dict[str, Any]:
    """What templates need of cost, early stopping and retries; None for what there is not."""
    cost = None if found is None else found.cost
    audit = None if found is None else found.audit
    return {
        "cost": cost and cost_table(cost),
        "cost_sentence": "" if cost is None else cost_sentence(cost),
        "spending": cost and spending_table(cost.search),
        "costliest": cost and costliest_table(cost.search),
        "sessions": cost and sessions_table(cost.search),
        "audit": audit,
        "audit_sentence": "" if audit is None else clean(audit.sentence),
        "audit_caveat": "" if audit is None else clean(audit.caveat),
        "ranks": audit and ranks_table(audit),
        "retries": retry_table(run),
        "retried": retry_sentence(run),
        "logs": failure_logs(run),
    }


def driven_files(found: Findings) -> dict[str, str]:
    """CSV files by name."""
    files = {}
    if found.cost is not None:
        files["ledger.csv"] = frame_to_csv(found.cost.search.trials)
        if found.cost.final is not None:
            files["ledger-final.csv"] = frame_to_csv(found.cost.final.trials)
    if found.audit is not None and len(found.audit.pairs):
        files["early.csv"] = frame_to_csv(found.audit.pairs)
        files["early-ranks.csv"] = frame_to_csv(found.audit.ranks)
    return files


# -- cost ----------------------------------------------------------------------------------


def cost_sentence(cost: Cost) -> str:
    """Time of workers against time on the clock, and against what was expected."""
    search, final = cost.search, cost.final
    parts = [
        f"The search took {duration(search.wall_s)} of work in "
        f"{plural(len(search.sessions), 'session')}, in which trials held workers for "
        f"{duration(search.held_s)}"
    ]
    if search.devices is not None:
        workers = plural(search.devices.workers, "worker")
        parts[0] += f"; {share(search.idle)} of the time of {workers} was idle"
    if final is not None and len(final.trials):
        parts.append(f"The final comparison took {duration(final.wall_s)}")
    if search.held_s and search.lost_s:
        parts.append(
            f"{duration(search.lost_s)} were lost to failures and kills: work after the last "
            "whole epoch"
        )
    return ". ".join(parts) + "."


def share(fraction: float) -> str:
    """A part of a whole in percent, without decimals."""
    return MISSING if math.isnan(fraction) else f"{100 * fraction:.0f} %"


def cost_table(cost: Cost) -> Table:
    """Search, final comparison and both: expected and actual time, and what was held."""
    devices = cost.search.devices
    unit = "Device time" if devices is None else f"{devices.kind} time"
    columns = (
        Column("part", "Part"),
        Column("count", "Trainings", "number"),
        Column("planned", "Expected", "number"),
        Column("wall", "Took", "number"),
        Column("held", "Held workers", "number"),
        Column("device", unit[:1].upper() + unit[1:], "number"),
        Column("lost", "Lost", "number"),
        Column("idle", "Idle", "number"),
    )
    rows = [_cost_row("Search", cost.search, cost.planned_search_s)]
    if cost.final is not None:
        rows.append(_cost_row("Final comparison", cost.final, cost.planned_final_s))
        both, final = cost.search, cost.final
        planned = cost.planned_search_s + cost.planned_final_s
        sums = (both.wall_s + final.wall_s, both.held_s + final.held_s)
        more = (both.device_s + final.device_s, both.lost_s + final.lost_s)
        count = str(len(both.trials) + len(final.trials))
        cells = (count, *(duration(v) for v in (planned, *sums, *more)), "")
        rows.append(Row(("Together", *cells), "difference"))
    return Table(columns, tuple(rows))


def _cost_row(title: str, ledger: Ledger, planned_s: float) -> Row:
    times = (planned_s, ledger.wall_s, ledger.held_s, ledger.device_s, ledger.lost_s)
    cells = (f"{len(ledger.trials):,}", *(duration(time) for time in times), share(ledger.idle))
    return Row((title, *cells))


def spending_table(ledger: Ledger) -> Table:
    """Time of workers by what became of trials, and of those that were tried again."""
    columns = (
        Column("what", "Spent on trials that"),
        Column("count", "Trials", "number"),
        Column("held", "Held workers", "number"),
        Column("share", "Share", "number"),
    )
    words = {
        "COMPLETE": "were trained to their end",
        "PRUNED": "were stopped",
        "FAIL": "failed",
        "RUNNING": "have not ended",
    }
    spent = ledger.spent()
    entries = [(words[state], *spent[state]) for state in words if state in spent]
    if ledger.retried()[0]:
        entries.append(("were tried again (counted above too)", *ledger.retried()))
    rows = (
        Row((text, f"{count:,}", duration(seconds), share(_part(seconds, ledger.held_s))))
        for text, count, seconds in entries
    )
    return Table(columns, tuple(rows))


def _part(seconds: float, total: float) -> float:
    return seconds / total if total else math.nan


def costliest_table(ledger: Ledger) -> Table:
    """The trials that held workers longest."""
    columns = (
        Column("trial", "Trial", "number"),
        Column("state", "State", "state"),
        Column("held", "Held a worker", "number"),
        Column("share", "Share", "number"),
        Column("epochs", "Epochs", "number"),
        Column("pauses", "Pauses", "number"),
        Column("interrupts", "Interrupted", "number"),
        Column("kills", "Killed", "number"),
        Column("retries", "Tried again after"),
        Column("lost", "Lost", "number"),
    )
    rows = [
        Row(
            (
                str(one["number"]),
                STATE_WORDS.get(str(one["state"]), clean(one["state"])),
                duration(one["held_s"]),
                share(_part(one["held_s"], ledger.held_s)),
                str(one["epochs"]),
                str(one["pauses"]),
                str(one["interrupts"]),
                str(one["kills"]),
                clean(one["by_type"], longest=60),
                duration(one["lost_s"]) if one["lost_s"] else "",
            )
        )
        for one in ledger.costliest(COSTLIEST).to_dict("records")
    ]
    return Table(columns, tuple(rows))


def sessions_table(ledger: Ledger) -> Table | None:
    """Work of each session; None where there was one."""
    if len(ledger.sessions) < 2:
        return None
    columns = (
        Column("session", "Session", "number"),
        Column("wall", "Took", "number"),
        Column("held", "Held workers", "number"),
        Column("idle", "Idle", "number"),
    )
    rows = (
        Row((str(one["session"]), *(duration(one[k]) for k in ("wall_s", "held_s")),
             share(one["idle"])))
        for one in ledger.sessions.tail(MOST_SESSIONS).to_dict("records")
    )  # fmt: skip
    return Table(columns, tuple(rows))


# -- early stopping ------------------------------------------------------------------------


def ranks_table(audit: Audit) -> Table | None:
    """Rank correlations at every epoch and of every group; None where there is none."""
    if audit.ranks.empty:
        return None
    columns = (
        Column("epoch", "After epoch", "number"),
        Column("group", "Trials that were"),
        Column("trials", "Trials", "number"),
        Column("spearman", "Spearman", "number"),
        Column("spearman_span", "95 %", "number"),
        Column("kendall", "Kendall", "number"),
        Column("kendall_span", "95 %", "number"),
    )
    rows = []
    for one in audit.ranks.to_dict("records"):
        name = "trained to their end" if one["group"] == ALL else GROUPS[str(one["group"])]
        numbers = [text for key in ("spearman", "kendall") for text in _correlation(one, key)]
        rows.append(Row((str(one["epoch"]), name, f"{one['trials']:,}", *numbers)))
    return Table(columns, tuple(rows))


def _correlation(one: dict[Any, Any], key: str) -> tuple[str, str]:
    ends = [_signed(one[f"{key}_{end}"]) for end in ("low", "high")]
    return _signed(one[key]), MISSING if MISSING in ends else " to ".join(ends)


def _signed(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2f}".replace("-", MINUS)


# -- what was tried again ------------------------------------------------------------------


def retry_sentence(run: RunRecord) -> str:
    """How many trials were tried again, and after what."""
    if not run.attempts:
        return ""
    kinds: dict[str, int] = {}
    for attempts in run.attempts.values():
        for one in attempts:
            kind = clean(one.get("type", "error"), longest=40)
            kinds[kind] = kinds.get(kind, 0) + 1
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    said = listed([f"{kind} {count:,}{TIMES}" for kind, count in ordered])
    has = "was" if len(run.attempts) == 1 else "were"
    return f"{plural(len(run.attempts), 'trial')} {has} tried again: {said}."


def retry_table(run: RunRecord) -> Table:
    """Trials that were tried again, after what and how; of many the last."""
    columns = (
        Column("trial", "Trial", "number"),
        Column("state", "In the end", "state"),
        Column("tries", "Tries", "number"),
        Column("what", "After", "lines"),
    )
    states = dict(zip(run.trials["number"], run.trials["state"], strict=True))
    numbers = sorted(number for number in run.attempts if number in states)[-LISTED:]
    rows = []
    for number in numbers:
        attempts = run.attempts[number]
        said = "\n".join(_attempt(one) for one in attempts)
        rows.append(
            Row((str(number), STATE_WORDS[str(states[number])], str(len(attempts) + 1), said))
        )
    return Table(columns, tuple(rows))


_REMEDIES = {
    "again": "went on from its last checkpoint",
    "alone": "went on alone on its device",
    "smaller": "went on with half the mini-batch",
}


def _attempt(one: dict[str, Any]) -> str:
    remedy = _REMEDIES.get(str(one.get("remedy")), clean(one.get("remedy"), longest=20))
    what = f"{one.get('type', 'error')}: {one.get('what', '')}"
    return f"{clean(what, longest=120)}; {remedy}"


def failure_logs(run: RunRecord) -> list[tuple[str, str]]:
    """Of each type of failure, retried ones included, the last log lines of its last trial."""
    found: dict[str, tuple[int, list[str]]] = {}
    told = [(n, one) for n, attempts in run.attempts.items() for one in attempts]
    told += [(n, one) for n, one in run.failures.items()]
    for number, one in sorted(told, key=lambda item: item[0]):
        lines = [clean(line, longest=LONGEST_LINE) for line in (one.get("log") or ())]
        if lines:
            found[clean(one.get("type", "error"), longest=40)] = number, lines[-LOG_LINES:]
    return [
        (f"{kind}, trial {number}", "\n".join(lines))
        for kind, (number, lines) in sorted(found.items())
    ]
