"""Proposals of samplers that know no constraints, drawn back to where the constraints hold."""

from collections.abc import Mapping
from typing import Any

from evolve.search.operators.encoding import decode, encode
from evolve.space import Space

REPAIR = "repair"  # origin of such a trial

_HALVINGS = 10


def repair(space: Space, proposal: Mapping[str, Any], anchor: Mapping[str, Any]) -> dict[str, Any]:
    """Values between a proposal and an anchor that satisfies the constraints, and do so too.

    What has an order goes half the way to the anchor, then half of the rest, until it fits; what
    has none stays as proposed. If that does not help, the anchor itself is given.

    Parameters
    ----------
    proposal, anchor : mapping of key path -> value
        Values of two trials; they need not have the same parameters.
    """
    for halvings in range(1, _HALVINGS + 1):
        values = space.complete(_between(space, anchor, proposal, 0.5**halvings))
        if space.satisfied(values):
            return values
    return dict(anchor)


def _between(
    space: Space, anchor: Mapping[str, Any], proposal: Mapping[str, Any], share: float
) -> dict[str, Any]:
    """The anchor, moved by a share of the way to the proposal."""
    nominal = {p.path for p in space.parameters if p.kind == "categorical"}
    values = {**anchor, **proposal}
    for name, distribution in space.distributions().items():
        if name in anchor and name in proposal and name not in nominal:
            start, end = encode(anchor[name], distribution), encode(proposal[name], distribution)
            values[name] = decode(start + share * (end - start), distribution)
    return values
