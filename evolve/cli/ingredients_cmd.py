"""`evolve ingredients`."""

import dataclasses
import shutil
from itertools import groupby
from typing import TYPE_CHECKING, Any, get_args

import click

from evolve.cli import complete

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from model.ingredient import Ingredient, Setting

WIDEST, NARROWEST = 100, 60
TASKS = ("detect", "classify")


@click.command("ingredients")
@click.argument("keys", metavar="[KEY]...", nargs=-1, shell_complete=complete.ingredient)
@click.option(
    "--family",
    shell_complete=complete.family,
    help="Only those of a family, such as loss or special.",
)
@click.option("--task", type=click.Choice(TASKS), help="Only those defined for a task.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--markdown", is_flag=True, help="As docs/ingredients.md.")
def command(
    keys: tuple[str, ...], family: str | None, task: str | None, as_json: bool, markdown: bool
) -> None:
    """List freebies and specials that can be ablated, or show those called KEY in full.

    A star marks those that the baseline of ablations has on. Costs are those of detecting:
    parameters and operations that yolov4 with 80 classes has more at 416 px.

    \b
    evolve ingredients
    evolve ingredients M Mish
    evolve ingredients --family loss --task detect
    """  # noqa: D301
    if as_json and markdown:
        raise click.UsageError("give --json or --markdown, not both")
    chosen = _chosen(keys, family, task)
    if not chosen:
        raise click.UsageError("none of these ingredients is of that family and task")
    if as_json:
        import json

        click.echo(json.dumps([_as_dict(ingredient) for ingredient in chosen]))
    elif markdown:
        click.echo(_markdown(chosen))
    elif keys:
        click.echo("\n\n".join(_in_full(ingredient, _width()) for ingredient in chosen))
    else:
        click.echo(_table(chosen, _width()))


def _chosen(keys: "Sequence[str]", family: str | None, task: str | None) -> "list[Ingredient]":
    """Those asked for: by key in the order given, else by family in the order of the catalogue."""
    from model.ingredient import Family, catalogue
    from model.recipes import find_ingredient

    families = get_args(Family)
    if family is not None and family not in families:
        from model.errors import nearest

        raise click.BadParameter(f"no family '{family}'; {nearest(family, families)}")
    found = [find_ingredient(key) for key in keys] or sorted(
        catalogue().values(), key=lambda each: families.index(each.family)
    )
    return [
        each
        for each in {each.key: each for each in found}.values()
        if family in (None, each.family) and (task is None or task in each.tasks)
    ]


def _as_dict(ingredient: "Ingredient") -> dict[str, Any]:
    return dataclasses.asdict(ingredient) | {
        "is_default": ingredient.is_default, "conflicts": _conflicts(ingredient),
    }  # fmt: skip


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def _table(ingredients: "Iterable[Ingredient]", width: int) -> str:
    """Families one below the other, mostly two lines an ingredient."""
    blocks = []
    for family, members in groupby(ingredients, key=lambda each: each.family):
        rows = "\n".join(_row(each, width) for each in members)
        blocks.append(f"{family}\n{rows}")
    return "\n\n".join(blocks)


def _row(ingredient: "Ingredient", width: int) -> str:
    """Key, title and, at the right, what it costs; below its slots, its company, its source."""
    star = "*" if ingredient.in_baseline else " "
    head = f" {star} {ingredient.key:<17} {ingredient.title}"
    cost = _short_cost(ingredient)
    told = [*_slots(ingredient), *_company(ingredient)] or ["listed only"]
    if len(head) + 1 + len(cost) > width:
        told, cost = [*told, cost], ""
    lines = [f"{head:<{width - len(cost) - 1}} {cost}".rstrip()]
    indent, details = " " * 21, "; ".join(told)
    both = f"{indent}{details}  [{ingredient.source}]"
    if len(both) <= width:
        return "\n".join([*lines, both])
    lines += [
        click.wrap_text(text, width, indent, f"{indent}  ")
        for text in (details, f"[{ingredient.source}]")
    ]
    return "\n".join(lines)


def _slots(ingredient: "Ingredient") -> list[str]:
    return [_slot(setting) for setting in ingredient.sets]


def _slot(setting: "Setting") -> str:
    text = f"{setting.slot}={'...' if setting.on is None else _value(setting.on)}"
    other = setting.on_classify
    return text if other is None else f"{text} (a classifier's {_value(other)})"


