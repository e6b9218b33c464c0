"""The entries of a search space: what is searched, and what is fixed beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evolve.space.schema import Scalar, SearchedSpec

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
        float, int, ordinal or categorical.
    default : bool, int, float or str
        The value of trial 0.
    scale : str
        linear or log.
    low, high : float or None
        Bounds, both included; None where there are choices.
    step : int or None
        Distance of neighbours; for an int only.
    choices : tuple or None
        For a categorical, or in their order for an ordinal.
    why : str
        One line for the reader of a report.
    when : mapping of key path -> tuple of values
        The parameter exists only while each of these parents has one of these values.
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
    when: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)

    @classmethod
    def from_spec(cls, path: str, spec: SearchedSpec) -> "Parameter":
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
        if self.when:
            fields["when"] = {parent: list(values) for parent, values in self.when.items()}
        return {**fields, "default": self.default, "why": self.why}

    def distribution(self) -> "BaseDistribution":
        """Optuna's distribution; it knows no ordinals, so theirs is a categorical in order."""
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

    def takes(self, value: Scalar) -> bool:
        """Whether a trial may have this value; true is not 1, and text is no number."""
        if self.choices is not None:
            return any(
                value == choice and isinstance(value, bool) == isinstance(choice, bool)
                for choice in self.choices
            )
        assert self.low is not None
        assert self.high is not None
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        whole = isinstance(value, int) and not (value - int(self.low)) % (self.step or 1)
        return self.kind == "float" or whole

    def probes(self) -> tuple[Scalar, ...]:
        """Values that show whether the training configuration takes the whole range."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        inner = self.low + self.step if self.step else self.low + 0.381966 * (self.high - self.low)
        return (self.low, self.high, self.default, inner)


@dataclass(frozen=True)
class Fixed:
    """A setting that stands among the parameters of a space file, but is set, not searched."""

    path: str
    value: Scalar
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON types, as in a space file."""
        return {"type": "fixed", "value": self.value, "why": self.why}
