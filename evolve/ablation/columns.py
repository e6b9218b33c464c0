"""What stands in the columns of a table beside its numbers."""

from collections.abc import Mapping, Sequence

from evolve.ablation.designs import AWAY, Design
from evolve.ablation.schema import MINI_BATCH, PRETRAIN, TableFile
from model.config import TrainConfig, key_paths
from model.ingredient import catalogue
from model.recipes import active, baseline


def choose_columns(
    file: TableFile, on: Sequence[frozenset[str]], design: Design | None
) -> dict[str, str]:
    """Columns of check marks, and what stands above them.

    Parameters
    ----------
    file : TableFile
        Its own columns, if it names any.
    on : sequence of frozenset of str
        Ingredients of each row. Those that some have and others do not get a column, but for
        those that a column of values names, and for what stands there when nothing else does.
    design : Design or None
        Its ingredients come first, in their order.
    """
    if file.columns is not None:
        return dict(file.columns)
    differ = frozenset().union(*on) - frozenset.intersection(*on) if on else frozenset()
    told = {key for of in file.values.values() for key in of}
    first = [key.removeprefix(AWAY) for key in design.ingredients] if design else []
    order = dict.fromkeys([*first, *catalogue()])
    return {
        key: key
        for key in order
        if key in differ and key not in told and not catalogue()[key].is_default
    }


def cells(
    values: Mapping[str, Sequence[str]],
    on: frozenset[str],
    config: TrainConfig,
    pretrain: TrainConfig | None,
) -> dict[str, str]:
    """What stands in a row's columns of values."""
    return {name: _cell(of, on, config, pretrain) for name, of in values.items()}


def _cell(
    of: Sequence[str], on: frozenset[str], config: TrainConfig, pretrain: TrainConfig | None
) -> str:
    word = of[0]
    if word == MINI_BATCH:
        return str(config.batch_size // config.subdivisions)
    if word == PRETRAIN:
        return _said(pretrain)
    slots = key_paths(config)
    return str(slots[word]) if word in slots else " + ".join(key for key in of if key in on)


def _said(pretrain: TrainConfig | None) -> str:
    """A classifier in a few words: its model, and what its baseline has not."""
    if pretrain is None:
        return ""
    usual = active(baseline("classify"))
    more = [key for key in active(pretrain) if key not in usual]
    return f"{pretrain.model}: {' + '.join(more)}" if more else pretrain.model
