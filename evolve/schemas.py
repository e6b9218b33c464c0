"""JSON schemas of the files that people write, for editors: space, table, training configuration.

They are made from the models that check these files, so they know every key with its type, range,
default and meaning. Where a validator takes more than its field's type says (one value for a
list), the schema is widened by hand; a test compares both on all files that come with evolve.
What only a whole file shows (a default outside its range, conditions, ingredients that exclude
each other) is told by evolve alone.
"""

from collections.abc import Callable
from typing import Any

from evolve.ablation.schema import ELSEWHERE, TableFile
from evolve.space.schema import SpaceFile
from model.config import FILES, TrainConfig
from model.ingredient import catalogue

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CHANGE = r"^changes\.[0-9]+\."
SCALAR: Schema = {"type": ["boolean", "integer", "number", "string"]}


def train_schema() -> Schema:
    """Of a training configuration, such as the `best.yaml` of a run."""
    schema = _bare(TrainConfig.model_json_schema())
    schema["title"] = "evolve training configuration"
    changes = schema["properties"]["changes"]
    changes["patternProperties"] = {"^[0-9]+$": {"type": "object"}}
    changes["additionalProperties"] = False
    for path, leaf in leaves(schema).items():
        schema["properties"].setdefault(path, leaf)
    return {"$schema": DIALECT, **schema}


def space_schema() -> Schema:
    """Of a search space."""
    schema = _bare(SpaceFile.model_json_schema())
    schema["title"] = "evolve search space"
    keys, train = schema["properties"], train_schema()
    schema["$defs"] |= train.pop("$defs")
    keys["train"] = {
        name: part for name, part in train.items() if name in ("type", "properties")
    } | {"additionalProperties": False, "description": keys["train"]["description"]}
    one = keys["objective"].pop("items")
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": 2}
    keys["objective"] = {"anyOf": [one, several], "description": keys["objective"]["description"],
                         "default": "AP"}  # fmt: skip
    keys["confirm"]["type"] = ["string", "integer"]
    spec = keys["parameters"].pop("additionalProperties")
    keys["parameters"] |= {
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            path: spec | {"description": leaf.get("description", "")}
            for path, leaf in leaves(train_schema()).items()
        },
    }
    _widen_specs(schema["$defs"])
    return {"$schema": DIALECT, **schema}


def table_schema() -> Schema:
    """Of an ablation table."""
    schema = _bare(TableFile.model_json_schema())
    schema["title"] = "evolve ablation table"
    train = train_schema()
    parts = (schema, *(schema["$defs"][name] for name in ("BaseSpec", "RowSpec", "PretrainSpec")))
    settings = _settings(train)
    for part in parts:
        keys = part["properties"]
        if "set" in keys:
            keys["set"] = settings | {"description": keys["set"]["description"]}
        if "ingredients" in keys:
            keys["ingredients"]["items"] = _ingredients("", "-")
    schema["$defs"]["PlanSpec"]["properties"]["ingredients"]["items"] = _ingredients("", "-")
    keys = schema["properties"]
    words: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    keys["values"]["additionalProperties"] = {"anyOf": [{"type": "string"}, words]}
    keys["columns"]["anyOf"].insert(0, {"type": "array", "items": _ingredients("")})
    keys["given"] |= {"propertyNames": _ingredients(""), "additionalProperties": settings}
    schema["$defs"] |= train["$defs"]
    return {"$schema": DIALECT, **schema}


KINDS: dict[str, Callable[[], Schema]] = {
    "space": space_schema,
    "table": table_schema,
    "train": train_schema,
}


def leaves(schema: Schema, prefix: str = "") -> dict[str, Schema]:
    """Schema of every setting by its key path; of a training configuration's.

    What evolve fills in itself (digests of files, changes) is not among them.
    """
    found: dict[str, Schema] = {}
    _gather(schema, schema.get("$defs", {}), prefix, found)
    filled_in = {f"{path}_sha256" for path in FILES}
    return {
        path: leaf
        for path, leaf in found.items()
        if path not in filled_in and path.split(".")[0] != "changes"
    }


def _gather(section: Schema, defs: Schema, prefix: str, found: dict[str, Schema]) -> None:
    for name, part in section["properties"].items():
        if "." in name:  # a key path, put there by `train_schema`
            continue
        if "$ref" in part:
            _gather(defs[part["$ref"].rsplit("/", 1)[1]], defs, f"{prefix}{name}.", found)
        else:
            found[f"{prefix}{name}"] = part


def _bare(tree: Any) -> Any:
    """Without the titles that pydantic makes of names, and defaults of whole sections."""
    if isinstance(tree, list):
        return [_bare(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    kept = {
        name: _bare(part)
        for name, part in tree.items()
        if not (name == "title" and isinstance(part, str))
    }
    if "$ref" in kept:
        kept.pop("default", None)
    return kept


def _widen_specs(defs: Schema) -> None:
    """One value in place of a list, and at least two choices."""
    for spec in (defs[name] for name in defs if name.endswith("Spec")):
        keys = spec["properties"]
        if "when" in keys:
            some = {"type": "array", "items": SCALAR, "minItems": 1}
            keys["when"]["additionalProperties"] = {"anyOf": [SCALAR, some]}
        if "choices" in keys:
            keys["choices"] |= {"minItems": 2, "uniqueItems": True}


def _settings(train: Schema) -> Schema:
    """What may stand in `set`: key paths, less those that are said elsewhere, and changes."""
    paths = {path: leaf for path, leaf in leaves(train).items() if path not in ELSEWHERE}
    return {
        "type": "object",
        "properties": paths,
        "patternProperties": {CHANGE: {}},
        "additionalProperties": False,
    }


def _ingredients(*before: str) -> Schema:
    """Keys of the catalogue, as it spells them."""
    return {"enum": [minus + key for key in catalogue() for minus in before]}