def _value(value: Any) -> str:
    """A value as YAML has it, shortened."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    return '""' if value == "" else str(value)


def _company(ingredient: "Ingredient") -> list[str]:
    said = {"requires": ingredient.requires, "conflicts with": _conflicts(ingredient)}
    words = [f"{verb} {', '.join(keys)}" for verb, keys in said.items() if keys]
    return words + [f"needs {slot} >= {_value(least)}" for slot, least in ingredient.least]


def _conflicts(ingredient: "Ingredient") -> tuple[str, ...]:
    """Keys that it cannot go with, whichever side says so."""
    from model.ingredient import catalogue

    theirs = [key for key, each in catalogue().items() if ingredient.key in each.conflicts]
    return tuple(dict.fromkeys([*ingredient.conflicts, *theirs]))


def _short_cost(ingredient: "Ingredient") -> str:
    cost = ingredient.cost
    if cost.parameters or cost.bflops:
        return f"{_rounded(cost.parameters)}, {cost.bflops:+.2g} BFLOPs"
    return "slower suppression" if cost.words else ""


def _rounded(count: int) -> str:
    """A number in thousands or millions."""
    for unit, size in (("M", 1e6), ("K", 1e3)):
        if abs(count) >= size:
            return f"{count / size:+.1f} {unit}"
    return f"{count:+d}"


def _in_full(ingredient: "Ingredient", width: int) -> str:
    """Everything about one ingredient, a line each."""
    lines = [f"{ingredient.key}: {ingredient.title}"]
    for name, text in _facts(ingredient):
        lines.append(click.wrap_text(text, width, f"  {name:<12}", " " * 14))
    return "\n".join(lines)


def _facts(ingredient: "Ingredient") -> list[tuple[str, str]]:
    sets = [
        f"{_slot(setting)} (without it {_value(setting.off)})"
        if setting.on != setting.off
        else _slot(setting)
        for setting in ingredient.sets
    ]
    facts = [
        ("family", ingredient.family),
        ("tasks", ", ".join(ingredient.tasks)),
        ("sets", "; ".join(sets)),
        ("needs", ingredient.needs),
        ("values", "of any slots, what a search has found" if ingredient.tunes else ""),
        ("company", "; ".join(_company(ingredient))),
        ("baseline", _in_baseline(ingredient)),
        ("inference", "" if ingredient.not_offered else _full_cost(ingredient)),
        ("source", ingredient.source),
        ("listed only", ingredient.not_offered),
    ]
    return [(name, text) for name, text in facts if text]


def _in_baseline(ingredient: "Ingredient") -> str:
    if ingredient.not_offered:
        return ""
    if ingredient.is_default:
        return "on, until another takes its slot"
    on = f"on; -{ingredient.key} takes it away"
    return on if ingredient.in_baseline else "off"


def _full_cost(ingredient: "Ingredient") -> str:
    cost = ingredient.cost
    words = [cost.words] if cost.words else []
    if cost.parameters or cost.bflops:
        words.append(
            f"{cost.parameters:+,} parameters, {cost.bflops:+.4g} BFLOPs "
            "(yolov4, 80 classes, 416 px)"
        )
    return "; ".join(words) or "no cost"


def _markdown(ingredients: "Sequence[Ingredient]") -> str:
    """A page with a table for each family."""
    lines = [
        "# Ingredients",
        "",
        "Freebies and specials of YOLOv4 (arXiv:2004.10934), as `evolve ingredients` lists them.",
        "This page is its output: `evolve ingredients --markdown > docs/ingredients.md`.",
        "A star marks those that the baseline of ablations has on; `-KEY` takes one away.",
        "Costs are those of detecting: what yolov4 with 80 classes has more at 416 px.",
    ]
    for family, members in groupby(ingredients, key=lambda each: each.family):
        lines += ["", f"## {family.capitalize()}", ""]
        lines += ["| key | | sets | beside | inference | source |", "|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(_cells(each))} |" for each in members]
    return "\n".join(lines)


def _cells(ingredient: "Ingredient") -> list[str]:
    star = "*" if ingredient.in_baseline else ""
    return [
        f"`{ingredient.key}`{star}",
        ingredient.title,
        "<br>".join(f"`{slot}`" for slot in _slots(ingredient)) or "listed only",
        "; ".join(_company(ingredient)),
        _short_cost(ingredient),
        ingredient.source,
    ]
