"""What may stand in a space file; unknown keys, wrong types and empty ranges are refused here."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from evolve.budget import Budget
from evolve.confirm import Confirm
from evolve.errors import SpaceError, nearest
from evolve.objectives import COSTS, METRICS
from evolve.space.constraints import Constraint
from model.config import key_paths

Scalar = bool | int | float | str
Objective = Literal["AP", "AP50", "AP75", "latency", "BFLOPs", "parameters"]
Sampler = Literal["genetic", "tpe", "cmaes", "gp", "nsga2", "qmc", "random"]
Variant = Literal["evolve", "paper", "yolov5"]
Scheduler = Literal["asha", "hyperband", "pbt", "median", "promote", "none"]


def refusal(what: str, mend: str) -> PydanticCustomError:
    """Error to raise in a validator; `mend` reaches the user beside `what`."""
    return PydanticCustomError("refused", "{what}", {"what": what, "mend": mend})


def _known_path(path: str) -> str:
    known = key_paths()
    if path not in known:
        what = f"'{path}' is no setting of the training configuration"
        raise refusal(what, nearest(path, known))
    return path


KnownPath = Annotated[str, AfterValidator(_known_path)]


class _Spec(BaseModel):
    """What all kinds of parameters share."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    why: str = Field("", description="one line: what the setting does, and why this range")


class _SearchedSpec(_Spec):
    """A setting that is searched: always, or under conditions."""

    when: dict[KnownPath, tuple[Scalar, ...]] = Field(
        {}, description="only while each of these parents has this value, or one of these"
    )

    @field_validator("when", mode="before")
    @classmethod
    def _one_value_is_a_list(cls, when: Any) -> Any:
        if not isinstance(when, dict):
            return when
        return {
            parent: tuple(values) if isinstance(values, list | tuple) else (values,)
            for parent, values in when.items()
        }

    @field_validator("when")
    @classmethod
    def _some_value(cls, when: dict[str, Any]) -> dict[str, Any]:
        empty = [parent for parent, values in when.items() if not values]
        if empty:
            raise refusal(f"no value of '{empty[0]}' is named", "name at least one")
        return when


class _RangeSpec(_SearchedSpec):
    """A numeric range; checks of one value against another are made at the later one."""

    scale: Literal["linear", "log"] = Field(
        "linear", description="how values are spread; log needs low > 0"
    )

    @field_validator("low", check_fields=False)
    @classmethod
    def _log_needs_positive(cls, low: float, info: ValidationInfo) -> float:
        if info.data.get("scale") == "log" and low <= 0:
            raise refusal(f"a log scale needs low > 0 (low={low})", "raise low, or scale: linear")
        return low

    @field_validator("high", check_fields=False)
    @classmethod
    def _high_is_above(cls, high: float, info: ValidationInfo) -> float:
        low = info.data.get("low")
        if low is not None and low > high:
            raise refusal(f"low is above high (low={low}, high={high})", "swap the two")
        if low == high:
            mend = "widen the range, or move the setting to 'train'"
            raise refusal(f"low equals high ({low}): nothing to search", mend)
        return high

    @field_validator("default", check_fields=False)
    @classmethod
    def _default_is_inside(cls, default: float, info: ValidationInfo) -> float:
        low, high = info.data.get("low"), info.data.get("high")
        if low is not None and high is not None and not low <= default <= high:
            what = f"default {default} is outside [{low}, {high}]"
            raise refusal(what, "move the default inside, or widen the range")
        return default


class FloatSpec(_RangeSpec):
    """A real number between `low` and `high`, both included."""

    type: Literal["float"] = Field(description="a real number")
    low: float = Field(description="lowest value, included")
    high: float = Field(description="highest value, included")
    default: float = Field(description="value of trial 0")


class IntSpec(_RangeSpec):
    """A whole number `low`, `low + step`, ... up to `high`."""

    type: Literal["int"] = Field(description="a whole number")
    step: Annotated[int, Field(ge=1)] = Field(
        1, description="between two values, counted from low; a log scale takes none"
    )
    low: int = Field(description="lowest value, included")
    high: int = Field(description="highest value, included; a whole number of steps above low")
    default: int = Field(description="value of trial 0")

    @field_validator("step")
    @classmethod
    def _log_has_no_step(cls, step: int, info: ValidationInfo) -> int:
        if step != 1 and info.data.get("scale") == "log":
            raise refusal("a log scale takes no step", "drop step, or scale: linear")
        return step

    @field_validator("high", "default")
    @classmethod
    def _on_the_grid(cls, value: int, info: ValidationInfo) -> int:
        low, step = info.data.get("low"), info.data.get("step")
        if low is not None and step is not None and (value - low) % step:
            below = value - (value - low) % step
            what = f"{info.field_name} {value} is not reached from low={low} by steps of {step}"
            raise refusal(what, f"take {below} or {below + step}")
        return value


