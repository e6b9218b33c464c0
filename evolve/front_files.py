"""The front of a run as files: ``front.json``, and each configuration ready to be trained."""

from typing import TYPE_CHECKING, Any

import yaml

from evolve.engine.coordinator import Coordinator
from evolve.engine.recipes import config_of, recipe_of
from evolve.objectives import COSTS, cost_text, directions_of, names_of
from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_run
from model.files import write_text_atomically

if TYPE_CHECKING:
    from evolve.findings.front import Front, FrontTrial


def write_front(folder: RunFolder, search: Coordinator) -> None:
    """Write the non-dominated trials of a search, with what the final comparison says of them.

    Nothing is written of a run with one objective.
    """
    space = search.space
    if not space.cost:
        return
    from evolve.findings.front import front_of

    front = front_of(read_run(folder.path), read_comparison(folder.path))
    assert front is not None
    folder.front_configs.mkdir(exist_ok=True)
    entries = [_entry(folder, one, front, search) for one in front.members]
    for path in folder.front_configs.glob("trial-*.yaml"):
        if path.name not in {_name(one) for one in front.members}:  # of an earlier front
            path.unlink(missing_ok=True)
    head = {
        "objectives": names_of(space.objective, space.cost),
        "directions": directions_of(space.cost),
        "unit": COSTS[space.cost].unit,
        "device": front.device,
        "protocol": front.protocol,
        "reference": list(front.reference),
        "hypervolume": front.area,
    }
    folder.write_json(folder.front, head | {"front": entries})


def _name(one: "FrontTrial") -> str:
    return f"trial-{one.trial:05d}.yaml"


def _entry(
    folder: RunFolder, one: "FrontTrial", front: "Front", search: Coordinator
) -> dict[str, Any]:
    """What is told of a trial; its configuration is written."""
    _write_config(folder, one, search)
    row = next((row for row in front.rows if row.trial == one.trial and row.judged.count), None)
    confirmed = row and {
        "split": front.judged_on,
        "mean": row.judged.mean,
        "seeds": row.judged.count,
        "stays": row.stays,
    }
    return {
        "trial": one.trial,
        "values": [one.value, one.cost],
        "config": f"{folder.front_configs.name}/{_name(one)}",
        "confirmed": confirmed,
    }


def _write_config(folder: RunFolder, one: "FrontTrial", search: Coordinator) -> None:
    space, seed = search.space, search.settings.seed
    trial = search.study.get_trials(deepcopy=False)[one.trial]
    config = config_of(space, one.trial, trial.params, recipe_of(trial), seed)
    head = (
        f"# trial {one.trial} of {folder.path.name}, on the front: {space.objective} "
        f"{100 * one.value:.1f}% on val, {cost_text(space.cost, one.cost)}\n"
    )
    body = yaml.safe_dump(config.to_dict(), sort_keys=False)
    write_text_atomically(folder.front_configs / _name(one), head + body)
