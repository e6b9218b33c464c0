"""Pages and schemas that are made from the program, anew at each build of these docs.

``python -m docs.generate FOLDER`` writes them: every command with its options, from click, and
every key of the YAML files, from the models that check them.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from evolve.cli.main import VERBS, cli
from evolve.schemas import KINDS, Schema, leaves, space_schema, table_schema, train_schema
from model.config import TrainConfig

SPECS = ("FloatSpec", "IntSpec", "CategoricalSpec", "OrdinalSpec", "FixedSpec")
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
}
ON_ONE_LINE = 8  # choices


def write_reference(folder: Path) -> None:
    """Write all of it; what is there and the same stays untouched, so that builds are short."""
    pages = {
        "commands.md": commands_page(),
        "space-keys.md": space_page(),
        "table-keys.md": table_page(),
        "train-keys.md": train_page(),
    }
    for kind, schema in KINDS.items():
        pages[f"schemas/schemas/{kind}.schema.json"] = json.dumps(schema(), indent=1)
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


# ---- commands


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its whole name, in the order of use."""
    root = click.Context(cli, info_name="evolve")
    for verb in VERBS:
        yield from _commands(verb, cli.get_command(root, verb), root)


def _commands(
    name: str, command: click.Command | None, above: click.Context
) -> Iterator[tuple[str, click.Command]]:
    assert command is not None, name
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command, info_name=name, parent=above)
    for inner in command.list_commands(context):
        yield from _commands(f"{name} {inner}", command.get_command(context, inner), context)


def commands_page() -> str:
    """All commands with arguments, options, defaults and examples."""
    parts = [
        "# Commands",
        "Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted. Results go to stdout, "
        "progress and messages to stderr. `evolve --debug COMMAND` shows tracebacks and debug "
        "logs, `evolve -q COMMAND` results and errors only.",
        "This page is made from the program; `evolve COMMAND --help` prints the same.",
    ]
    for name, command in commands():
        parts += _command(name, command)
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=f"evolve {name}")
    usage = " ".join([f"evolve {name}", *command.collect_usage_pieces(context)])
    parts = [f"## evolve {name}", f"```text\n{usage}\n```", *_told(command.help or "")]
    records = [param.get_help_record(context) for param in command.params]
    rows = [
        (_escaped(f"`{names.replace(' RANGE', '')}`"), _escaped(text))
        for names, text in filter(None, records)
    ]
    return [*parts, _rows(("option", "meaning"), rows)]


def _told(text: str) -> Iterator[str]:
    """Paragraphs of a help text; those that click leaves as they are become blocks."""
    for part in inspect.cleandoc(text).split("\n\n"):
        kept, body = part.startswith("\b\n"), part.removeprefix("\b\n")
        yield f"```sh\n{body}\n```" if kept else _escaped(body)


# ---- keys


def train_page() -> str:
    """Every setting of the training configuration."""
    found = leaves(train_schema())
    parts = [
        "# Keys of the training configuration",
        "What `train:` of a [space](../spaces.md) takes, `set` of a [table](../tables.md), "
        "`--set KEY=VALUE` of most commands, and a file for `evolve train --config`; in a file, "
        "sections may be nested or written with dots. A space searches any of them.",
        _editor("train"),
    ]
    for section, paths in groupby(found, key=lambda path: path.rpartition(".")[0]):
        parts += _section(section, {path: found[path] for path in paths})
    changes = train_schema()["properties"]["changes"]["description"]
    parts += ["## changes", f"`changes`: {_escaped(changes)}."]
    return "\n\n".join(parts) + "\n"


def _section(name: str, found: dict[str, Schema]) -> list[str]:
    if not name:
        return ["## The training as a whole", _keys(found)]
    model: Any = TrainConfig
    for step in name.split("."):
        model = model.model_fields[step].annotation
    return [f"## {name}", _escaped(inspect.cleandoc(model.__doc__ or "")), _keys(found)]


def space_page() -> str:
    """Every key of a space file."""
    schema = space_schema()
    parts = [
        "# Keys of a space file",
        "How they work together is told in [Search spaces](../spaces.md).",
        _editor("space"),
        "## At the top",
        _keys(schema["properties"], schema),
    ]
    for name in SPECS:
        part = schema["$defs"][name]
        kind = part["properties"]["type"]["const"]
        parts += [f"## A parameter of type `{kind}`", part["description"],
                  _keys(part["properties"], part)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def table_page() -> str:
    """Every key of a table file."""
    schema = table_schema()
    defs = schema["$defs"]
    parts = [
        "# Keys of a table file",
        "How they work together is told in [Ablation tables](../tables.md).",
        _editor("table"),
        "## At the top",
        _keys(schema["properties"], schema),
    ]
    titles = {
        "BaseSpec": "base",
        "RowSpec": "An entry of rows",
        "PretrainSpec": "pretrain of a row",
        "PlanSpec": "plan",
    }
    for name, title in titles.items():
        parts += [f"## {title}", _escaped(defs[name]["description"]),
                  _keys(defs[name]["properties"], defs[name])]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _editor(kind: str) -> str:
    return (
        f"For completion and checks in an editor: `evolve schema {kind} --out "
        f"{kind}.schema.json`, and `# yaml-language-server: $schema={kind}.schema.json` as the "
        "first line of the file ([more](../editors.md))."
    )


def _keys(found: dict[str, Schema], whole: Schema | None = None) -> str:
    required = (whole or {}).get("required", ())
    first = sorted(found, key=lambda path: (path != "type", path not in required))
    rows = [
        (f"`{path}`", _kind(part), "needed" if path in required else _default(part),
         _escaped(part.get("description", "")))
        for path, part in ((path, found[path]) for path in first)
    ]  # fmt: skip
    return _rows(("key", "values", "default", "meaning"), rows)


def _kind(part: Schema) -> str:
    """Type and range in words."""
    if "anyOf" in part:
        kinds = [_kind(one) for one in part["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds)).replace(f"list of {kinds[0]}", "a list of these")
    if "$ref" in part:
        return "section"
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{one}`" for one in part["enum"])
    return _of_type(part)


def _of_type(part: Schema) -> str:
    kind = part.get("type")
    if kind == "array":
        inner = part.get("items", {})
        many = "enum" in inner and len(inner["enum"]) > ON_ONE_LINE
        return "list of " + ("ingredients" if many else _kind(inner))
    if kind == "object":
        return "mapping"
    words = {"number": "number", "integer": "whole number", "boolean": "`true`, `false`",
             "string": "text"}  # fmt: skip
    if isinstance(kind, list):
        return " or ".join(words[one] for one in kind)
    bounds = [form.format(_number(part[key])) for key, form in BOUNDS.items() if key in part]
    return " ".join([words[str(kind)], ", ".join(bounds)]).strip()


def _number(value: float) -> str:
    return "2^63" if value == 2**63 else f"{value:g}"


def _default(part: Schema) -> str:
    if part.get("default") in (None, "", [], {}):
        return ""
    value = part["default"]
    if isinstance(value, float):
        return f"`{value:.4g}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


# ---- Markdown


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _escaped(text: str) -> str:
    """Text in which nothing but backticks has a meaning, on one line, for a cell."""
    words = " ".join(text.replace("``", "`").split())
    words = re.sub(r"(?<![\w`'-])(--[a-z][a-z-]*)", r"`\1`", words)
    parts = re.split(r"(`[^`]*`)", words)
    return "".join(
        part.replace("|", r"\|")
        if part.startswith("`")
        else re.sub(r"([\\*_<\[\]|{}])", r"\\\1", part)
        for part in parts
    )


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]))
