"""Table files: found, read and checked; `evolve.ablation.rows` makes trainings of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evolve.ablation.designs import Design, make_design
from evolve.ablation.schema import METRICS, TableFile
from evolve.errors import TableError, nearest
from evolve.space.load import bundled_folder, found_file
from evolve.yaml_marks import Fault, KeyPath, MarkedYaml, gather, raise_faults, read_marked


@dataclass(frozen=True)
class Table:
    """A table as its file says, with the place of everything in it.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    file : TableFile
    marked : MarkedYaml
        For faults that are found later.
    design : Design or None
        Where a plan stands in place of rows.
    """

    name: str
    file: TableFile
    marked: MarkedYaml
    design: Design | None = None

    @property
    def path(self) -> Path:
        """The file, as the user named it."""
        return self.marked.path

    @property
    def objective(self) -> str:
        """Metric that rows are compared by."""
        return self.file.objective or METRICS[self.file.task][0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that are shown."""
        return self.file.metrics or METRICS[self.file.task]

    @property
    def baseline(self) -> str:
        """Key of the row that deltas are taken to."""
        if self.design:
            return self.design.baseline
        return self.file.baseline or self.file.rows[0].key


def bundled_tables() -> list[Path]:
    """Table files that come with the package, by name."""
    return sorted((bundled_folder() / "tables").glob("*.yaml"))


def find_table_file(name_or_path: str | Path, others: Iterable[str] = ()) -> Path:
    """File of a table: as given, else in `search_spaces/tables`; ``.yaml`` may be left out.

    Parameters
    ----------
    name_or_path : str or Path
    others : iterable of str
        Further names that may have been meant.

    Raises
    ------
    TableError
        If there is none; names the nearest.
    """
    given = Path(name_or_path)
    folder = bundled_folder() / "tables"
    found = found_file(given, folder)
    if found is not None:
        return found
    beside = [path.name for path in given.parent.glob("*.yaml")]
    known = {*beside, *(path.stem for path in bundled_tables()), *others}
    where = f"{given.parent.absolute()}, {folder}"
    raise TableError(f"there is no table '{given}'", where, nearest(given.name, known))


def load_table(name_or_path: str | Path) -> Table:
    """Table of a name or file.

    Raises
    ------
    TableError
        Once, for all faults of the file, each with its line and column.
    """
    path = find_table_file(name_or_path)
    marked = read_marked(path, TableError)
    file, faults = gather(marked, TableFile)
    faults = [_with_row(fault, marked.data) for fault in faults]
    design = None
    if file:
        faults += _faults_of(file, marked)
        design, misfits = _design_of(file, marked)
        faults += misfits
    raise_faults([*marked.faults, *faults], path, TableError)
    assert file is not None
    return Table(path.stem, file, marked, design)


def _with_row(fault: Fault, data: Mapping[str, Any]) -> Fault:
    """The same fault, with the key of its row in front."""
    found = re.search(r"  rows\.(\d+)\.", fault.where)
    if found is None:
        return fault
    row = data["rows"][int(found[1])]
    key = row.get("key") if isinstance(row, dict) else None
    return replace(fault, what=f"row '{key}': {fault.what}") if key else fault


def _faults_of(file: TableFile, marked: MarkedYaml) -> list[Fault]:
    """What does not fit together in a file whose parts are right by themselves."""
    found = [*_check_rows(file, marked), *_check_baselines(file), *_check_metrics(file)]
    return [marked.fault(what, place, mend) for place, what, mend in found]


Found = tuple[KeyPath, str, str]


def _check_rows(file: TableFile, marked: MarkedYaml) -> Iterator[Found]:
    if file.plan and file.rows:
        yield ("plan",), "a plan makes the rows, and rows are given too", "remove one of the two"
    if not file.plan and len(file.rows) < 2:
        count = "no rows" if not file.rows else "one row"
        mend = "write a baseline and what to compare with it under 'rows', or a 'plan'"
        yield ("rows",), f"the table has {count}: nothing to compare", mend
    first: dict[str, int] = {}
    for index, row in enumerate(file.rows):
        place = ("rows", index, "key")
        earlier = first.setdefault(row.key.casefold(), index)  # some file systems know no case
        if earlier != index:
            line = marked.position(("rows", earlier, "key"))[0]
            yield place, f"the row '{row.key}' is there twice, first on line {line}", "rename one"
        if row.paper_row and not file.paper:
            what = f"row '{row.key}' stands beside row {row.paper_row} of no paper's table"
            yield ("rows", index, "paper_row"), what, "write 'paper: 4' at the top, or remove it"
        if row.pretrain and file.task == "classify":
            what = f"row '{row.key}' is a classifier, which starts from none"
            yield ("rows", index, "pretrain"), what, "remove it, or write 'task: detect'"


def _check_baselines(file: TableFile) -> Iterator[Found]:
    keys = [row.key for row in file.rows]
    if file.plan and file.baseline:
        what = f"the design {file.plan.design} has a baseline of its own"
        yield ("baseline",), what, "remove it"
    elif file.baseline and file.baseline not in keys:
        what = f"the baseline '{file.baseline}' is no row of this table"
        yield ("baseline",), what, nearest(file.baseline, keys)
    for index, row in enumerate(file.rows):
        if row.baseline and row.baseline not in keys:
            what = f"row '{row.key}' is compared with '{row.baseline}', which is no row"
            yield ("rows", index, "baseline"), what, nearest(row.baseline, keys)


def _check_metrics(file: TableFile) -> Iterator[Found]:
    known = METRICS[file.task]
    if file.objective and file.objective not in known:
        what = f"'{file.objective}' is not measured in task {file.task}"
        yield ("objective",), what, nearest(file.objective, known)
    for index, metric in enumerate(file.metrics):
        if metric not in known:
            what = f"'{metric}' is not measured in task {file.task}"
            yield ("metrics", index), what, nearest(metric, known)


def _design_of(file: TableFile, marked: MarkedYaml) -> tuple[Design | None, Iterable[Fault]]:
    plan = file.plan
    if plan is None:
        return None, ()
    if plan.options and plan.design != "shapley":
        name = next(iter(plan.options))
        what = f"'{name}' is of the design shapley, not of {plan.design}"
        return None, [marked.fault(what, ("plan", name), "remove it")]
    try:
        return make_design(plan.design, plan.ingredients, **plan.options), ()
    except TableError as error:
        return None, [marked.fault(error.what, ("plan", "ingredients"), error.mend)]
