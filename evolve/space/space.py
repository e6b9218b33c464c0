"""A search space: what is searched, from which start, on top of which training configuration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evolve.errors import SpaceError, nearest
from evolve.space.schema import CategoricalSpec, FloatSpec, IntSpec, Scalar, SpaceFile
from model.config import TrainConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Parameter:
    """One searched setting.

    Attributes
    ----------
    path : str
        Key path of the training configuration.
    kind : str
        float, int or categorical.
    default : bool, int, float or str
        The value of trial 0.
    scale : str
        linear or log.
    low, high : float or None
        Bounds, both included; None for a categorical.
    step : int or None
        Distance of neighbours; for an int only.
    choices : tuple or None
        For a categorical only.
    why : str
        One line for the reader of a report.
    """

    path: str
    kind: str
    default: Scalar
    scale: str = "linear"
    low: float | None = None
    high: float | None = None
    step: int | None = None
    choices: tuple[Scalar, ...] | None = None
    why: str = ""

    @classmethod
    def from_spec(cls, path: str, spec: FloatSpec | IntSpec | CategoricalSpec) -> "Parameter":
        """Parameter as a space file has it."""
        fields = spec.model_dump()
        return cls(path, fields.pop("type"), fields.pop("default"), **fields)

    def to_dict(self) -> dict[str, Any]:
        """JSON types, as in a space file."""
        fields: dict[str, Any] = {"type": self.kind}
        if self.choices is None:
            fields.update(low=self.low, high=self.high, scale=self.scale)
        else:
            fields["choices"] = list(self.choices)
        if self.step is not None:
            fields["step"] = self.step
        return {**fields, "default": self.default, "why": self.why}

    def distribution(self) -> "BaseDistribution":
        """Optuna's distribution."""
        from optuna import distributions

        if self.choices is not None:
            return distributions.CategoricalDistribution(self.choices)
        assert self.low is not None
        assert self.high is not None
        log = self.scale == "log"
        if self.kind == "int":
            low, high, step = int(self.low), int(self.high), self.step or 1
            return distributions.IntDistribution(low, high, log=log, step=step)
        return distributions.FloatDistribution(self.low, self.high, log=log)

    def probes(self) -> tuple[Scalar, ...]:
        """Values that show whether the training configuration takes the whole range."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        inner = self.low + self.step if self.step else self.low + 0.381966 * (self.high - self.low)
        return (self.low, self.high, self.default, inner)


@dataclass(frozen=True)
class Space:
    """What a run searches.

    `base` is the training configuration of everything that is not searched; `parameters` are
    in the order of the file, at least one. `confirm` is the size of the final comparison, as
    text of `evolve.space.confirm`.
    """

    name: str
    description: str
    objective: str
    trials: int
    sampler: str
    scheduler: str
    base: TrainConfig
    parameters: tuple[Parameter, ...]
    confirm: str = "3x3"

    def distributions(self) -> "dict[str, BaseDistribution]":
        """Optuna's distribution of every parameter, by key path."""
        return {parameter.path: parameter.distribution() for parameter in self.parameters}

    def defaults(self) -> dict[str, Scalar]:
        """Value of every parameter in trial 0."""
        return {parameter.path: parameter.default for parameter in self.parameters}

    def to_config(self, values: dict[str, Any]) -> TrainConfig:
        """Training configuration of a trial; a parameter without a value takes its default.

        Raises
        ------
        SpaceError
            If a value belongs to no parameter, or the configuration refuses it.
        """
        for path in values:
            if path not in self.defaults():
                raise SpaceError(
                    f"'{path}' is not searched", self.name, nearest(path, self.defaults())
                )
        try:
            return self.base.with_values({**self.defaults(), **values})
        except ValidationError as refused:
            detail = refused.errors()[0]
            path = ".".join(map(str, detail["loc"]))
            raise SpaceError(detail["msg"], f"{self.name}  {path}") from refused

    def to_dict(self) -> dict[str, Any]:
        """JSON types, in the schema of a space file, with everything spelt out."""
        return {
            "name": self.name,
            "description": self.description,
            "objective": self.objective,
            "trials": self.trials,
            "sampler": self.sampler,
            "scheduler": self.scheduler,
            "confirm": self.confirm,
            "train": self.base.to_dict(),
            "parameters": {p.path: p.to_dict() for p in self.parameters},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Space":
        """Space from `to_dict`; raises pydantic's ValidationError if it was tampered with."""
        file = SpaceFile.model_validate(data)
        return cls.from_file(file, TrainConfig.model_validate(file.train))

    @classmethod
    def from_file(cls, file: SpaceFile, base: TrainConfig) -> "Space":
        """Space of a checked file and its checked training configuration."""
        parameters = (Parameter.from_spec(path, spec) for path, spec in file.parameters.items())
        return cls(
            file.name,
            file.description,
            file.objective,
            file.trials,
            file.sampler,
            file.scheduler,
            base,
            tuple(parameters),
            file.confirm,
        )
