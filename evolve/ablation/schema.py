"""What may stand in a table file; unknown keys, ingredients and settings are refused here."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from evolve.ablation.designs import AWAY, Kind
from evolve.errors import nearest
from evolve.space.schema import refusal
from model.config import is_key, key_paths
from model.errors import ConfigurationError
from model.recipes import find_ingredient

_ROW_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_LONGEST_KEY = 100

MINI_BATCH, PRETRAIN = "mini_batch", "pretrain"
METRICS = {"detect": ("AP", "AP50", "AP75"), "classify": ("top1", "top5")}
"""What a table of a task shows, its objective first."""

ELSEWHERE = {
    "task": "write 'task:' at the top of the table",
    "model": "write 'model:' beside it",
    "seed": "all rows are trained with the same seeds; give --seeds",
}
"""Settings with a place of their own in a table."""


def _known_ingredient(text: str) -> str:
    """A key as the catalogue spells it, with its minus."""
    away = AWAY if text.strip().startswith(AWAY) else ""
    try:
        return away + find_ingredient(text.strip().removeprefix(AWAY)).key
    except ConfigurationError as error:
        raise refusal(error.what, error.mend) from None


def _no_minus(key: str) -> str:
    if key.startswith(AWAY):
        raise refusal(f"'{key}' takes an ingredient away", f"write '{key.removeprefix(AWAY)}'")
    return key


def _row_key(text: str) -> str:
    if not _ROW_KEY.fullmatch(text) or len(text) > _LONGEST_KEY:
        what = f"the key '{text}' cannot name a folder"
        raise refusal(what, "take letters, digits and . _ + -, a letter or digit first")
    return text


def setting_path(path: str) -> str:
    """A key path that may be set in a table; a refusal if it may not."""
    if path in ELSEWHERE:
        raise refusal(f"'{path}' is not set like this", ELSEWHERE[path])
    if not is_key(path):
        what = f"'{path}' is no setting of the training configuration"
        raise refusal(what, nearest(path, key_paths()))
    return path


IngredientKey = Annotated[str, AfterValidator(_known_ingredient)]
PlainKey = Annotated[IngredientKey, AfterValidator(_no_minus)]
RowKey = Annotated[str, AfterValidator(_row_key)]
SettingPath = Annotated[str, AfterValidator(setting_path)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BaseSpec(_Part):
    """What every row has."""

    ingredients: tuple[IngredientKey, ...] = Field(
        (), description="on top of the baseline's; -KEY takes one away"
    )
    set: dict[SettingPath, Any] = Field(
        {}, description="settings of the training configuration by key path"
    )
    mini_batch: Annotated[int, Field(ge=1)] | None = Field(
        None, description="images over which BN has its statistics, at whatever batch_size"
    )

    @field_validator("mini_batch")
    @classmethod
    def _says_how_a_batch_is_split(cls, count: int | None, info: ValidationInfo) -> int | None:
        if count is not None and "subdivisions" in info.data.get("set", {}):
            raise refusal("mini_batch and subdivisions say the same", "remove one of the two")
        return count


class PretrainSpec(_Part):
    """The classifier whose backbone a detector starts from."""

    model: str = Field(description="classifier of the zoo")
    ingredients: tuple[IngredientKey, ...] = Field(
        (), description="on top of a classifier's baseline; -KEY takes one away"
    )
    set: dict[SettingPath, Any] = Field({}, description="settings of its training by key path")


class RowSpec(BaseSpec):
    """One row; what it names comes on top of the base."""

    key: RowKey = Field(description="names its folder: letters, digits and . _ + -")
    title: str = Field("", description="what people read; left out: the key")
    model: str = Field("", description="in place of the table's")
    pretrain: PretrainSpec | None = Field(
        None, description="classifier that is trained first, whose backbone the row starts from"
    )
    paper_row: Annotated[int, Field(ge=1)] | None = Field(
        None, description="row of the paper's table that stands beside it"
    )
    baseline: str = Field("", description="key of another row to take its difference to")


class PlanSpec(_Part):
    """A design in place of rows; `orders` and `seed` are of Shapley values of many."""

    design: Kind = Field(description="which rows the ingredients give")
    ingredients: Annotated[tuple[IngredientKey, ...], Field(min_length=1)] = Field(
        description="what the design is of; -KEY is one like others"
    )
    orders: int | None = Field(
        None, description="shapley of more than five: orders that are drawn; left out: 8"
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(
        None, description="shapley: of these draws; left out: 0"
    )

    @property
    def options(self) -> dict[str, int]:
        """The given ones, as the design takes them."""
        given = {"orders": self.orders, "seed": self.seed}
        return {name: value for name, value in given.items() if value is not None}


class TableFile(_Part):
    """An ablation table, as written by a person."""

    title: str = Field(description="what people read above the table")
    description: str = Field("", description="what is compared, and with what caveats")
    task: Literal["detect", "classify"] = Field("detect", description="what its rows train")
    model: str = Field(
        "", description="of all rows; left out: yolov4-nano, of classifiers csdarknet53-nano"
    )
    paper: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of the paper's table that the rows stand beside"
    )
    columns: dict[PlainKey, str] | None = Field(
        None,
        description="ingredients with a column of check marks, and what stands above each; else "
        "those in which rows differ",
    )
    values: dict[str, tuple[str, ...]] = Field(
        {},
        description="other columns: which of several ingredients is on, a setting, mini_batch or "
        "pretrain",
    )
    base: BaseSpec = Field(BaseSpec(), description="what every row has")
    given: dict[PlainKey, dict[SettingPath, Any]] = Field(
        {}, description="values that ingredients take, by their key"
    )
    baseline: str = Field(
        "", description="key of the row that differences are taken to; left out: the first"
    )
    objective: str = Field(
        "",
        description="metric that decides: AP, AP50, AP75 (AP), of classifiers top1, top5 (top1)",
    )
    metrics: tuple[str, ...] = Field((), description="metrics that are shown; else all of them")
    rows: tuple[RowSpec, ...] = Field((), description="the rows, or else a plan")
    plan: PlanSpec | None = Field(None, description="a design that makes the rows")

    @field_validator("columns", mode="before")
    @classmethod
    def _headed_by_their_keys(cls, columns: Any) -> Any:
        """A list of ingredients is each with its own key above it."""
        if not isinstance(columns, list) or not all(isinstance(one, str) for one in columns):
            return columns
        twice = [one for i, one in enumerate(columns) if one in columns[:i]]
        if twice:
            raise refusal(f"the column '{twice[0]}' is there twice", "remove one of the two")
        return dict(zip(columns, columns, strict=True))

    @field_validator("values", mode="before")
    @classmethod
    def _one_word_is_a_list(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {
            name: (one,) if isinstance(one, str) else tuple(one) if isinstance(one, list) else one
            for name, one in values.items()
        }

    @field_validator("values")
    @classmethod
    def _can_be_shown(cls, values: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {name: _value_column(name, of) for name, of in values.items()}


def _value_column(name: str, of: tuple[str, ...]) -> tuple[str, ...]:
    """One setting, or ingredients as the catalogue spells them."""
    words = [MINI_BATCH, PRETRAIN, *key_paths()]
    if len(of) == 1 and of[0] in words:
        return of
    try:
        found = tuple(find_ingredient(one).key for one in of)
    except ConfigurationError as error:
        if len(of) > 1:
            raise refusal(f"values.{name}: {error.what}", error.mend) from None
        what = f"values.{name}: '{of[0]}' is neither a setting nor an ingredient"
        raise refusal(what, nearest(of[0], words)) from None
    if not found:
        raise refusal(f"values.{name} names nothing", "name a setting, or ingredients in a list")
    return found