class _ChoiceSpec(_SearchedSpec):
    """One of a few values."""

    choices: tuple[Scalar, ...] = Field(description="two or more values: text, numbers, booleans")
    default: Scalar = Field(description="value of trial 0, one of the choices")

    @field_validator("choices")
    @classmethod
    def _choices_differ(cls, choices: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        twice = [choice for i, choice in enumerate(choices) if choice in choices[:i]]
        if twice:
            raise refusal(f"choice {twice[0]!r} is given twice", "remove one of the two")
        if len(choices) < 2:
            mend = "add a choice, or move the setting to 'train'"
            raise refusal(f"{len(choices)} choice: nothing to search", mend)
        return choices

    @field_validator("default")
    @classmethod
    def _default_is_a_choice(cls, default: Scalar, info: ValidationInfo) -> Scalar:
        choices = info.data.get("choices")
        if choices is not None and default not in choices:
            what = f"default {default!r} is none of the choices"
            raise refusal(what, f"take one of {', '.join(map(repr, choices))}")
        return default


class CategoricalSpec(_ChoiceSpec):
    """One of a few values without order."""

    type: Literal["categorical"] = Field(description="values without order")


class OrdinalSpec(_ChoiceSpec):
    """One of a few values in an order: neighbours are alike."""

    type: Literal["ordinal"] = Field(
        description="values whose neighbours are alike: numbers in order, or text as it stands"
    )

    @field_validator("choices")
    @classmethod
    def _choices_have_an_order(cls, choices: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        if all(isinstance(choice, str) for choice in choices):
            return choices  # words have the order in which they stand
        numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
        if len(numbers) < len(choices):
            raise refusal("ordinal choices must be all numbers, or all text", "or: categorical")
        if numbers not in (sorted(numbers), sorted(numbers, reverse=True)):
            shown = ", ".join(map(str, sorted(numbers)))
            raise refusal("the numbers are not in order", f"write [{shown}], or categorical")
        return choices


class FixedSpec(_Spec):
    """A setting that is set, not searched."""

    type: Literal["fixed"] = Field(description="set, not searched")
    value: Scalar = Field(description="value in every trial")


SearchedSpec = FloatSpec | IntSpec | CategoricalSpec | OrdinalSpec
Spec = Annotated[SearchedSpec | FixedSpec, Field(discriminator="type")]


def _is_constraint(text: str) -> str:
    try:
        Constraint(text)
    except SpaceError as error:
        raise refusal(f"{error.what} (in '{error.where}')", error.mend) from error
    return text


ConstraintText = Annotated[str, AfterValidator(_is_constraint)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _metric_and_cost(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if they are a metric, and at most a cost after it."""
    if len(names) > 2 or not names:
        what = f"{len(names)} objectives: a search has one, or two"
        raise refusal(what, "write AP, or [AP, latency]")
    first, *second = names
    if first not in METRICS:
        metrics = f"a metric of val, one of {', '.join(METRICS)}"
        what = f"the first objective must be {metrics}, not {first}"
        raise refusal(what, f"write [AP, {first}]")
    if second and second[0] not in COSTS:
        what = f"the second objective must be a cost, one of {', '.join(COSTS)}, not {second[0]}"
        raise refusal(what, f"write {first} alone, or [{first}, latency]")
    return names


Objectives = Annotated[
    tuple[Objective, ...], BeforeValidator(_as_tuple), AfterValidator(_metric_and_cost)
]


class SpaceFile(BaseModel):
    """A search space file, as written by a person."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field("", description="of the space; left out: that of the file")
    description: str = Field("", description="what is searched, and why")
    objective: Objectives = Field(
        ("AP",),
        description="metric of val to raise (AP, AP50, AP75), and beside it perhaps a cost to "
        "lower (latency, BFLOPs, parameters)",
    )
    trials: Annotated[int, Field(ge=1)] = Field(12, description="trials in all")
    sampler: Sampler = Field("genetic", description="what proposes trials")
    variant: Variant = Field("evolve", description="of the genetic sampler")
    scheduler: Scheduler = Field("asha", description="what stops trials early")
    fidelity: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.1, description="scheduler promote: part of each training that is searched with"
    )
    promote: Annotated[int, Field(ge=1)] = Field(
        5, description="scheduler promote: how many are trained to their end"
    )
    budget: str = Field(
        "",
        description="time for all of it: 45m, 12h, or 24gpuh, 96cpuh of what trials hold; else "
        "as long as it takes",
    )
    until_no_gain: Annotated[int, Field(ge=0)] = Field(
        0, description="begin no trial after so many without a better value; 0: never stop so"
    )
    max_failures: Annotated[int, Field(ge=0)] | None = Field(
        None, description="stop when more trials than this have failed; left out: never"
    )
    train: dict[str, Any] = Field({}, description="training configuration of what is not searched")
    confirm: str = Field(
        "3x3",
        description="final comparison, candidates x fresh seeds each; 0 leaves it out",
    )
    parameters: dict[KnownPath, Spec] = Field(
        description="what is searched: key paths of the training configuration"
    )
    constraints: tuple[ConstraintText, ...] = Field(
        (), description="expressions of settings that are true in every trial"
    )

    @field_validator("variant")
    @classmethod
    def _variant_is_of_the_genetic_sampler(cls, variant: str, info: ValidationInfo) -> str:
        sampler = info.data.get("sampler", "genetic")
        if variant != "evolve" and sampler != "genetic":
            what = f"the sampler '{sampler}' has no variant '{variant}'"
            raise refusal(what, "drop the variant, or take sampler: genetic")
        return variant

    @field_validator("confirm", mode="before")
    @classmethod
    def _confirm_is_a_size(cls, value: Any) -> str:
        try:
            return str(Confirm.parse(str(value)))
        except SpaceError as error:
            raise refusal(error.what, error.mend) from None

    @field_validator("budget", mode="before")
    @classmethod
    def _budget_is_a_time(cls, value: Any) -> str:
        try:
            return Budget.parse(str(value)).text if value else ""
        except SpaceError as error:
            raise refusal(error.what, error.mend) from None

    @field_validator("parameters")
    @classmethod
    def _something_to_search(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if all(isinstance(spec, FixedSpec) for spec in parameters.values()):
            raise refusal("no parameters: nothing to search", "add one, such as optimizer.lr")
        return parameters
