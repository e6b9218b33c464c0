"""A study card: what a run found, as a small file that holds nothing private.

A card is YAML in one of the plainest forms there is: settings and numbers. It names no file, no
folder, no user and no machine, and whoever reads one trusts nothing in it.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from evolve.errors import CardError, nearest
from evolve.space.checks import Misfit, check_conditions, values_of
from evolve.space.parameter import Parameter
from evolve.space.schema import (
    ConstraintText,
    FixedSpec,
    Objective,
    Scalar,
    Spec,
    refusal,
)
from evolve.yaml_marks import gather, load_yaml, raise_faults
from model.files import write_text_atomically

FORMAT = "evolve-card-1"
MOST_TRIALS = 10_000
LONGEST = 80  # characters of a name

_NAME = re.compile(r"\w[\w .+()=,-]*")
_KEY = re.compile(r"[a-z]\w*(\.\w+)*", re.ASCII)


def _is_name(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > LONGEST:
        mend = "letters, digits, spaces and . + ( ) = , - may stand in one"
        raise refusal(f"{_shown(text)} is no name that a card may have", mend)
    return text


def _is_key(text: str) -> str:
    if not _KEY.fullmatch(text) or len(text) > LONGEST:
        raise refusal(f"{_shown(text)} is no key path of a setting", "such as optimizer.lr")
    return text


Name = Annotated[str, AfterValidator(_is_name)]
Key = Annotated[str, AfterValidator(_is_key)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Quantiles = Annotated[tuple[Annotated[float, Field(ge=0, le=1e9)], ...], Field(max_length=20)]
Params = dict[Key, Scalar]
Split = Literal["train", "val", "test"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CardSpace(_Part):
    """What was searched, as a space file has it; also what was fixed beside it."""

    parameters: Annotated[dict[Key, Spec], Field(min_length=1, max_length=500)]
    constraints: Annotated[tuple[ConstraintText, ...], Field(max_length=200)] = ()


class CardTrial(_Part):
    """A complete trial: its value in [0, 1], and what it was trained with."""

    number: Count
    value: Share
    params: Params


class CardFailure(_Part):
    """A trial that failed, and how: diverged, oom, ..."""

    number: Count
    reason: Name
    params: Params


class CardDelta(_Part):
    """Mean gain over the defaults, and its interval over seeds; without ends from one seed."""

    mean: Annotated[float, Field(ge=-1, le=1)]
    low: float | None = None
    high: float | None = None
    pairs: Count


class CardWinner(_Part):
    """The winner of the final comparison: means over fresh seeds.

    `trial` is None for the defaults, which have no `delta`.
    """

    trial: Count | None = None
    params: Params
    seeds: Count
    judged_on: Split
    mean_val: Share
    mean_judged: Share | None = None
    delta: CardDelta | None = None


class TrainFacts(_Part):
    """Quantiles of the training images and their boxes, at `at`.

    Sides are square roots of areas: in pixels, and as a fraction of the image's.
    """

    at: Quantiles
    image_width_px: Quantiles
    image_height_px: Quantiles
    boxes_per_image: Quantiles
    box_side_px: Quantiles
    box_side_of_image: Quantiles


class DataFacts(_Part):
    """The data in numbers; names of classes only where their owner wanted it."""

    classes: Count
    class_names: Annotated[tuple[str, ...], Field(max_length=10_000)] | None = None
    images: dict[Split, Count]
    train: TrainFacts | None = None


class StudyCard(_Part):
    """What a study found.

    Attributes
    ----------
    name, created, evolve : str
        Of the study, when the card was made, and the version that ran it.
    trials : tuple of CardTrial
        The best first, by an estimate that allows for noise; not all, but bad ones too.
    failed : tuple of CardFailure
    confirmed : CardWinner or None
    data : DataFacts or None
    """

    format: Literal["evolve-card-1"]
    name: Name
    created: Annotated[str, StringConstraints(max_length=40)]
    evolve: Annotated[str, StringConstraints(max_length=40)]
    objective: Objective
    direction: Literal["maximize"]
    model: Name
    epochs: Count
    image_size: Count | Literal["auto"]
    data: DataFacts | None = None
    confirmed: CardWinner | None = None
    space: CardSpace
    trials: Annotated[tuple[CardTrial, ...], Field(min_length=1, max_length=MOST_TRIALS)]
    failed: Annotated[tuple[CardFailure, ...], Field(max_length=MOST_TRIALS)] = ()

    def searched(self) -> dict[str, Parameter]:
        """The searched parameters by key path."""
        return {
            path: Parameter.from_spec(path, spec)
            for path, spec in self.space.parameters.items()
            if not isinstance(spec, FixedSpec)
        }


def read_card(path: Path) -> StudyCard:
    """Read and check a card.

    Raises
    ------
    CardError
        Once, for all faults of the file, each with its line and column.
    """
    marked = load_yaml(path, CardError)
    card, faults = gather(marked, StudyCard)
    raise_faults(faults, path, CardError)
    assert card is not None
    misfits = (marked.fault(one.what, one.place, one.mend) for one in check_card(card))
    raise_faults(misfits, path, CardError)
    return card


def write_card(card: StudyCard, path: Path) -> None:
    """Write a card, in one step."""
    tree = card.model_dump(mode="json", exclude_defaults=True)
    body = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=99)
    head = f"# What the study {card.name} found. Begin a run with it: evolve run --warm-start FILE"
    write_text_atomically(path, f"{head}\n{body}")


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, which readers would have to follow."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def check_card(card: StudyCard) -> Iterator[Misfit]:
    """What does not fit together: conditions, and values that the card's own space lacks."""
    for place, what, mend in check_conditions(card.space.parameters):
        yield Misfit(("space", *place), what, mend)
    for group, trials in (("trials", card.trials), ("failed", card.failed)):
        yield from _numbered_twice(group, [trial.number for trial in trials])
    searched, specs = card.searched(), card.space.parameters
    for place, params in _all_params(card):
        for path, value in params.items():
            if path not in searched:
                what = f"'{path}' is not searched in this card's space"
                yield Misfit((*place, path), what, nearest(path, searched))
            elif not searched[path].takes(value):
                what = f"'{path}' never has the value {_shown(value)} in this card's space"
                yield Misfit((*place, path), what, values_of(specs[path]))


def _all_params(card: StudyCard) -> Iterator[tuple[tuple[str | int, ...], Params]]:
    """Every set of parameters with its place."""
    for index, trial in enumerate(card.trials):
        yield ("trials", index, "params"), trial.params
    for index, failure in enumerate(card.failed):
        yield ("failed", index, "params"), failure.params
    if card.confirmed is not None:
        yield ("confirmed", "params"), card.confirmed.params


def _numbered_twice(group: str, numbers: Sequence[int]) -> Iterator[Misfit]:
    seen: set[int] = set()
    for index, number in enumerate(numbers):
        if number in seen:
            yield Misfit((group, index, "number"), f"trial {number} is there twice", "remove one")
        seen.add(number)


def _shown(value: Scalar) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:50]}..."


def name_from(text: str) -> str:
    """A name as cards have them, of any text."""
    plain = re.sub(r"[^\w .+()=,-]", "-", text).lstrip(" .+()=,-")
    return plain[:LONGEST] or "study"
