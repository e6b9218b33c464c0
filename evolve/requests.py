"""Requests for runs and ablations, from names, paths and texts as a user has them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evolve.data_source import resolve_data

if TYPE_CHECKING:
    from evolve.ablation.rows import TablePlan
    from evolve.ablations import AblationRequest
    from evolve.runs import RunRequest

CURVE = "curve"  # the trainer of tests, which builds no network


def limits(**given: Any) -> dict[str, Any]:
    """Those of the limits of a run that were given, checked.

    Raises
    ------
    EvolveError
        If `budget` is no time.
    """
    from evolve.budget import Budget

    if given.get("budget"):
        given["budget"] = Budget.parse(given["budget"], "--budget").text
    return {key: value for key, value in given.items() if value is not None}


def items_of(**named: Any) -> list[str]:
    """``key=value`` items of what was given."""
    return [f"{key}={value}" for key, value in named.items() if value is not None]


def run_request(
    space_name: str | Path,
    data: str | None,
    *,
    named: Mapping[str, Any],
    overrides: Sequence[str] = (),
    confirm: str | None = None,
    given: Mapping[str, Any],
    warm_start: Sequence[Path] = (),
    out: Path | None = None,
    trainer: str = "detector",
    **rest: Any,
) -> "RunRequest":
    """The request for a run.

    Parameters
    ----------
    space_name : str or Path
        Of a space file, or the name of one that comes with evolve.
    data : str or None
        As for `resolve_data`.
    named : mapping
        model, trials, sampler and scheduler, None where the space's are taken.
    overrides : sequence of str
        ``key=value`` items for the training configuration.
    confirm : str, optional
        Size of the final comparison.
    given : mapping
        budget, until_no_gain, max_failures, fidelity and promote, as for `limits`.
    warm_start : sequence of Path
        Runs or cards.
    out : Path, optional
        Run folder; default: runs/SPACE-DATA.
    trainer : str
    **rest
        Of `RunRequest`.

    Raises
    ------
    EvolveError
        For all that is wrong with the space, the settings or their place.
    """
    from evolve.cards.warm_start import load_warm_starts
    from evolve.confirm import Confirm
    from evolve.runs import RunRequest
    from evolve.space import apply_overrides, find_space_file, load_space

    space = load_space(find_space_file(space_name))
    checked = limits(**given)
    named = dict(named)
    if named.get("scheduler") is None and ("fidelity" in checked or "promote" in checked):
        named["scheduler"] = "promote"
    space = replace(apply_overrides(space, [*overrides, *items_of(**named)]), **checked)
    if confirm is not None:
        space = replace(space, confirm=str(Confirm.parse(confirm, "--confirm")))
    source = resolve_data(data)
    return RunRequest(
        space=space,
        warm_start=load_warm_starts(warm_start, space),
        data=source,
        out=out or Path("runs") / f"{space.name}-{source.name}",
        trainer=trainer,
        **rest,
    )


def ablation_request(
    table_name: str | Path,
    data: str | None,
    *,
    model: str | None = None,
    overrides: Sequence[str] = (),
    seeds: int | Literal["auto"] = 3,
    region: float | None = None,
    budget: str | None = None,
    ga: Path | None = None,
    teacher: Path | None = None,
    out: Path | None = None,
    trainer: str = "detector",
    **rest: Any,
) -> "tuple[AblationRequest, TablePlan]":
    """The request for an ablation, and the plan of its rows.

    Parameters
    ----------
    table_name : str or Path
        Of a table file, or the name of one that comes with evolve.
    data, overrides, out, trainer
        As for `run_request`.
    model : str, optional
        Default: the table's.
    seeds : int or "auto"
    region : float, optional
        Differences in [0, 1] that are as good as none.
    budget : str, optional
    ga, teacher : Path, optional
        What the ingredients GA and KD take their values from.
    **rest
        Of `AblationRequest`.

    Raises
    ------
    EvolveError
        For all that is wrong with the table, the settings or their place.
    """
    from evolve.ablation.rows import check_seeds, plan_rows
    from evolve.ablation.table import load_table
    from evolve.ablations import AblationRequest, parts_of
    from evolve.analysis.decisions import REGION
    from evolve.train_config import given_to
    from model.transfer import check_buildable

    table = load_table(table_name)
    if model is not None and trainer != CURVE:
        check_model(model, table.file.task)
    plan = plan_rows(
        table,
        model=model or "",
        overrides=overrides,
        given=given_to(ga, teacher),
        check=None if trainer == CURVE else check_buildable,
    )
    if seeds != "auto":
        check_seeds(plan, seeds)
    parts = parts_of(plan)
    if ga is not None:
        from evolve.ga_values import tuning_cost

        parts["tuned"] = tuning_cost(ga)
    source = resolve_data(data)
    request = AblationRequest(
        **parts,
        region=REGION if region is None else region,
        seeds=seeds,
        budget=limits(budget=budget).get("budget", ""),
        data=source,
        out=out or Path("runs") / f"{table.name}-{source.name}",
        trainer=trainer,
        **rest,
    )
    return request, plan


def check_model(name: str, task: str) -> None:
    """Refuse a model that the zoo does not have, before anything else is looked at.

    Raises
    ------
    ConfigurationError
        With the nearest name.
    """
    from model.zoo import classifiers, zoo

    (zoo if task == "detect" else classifiers).get(name)
