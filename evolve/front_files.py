"""The front of a run as files: ``front.json``, and each configuration ready to be trained."""

from typing import Any

import yaml

from evolve.engine.coordinator import Coordinator
from evolve.engine.recipes import config_of, recipe_of
from evolve.objectives import COSTS, cost_text, directions_of, names_of
from evolve.store.comparison import read_comparison
from evolve.store.folder import RunFolder
from evolve.store.read import read_run
from model.files import write_text_atomically


def write_front(folder: RunFolder, search: Coordinator, manifest: dict[str, Any]) -> None:
    """Write the non-dominated trials of a search, with what the final comparison says of them.

    Nothing is written of a run with one objective.
    """
    space = search.space
    if not space.cost:
        return
    from evolve.findings.front import front_of

    front = front_of(read_run(folder.path), read_comparison(folder.path))
    assert front is not None
    confirmed = {row.trial: row for row in front.rows}
    trials = search.study.get_trials(deepcopy=False)
    entries = []
    for one in front.members:
        trial = trials[one.trial]
        config = config_of(space, one.trial, trial.params, recipe_of(trial), manifest["seed"])
        name = f"trial-{one.trial:05d}.yaml"
        head = (
            f"# trial {one.trial} of {folder.path.name}, on the front: {space.objective} "
            f"{100 * one.value:.1f}% on val, {cost_text(space.cost, one.cost)}\n"
        )
        body = yaml.safe_dump(config.to_dict(), sort_keys=False)
        folder.front_configs.mkdir(exist_ok=True)
        write_text_atomically(folder.front_configs / name, head + body)
        row = confirmed.get(one.trial)
        entries.append(
            {
                "trial": one.trial,
                "values": [one.value, one.cost],
                "config": f"{folder.front_configs.name}/{name}",
                "confirmed": None
                if row is None or not row.judged.count
                else {
                    "split": front.judged_on,
                    "mean": row.judged.mean,
                    "seeds": row.judged.count,
                    "stays": row.stays,
                },
            }
        )
    _drop_others(folder, {entry["config"] for entry in entries})
    folder.write_json(
        folder.front,
        {
            "objectives": names_of(space.objective, space.cost),
            "directions": directions_of(space.cost),
            "unit": COSTS[space.cost].unit,
            "device": front.device,
            "protocol": front.protocol,
            "reference": list(front.reference),
            "hypervolume": front.area,
            "front": entries,
        },
    )


def _drop_others(folder: RunFolder, kept: set[str]) -> None:
    """Remove configurations of trials that are no longer on the front."""
    for path in folder.front_configs.glob("trial-*.yaml"):
        if f"{folder.front_configs.name}/{path.name}" not in kept:
            path.unlink(missing_ok=True)
