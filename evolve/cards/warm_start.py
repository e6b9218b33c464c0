"""What a run begins with: earlier studies, read from run folders and cards."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.cards.card import StudyCard, read_card
from evolve.cards.export import card_of_run
from evolve.errors import CardError
from evolve.search.prior import Prior
from evolve.space import Space
from model.files import names_beside

LEAST = 3  # trials
_LISTED = 12


@dataclass(frozen=True)
class WarmStart:
    """An earlier study as a run remembers it: nothing else is needed to go on.

    Attributes
    ----------
    prior : Prior
        With what the run's space can take, and no more.
    objective : str
        Of that study.
    source : str
        Run folder or card, as the user named it.
    """

    prior: Prior
    objective: str
    source: str

    @property
    def digest(self) -> str:
        """SHA-256 of what a sampler learns from it."""
        body = json.dumps(self._trials(), sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()

    def told(self, space: Space) -> str:
        """What of it the run can use, in a line."""
        prior, paths = self.prior, {path for params in self.prior.params for path in params}
        shared = f"{len(paths)} of {len(space.parameters)} parameters"
        other = "" if self.objective == space.objective else f", judged by {self.objective} there"
        return f"warm start from {prior.name}: {len(prior.values)} trials, {shared}{other}"

    def to_dict(self) -> dict[str, Any]:
        """JSON types, for the manifest."""
        return {
            "name": self.prior.name,
            "source": self.source,
            "objective": self.objective,
            "digest": self.digest,
            "trials": self._trials(),
        }

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "WarmStart":
        """What `to_dict` gave; KeyError or TypeError if it was tampered with."""
        params = tuple(trial["params"] for trial in tree["trials"])
        values = tuple(trial["value"] for trial in tree["trials"])
        if not all(isinstance(one, dict) for one in params) or not all(map(_is_number, values)):
            raise TypeError("warm_start")
        return cls(Prior(tree["name"], params, values), tree["objective"], tree["source"])

    def _trials(self) -> list[dict[str, Any]]:
        pairs = zip(self.prior.params, self.prior.values, strict=True)
        return [{"value": value, "params": dict(params)} for params, value in pairs]


def load_warm_starts(sources: Sequence[Path], space: Space) -> tuple[WarmStart, ...]:
    """Earlier studies for a run on a space, in the order given; one that comes twice counts once.

    Raises
    ------
    CardError, StoreError
        If a source cannot be read, or has nothing that the space can take.
    """
    found = [_load(source, space) for source in sources]
    return tuple({one.digest: one for one in found}.values())


def _load(source: Path, space: Space) -> WarmStart:
    card = _read(source)
    searched = {parameter.path: parameter for parameter in space.parameters}
    if card.searched().keys().isdisjoint(searched):
        what = f"'{card.name}' shares no parameter with this space"
        mend = f"it has {_listed(card.searched())}; this space has {_listed(searched)}"
        raise CardError(what, str(source), mend)
    trials = [
        (
            trial.value,
            {p: v for p, v in trial.params.items() if p in searched and searched[p].takes(v)},
        )
        for trial in card.trials
    ]
    usable = [(value, params) for value, params in trials if params]
    if len(usable) < LEAST:
        what = f"only {len(usable)} of {len(trials)} trials of '{card.name}' can be used here"
        mend = f"a warm start needs {LEAST}; their values may lie outside the ranges of this space"
        raise CardError(what, str(source), mend)
    values, params = zip(*usable, strict=True)
    return WarmStart(Prior(card.name, params, values), card.objective, str(source))


def _read(source: Path) -> StudyCard:
    if source.is_dir():
        return card_of_run(source)
    if not source.exists():
        raise CardError("there is no such run folder or card", str(source), names_beside(source))
    return read_card(source)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(names: Sequence[str] | dict[str, Any]) -> str:
    known = list(names)
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return ", ".join(known[:_LISTED]) + more
