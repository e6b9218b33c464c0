"""`evolve spaces`."""

from typing import TYPE_CHECKING, Any

import click

from evolve.cli import complete

if TYPE_CHECKING:
    from evolve.space import Parameter, Space


@click.command("spaces")
@click.argument("name", required=False, shell_complete=complete.space)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def command(name: str | None, as_json: bool) -> None:
    """List the search spaces that come with evolve, or show the one called NAME in full.

    NAME may also be the path of a space file.

    \b
    evolve spaces
    evolve spaces ga
    """  # noqa: D301
    import json

    from evolve.space import bundled_spaces, find_space_file, load_space

    if name is None:
        spaces = [load_space(path) for path in bundled_spaces()]
        click.echo(
            json.dumps([space.to_dict() for space in spaces])
            if as_json
            else "\n\n".join(map(_summary, spaces))
        )
        return
    space = load_space(find_space_file(name))
    click.echo(json.dumps(space.to_dict()) if as_json else _in_full(space))


def _summary(space: "Space") -> str:
    names = (*(p.path for p in space.parameters), *(f.path for f in space.fixed))
    paths = ", ".join(names)
    text = click.wrap_text(paths, 79, "  ", "  ")
    return f"{space.name}: {_line(space.description)}\n{text}"


def _in_full(space: "Space") -> str:
    variant = "" if space.variant == "evolve" else f" ({space.variant})"
    plan = (
        f"{space.trials} trials of {space.base.epochs} epochs of {space.base.model}, "
        f"objective {_objectives(space)}, sampler {space.sampler}{variant}, "
        f"scheduler {space.scheduler}"
    )
    blocks = [f"{space.name}: {_line(space.description)}\n{plan}"]
    blocks += [_entry(p.path, _range(p), p.why) for p in space.parameters]
    blocks += [_entry(f.path, f"fixed to {_number(f.value)}", f.why) for f in space.fixed]
    if space.constraints:
        blocks.append("\n".join(("constraints", *(f"  {text}" for text in space.constraints))))
    return "\n\n".join(blocks)


def _objectives(space: "Space") -> str:
    return f"{space.objective} against {space.cost}" if space.cost else space.objective


def _entry(path: str, values: str, why: str) -> str:
    return f"  {path}  {values}\n{click.wrap_text(why, 79, '    ', '    ')}".rstrip()


def _range(parameter: "Parameter") -> str:
    """Range or choices in words, with the default."""
    if parameter.choices is not None:
        body = ", ".join(map(_number, parameter.choices))
        body += ", in this order" if parameter.kind == "ordinal" else ""
    else:
        body = f"{_number(parameter.low)} to {_number(parameter.high)}"
        body += f" in steps of {parameter.step}" if (parameter.step or 1) != 1 else ""
        body += ", log" if parameter.scale == "log" else ""
    body += f" (default {_number(parameter.default)})"
    conditions = (
        f"{parent} is {' or '.join(map(_number, values))}"
        for parent, values in parameter.when.items()
    )
    return f"{body}, when {' and '.join(conditions)}" if parameter.when else body


def _line(text: str) -> str:
    """Text of a file of somebody's, on one line."""
    from evolve.outside_text import printable

    return printable(" ".join(text.split()))


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
