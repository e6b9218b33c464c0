"""How a run is watched: a live table on a terminal, plain lines elsewhere."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from evolve.ablation.costs import tuning_text
from evolve.analysis.phrases import plural
from evolve.cli.screen import console, draws_live
from evolve.confirm import Confirm
from evolve.objectives import cost_label, cost_number, cost_of, cost_text
from evolve.outside_text import printable as printable
from evolve.store.manifest import ABLATION, kind_of
from evolve.units import duration
from evolve.units import percent as percent

if TYPE_CHECKING:
    from evolve.engine.director import Phase

SHOWN_FINISHED = 8
HOW = {"again": "again", "alone": "again, alone", "smaller": "again, in smaller mini-batches"}


@dataclass
class TrialView:
    """What is shown of a trial."""

    number: int
    epochs: int
    done: int
    name: str = ""
    value: float = math.nan
    state: str = "RUNNING"
    reason: str = ""
    epoch_s: float = math.nan
    cost: float = math.nan
    last_at: float = field(default_factory=time.monotonic)


class RunView:
    """State of a run as its watcher knows it; a `Listener`.

    Parameters
    ----------
    trials : int
        Trials that the run will hold.
    workers : int
        Trials at once.
    objective : str
    """

    def __init__(self, trials: int, workers: int, objective: str) -> None:
        self.trials, self.workers, self.objective = trials, workers, objective
        self.views: dict[int, TrialView] = {}
        self.before: dict[str, int] = {}
        self.best_before = math.nan
        self.cost = ""
        self.costs_before: list[tuple[float, float]] = []
        self.phase: Phase | None = None
        self.is_table = False
        self.started = time.monotonic()

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """Take what the run agreed on: a folder may hold more trials than were asked for now."""
        self.trials, self.workers = manifest.get("trials", 0), manifest["workers"]
        self.is_table = kind_of(manifest) == ABLATION
        self.cost = cost_of(manifest)

    def on_phase(self, phase: "Phase") -> None:
        """Count anew: what was shown of the search is over."""
        self.phase, self.trials, self.before = phase, phase.trainings, dict(phase.ended)
        self.views = {}

    @property
    def stops_early(self) -> bool:
        """Whether trainings may be stopped early: those of a table are not."""
        return not self.is_table

    def name(self, number: int) -> str:
        """What a training is called."""
        return self.phase.name_of(number) if self.phase else f"trial {number}"

    def remember(self, state: str, value: float, cost: float = math.nan) -> None:
        """Note a trial that ended in an earlier session."""
        self.before[state] = self.before.get(state, 0) + 1
        if state == "COMPLETE" and not math.isnan(cost):
            self.costs_before.append((value, cost))
        if state == "COMPLETE" and not value <= self.best_before:
            self.best_before = value

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:  # noqa: ARG002
        """Note a trial that begins."""
        self.views[number] = TrialView(number, epochs, done, self.name(number))

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """Note an epoch."""
        view, now = self.views[number], time.monotonic()
        view.epoch_s, view.last_at = now - view.last_at, now
        view.done, view.value = row["epoch"], row["objective"]
        view.cost = row.get("cost", math.nan)

    def on_pause(self, number: int) -> None:
        """Note that a trial waits."""
        self.views[number].state = "PAUSED"

    def on_retry(self, number: int, reason: str, remedy: str) -> None:  # noqa: ARG002
        """Note that a trial is to be tried again."""
        self.views[number].state = "PAUSED"

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """Note a trial's end; one that this session did not start counts too."""
        view = self.views.setdefault(number, TrialView(number, 0, 0, self.name(number)))
        view.state, view.reason = state, reason
        if value is not None:
            view.value = value

    def count(self, state: str) -> int:
        """Trials in a state."""
        own = sum(view.state == state for view in self.views.values())
        return own + self.before.get(state, 0)

    def best(self) -> float:
        """Best value of a complete trial; NaN if there is none."""
        values = [v.value for v in self.views.values() if v.state == "COMPLETE"]
        return max((v for v in (*values, self.best_before) if not math.isnan(v)), default=math.nan)

    def front(self) -> int:
        """Complete trials that no other dominates, where there are two objectives."""
        own = [(v.value, v.cost) for v in self.views.values() if v.state == "COMPLETE"]
        found = sorted({*own, *self.costs_before}, key=lambda one: (one[1], -one[0]))
        count, highest = 0, -math.inf
        for value, cost in found:
            if not math.isnan(cost) and value > highest:
                count, highest = count + 1, value
        return count

    def best_text(self) -> str:
        """The best value so far, and how many are on the front if there are two objectives."""
        front = f", {self.front()} on the front" if self.cost else ""
        return f"{percent(self.best())}{front}"

    def time_left_s(self) -> float:
        """Seconds until the end, from the pace of this session; NaN while there is none.

        Finished trials tell how many epochs a trial takes, stopped ones included.
        """
        ended = [v for v in self.views.values() if v.state not in ("RUNNING", "PAUSED")]
        paces = [v.epoch_s for v in self.views.values() if not math.isnan(v.epoch_s)]
        if not paces:
            return math.nan
        running = [v for v in self.views.values() if v.state == "RUNNING"]
        whole = max(v.epochs for v in self.views.values())
        per_trial = sum(v.done for v in ended) / len(ended) if ended else whole
        finished = sum(self.count(state) for state in ("COMPLETE", "PRUNED", "FAIL"))
        unbegun = max(0, self.trials - finished - len(running))
        # one that outlived the usual length will run to its end
        ends = [per_trial if v.done < per_trial else v.epochs for v in running]
        rest = sum(end - v.done for end, v in zip(ends, running, strict=True))
        epochs = unbegun * per_trial + rest
        return epochs * sum(paces) / len(paces) / self.workers


def describe(manifest: dict[str, Any]) -> list[str]:
    """What is run on what, and what was noted about the data; a few lines."""
    data, train = manifest["data"], manifest["train"]
    images = ", ".join(f"{n} {split}" for split, n in data.get("images", {}).items())
    classes = len(data.get("classes", ()))
    about = f": {images} images, {classes} classes" if images else ""
    is_table = kind_of(manifest) == ABLATION
    first, then = (_about_table if is_table else _about_search)(manifest)
    lines = [
        first,
        f"data   {data['name']}{about}",
        f"model  {train['model']} at {train['image_size']} px, {train['epochs']} epochs"
        + (" (the baseline)" if is_table else ""),
        *then,
        *(manifest.get("outlook") or {}).get("lines", ()),
    ]
    return [printable(line) for line in (*lines, *(f"note   {n}" for n in data.get("notes", ())))]


def _about_search(manifest: dict[str, Any]) -> tuple[str, list[str]]:
    """What is searched, and what follows."""
    entries = manifest["space"]["parameters"].values()
    parameters = sum(entry.get("type") != "fixed" for entry in entries)
    first = (
        f"run    {manifest['name']}: {manifest['trials']} trials over {parameters} parameters, "
        f"{manifest['sampler']} sampler, scheduler {manifest['scheduler']}, "
        f"{manifest['workers']} at once"
    )
    size = Confirm.parse(manifest.get("confirm", "0"))
    then = f"then   {size} final comparison: candidates x seeds, and the defaults"
    return first, [*_about_front(manifest), *([then] if size else [])]


def _about_front(manifest: dict[str, Any]) -> list[str]:
    """What is weighed against what, where there are two objectives."""
    cost = cost_of(manifest)
    if not cost:
        return []
    both = f"front  {manifest['objective']} against {cost}"
    paths = manifest.get("cost_changed_by", ())
    if not paths:
        return [
            f"{both}: nothing that is searched changes the network, so its {cost} is the same in "
            f"all trials, and {manifest['objective']} alone decides"
        ]
    lines = [f"{both}, which changes with {', '.join(paths)}"]
    if cost == "latency":
        where = " and not on the cluster's machines" if manifest.get("cluster") else ""
        lines.append(
            f"       measured on this machine{where}, with nothing beside it, when a trial has "
            "a network that was not measured before"
        )
    return lines


def _about_table(manifest: dict[str, Any]) -> tuple[str, list[str]]:
    """What is compared, and how it will be judged."""
    rows, seeds = len(manifest["table"]["rows"]), manifest["seeds"]
    each = "seeds as their verdicts need them" if seeds == "auto" else plural(seeds, "seed")
    first = f"table  {manifest['name']}: {rows} rows, {each}, judged on {manifest['judged_on']}"
    then = []
    if manifest["looks"]:
        looks = ", ".join(map(str, manifest["looks"]))
        then.append(
            f"looks  at {looks} seeds; at most {100 * manifest['alpha']:.0f} % for one false "
            "verdict over all looks and rows"
        )
    if tuned := manifest.get("tuned"):
        then.append(f"GA     {tuning_text(tuned)}")
    return first, then


class PlainWatcher:
    """One line for every trial that begins or ends, on stderr if nothing else is said.

    Parameters
    ----------
    view : RunView
    quiet : bool
        Whether nothing is said.
    say : callable, optional
        Takes each line.
    """

    def __init__(
        self, view: RunView, *, quiet: bool = False, say: Callable[[str], object] | None = None
    ) -> None:
        self.view, self.quiet = view, quiet
        self._told = say or functools.partial(click.echo, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _say(self, text: str) -> None:
        if not self.quiet:
            self._told(text)

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """Say what is run on what."""
        self.view.on_begin(manifest)
        for line in describe(manifest):
            self._say(line)

    def on_phase(self, phase: "Phase") -> None:
        """Say what begins after the search."""
        self.view.on_phase(phase)
        self._say(printable(f"{phase.title}: {phase.about}"))

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:
        """Say that a trial goes on which an earlier session had begun."""
        paused = number in self.view.views
        self.view.on_start(number, params, done, epochs)
        if done and not paused:
            name = printable(self.view.name(number))
            self._say(f"{name} continues, {done} of {epochs} epochs reported before")

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """Note an epoch in silence."""
        self.view.on_epoch(number, row)

    def on_pause(self, number: int) -> None:
        """Note a pause in silence."""
        self.view.on_pause(number)

    def on_retry(self, number: int, reason: str, remedy: str) -> None:
        """Say that a trial failed, and what is done about it."""
        self.view.on_retry(number, reason, remedy)
        self._say(printable(f"{self.view.name(number)} is tried {HOW[remedy]}: {reason}"))

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """Say how a trial ended."""
        view = self.view
        view.on_end(number, state, value, reason)
        done = sum(view.count(s) for s in ("COMPLETE", "PRUNED", "FAIL"))
        shown = f"{view.objective} {percent(math.nan if value is None else value)}"
        if view.cost and not view.phase:
            shown += f", {cost_text(view.cost, view.views[number].cost)}"
        place = (
            f"{view.phase.title} {done}/{view.trials}" if view.phase else f"{done}/{view.trials}"
        )
        text = f"[{place}] {view.name(number)} {state.lower()}: {reason or shown}"
        best = "" if view.phase else f"best {view.best_text()}, "
        self._say(f"{printable(text)}; {best}{duration(view.time_left_s())} left")


class LiveWatcher:
    """A table on the terminal that follows the run."""

    def __init__(self, view: RunView) -> None:
        from rich.live import Live

        self.view = view
        self._live = Live(
            get_renderable=self._render,
            console=console(),
            refresh_per_second=4,
            transient=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_begin(self, manifest: dict[str, Any]) -> None:
        """Say above the table what is run on what."""
        self.view.on_begin(manifest)
        for line in describe(manifest):
            self._live.console.print(line, markup=False, highlight=False)

    def on_phase(self, phase: "Phase") -> None:
        """Say above the table what begins after the search."""
        self.view.on_phase(phase)
        text = printable(f"{phase.title}: {phase.about}")
        self._live.console.print(text, markup=False, highlight=False)

    def on_start(self, number: int, params: dict[str, Any], done: int, epochs: int) -> None:
        """Note a trial that begins."""
        self.view.on_start(number, params, done, epochs)

    def on_epoch(self, number: int, row: dict[str, Any]) -> None:
        """Note an epoch."""
        self.view.on_epoch(number, row)

    def on_pause(self, number: int) -> None:
        """Note a pause."""
        self.view.on_pause(number)

    def on_retry(self, number: int, reason: str, remedy: str) -> None:
        """Say above the table that a trial failed, and what is done about it."""
        self.view.on_retry(number, reason, remedy)
        text = printable(f"{self.view.name(number)} is tried {HOW[remedy]}: {reason}")
        self._live.console.print(text, markup=False, highlight=False)

    def on_end(self, number: int, state: str, value: float | None, reason: str) -> None:
        """Note a trial's end."""
        self.view.on_end(number, state, value, reason)

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        view = self.view
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("")
        table.add_column("state")
        table.add_column("epochs")
        table.add_column(view.objective, justify="right")
        table.add_column(cost_label(view.cost) if view.cost else "", justify="right")
        table.add_column("")
        ended = [v for v in view.views.values() if v.state != "RUNNING"]
        running = [v for v in view.views.values() if v.state == "RUNNING"]
        for one in (*ended[-SHOWN_FINISHED:], *running):
            bar = ProgressBar(total=max(one.epochs, 1), completed=one.done, width=20)
            style = {"RUNNING": "bold", "FAIL": "red", "PRUNED": "dim"}.get(one.state, "")
            table.add_row(
                Text(printable(one.name), style),
                Text(one.state.lower(), style),
                bar if one.state == "RUNNING" else Text(f"{one.done} of {one.epochs}", "dim"),
                Text(percent(one.value), style),
                Text("" if math.isnan(one.cost) else cost_number(view.cost, one.cost), style),
                Text(printable(one.reason), style, overflow="ellipsis", no_wrap=True),
            )
        names = {"COMPLETE": "done", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
        if not view.stops_early:
            del names["PRUNED"]
        counts = "  ".join(f"{view.count(s)} {name}" for s, name in names.items())
        spent = duration(time.monotonic() - view.started)
        best = f"best {view.objective} {view.best_text()}"
        about = f"trials   {best}" if view.phase is None else f"trainings   {view.phase.title}"
        left = duration(view.time_left_s())
        head = f"{counts}  of {view.trials} {about}   {spent} spent, {left} left"
        return Group(Text(head, "bold"), table)


def build_watcher(view: RunView, *, quiet: bool) -> PlainWatcher | LiveWatcher:
    """A live table if stderr is a terminal, else plain lines."""
    if quiet or not draws_live():
        return PlainWatcher(view, quiet=quiet)
    return LiveWatcher(view)


def remember_earlier(out: Path, view: RunView) -> None:
    """Tell the view of trials that ended before this session."""
    from evolve.store.folder import RunFolder
    from evolve.store.read import read_run

    if not RunFolder(out).manifest.is_file():
        return
    trials = read_run(out).trials
    costs = trials["cost"] if "cost" in trials else [math.nan] * len(trials)
    for state, value, cost in zip(trials["state"], trials["value"], costs, strict=True):
        if state != "RUNNING":
            view.remember(state, value, cost)
