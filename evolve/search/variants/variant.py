"""What a variant of the genetic algorithm is: a rule that proposes the next trial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from evolve.search.archive import Archive
from evolve.search.genome import Genes, GenomeSpace

DEFAULT, START = "default", "start"

Satisfied = Callable[[Mapping[str, Any]], bool]


class Proposal(NamedTuple):
    """A trial to run, and its descent.

    Attributes
    ----------
    genes : ndarray, shape (D,)
    origin : str
        default, start, an operator, ...
    parents : tuple of int
        Trial numbers.
    sigma : float or None
        Step size that its children inherit.
    fitted : mapping
        What the surrogate was fitted to, if later trials shall know; JSON types.
    spares : tuple of Proposal
        For the trials that follow next, chosen with the same knowledge.
    """

    genes: Genes
    origin: str
    parents: tuple[int, ...] = ()
    sigma: float | None = None
    fitted: Mapping[str, Any] = MappingProxyType({})
    spares: "tuple[Proposal, ...]" = ()

    def to_json(self) -> dict[str, Any]:
        """Genes and descent as JSON types; equal when read again."""
        genes = self.genes.tolist()
        return {"genes": genes, "origin": self.origin, "parents": self.parents,
                "sigma": self.sigma}  # fmt: skip

    @classmethod
    def from_json(cls, noted: Mapping[str, Any]) -> "Proposal":
        """From what `to_json` gave."""
        genes = np.array(noted["genes"], dtype=np.float64)
        return cls(genes, noted["origin"], tuple(noted["parents"]), noted["sigma"])


@dataclass(frozen=True)
class Setting:
    """What does not change during a search.

    Attributes
    ----------
    space : GenomeSpace
    default : ndarray, shape (D,)
        Genes of trial 0.
    satisfied : callable or None
        Whether a set of parameters keeps the constraints, if there are any.
    seed : int
    """

    space: GenomeSpace
    default: Genes
    satisfied: Satisfied | None
    seed: int

    def allows(self, genes: Genes) -> bool:
        """Whether one genome keeps the constraints."""
        return self.satisfied is None or self.satisfied(self.space.decode(genes))


class Variant(Protocol):
    """A variant proposes from the archive alone.

    Equal archives, numbers and generators give equal proposals; nothing is kept between calls
    that could change one.
    """

    def propose(self, archive: Archive, number: int, rng: np.random.Generator) -> Proposal:
        """The trial of this number, which is not 0: not yet in the archive, within the space."""


def first_free(genes: Genes, archive: Archive, setting: Setting) -> int | None:
    """Index of the first genome that is new and keeps the constraints."""
    for index, row in enumerate(setting.space.complete(genes)):
        if not archive.holds(row) and setting.allows(genes[index]):
            return index
    return None


def some_free(archive: Archive, setting: Setting, rng: np.random.Generator) -> Genes:
    """A genome from anywhere: new if 200 draws find one, and within the constraints in any case.

    A space of few values may be used up, and constraints may leave little; the defaults keep
    them.
    """
    genes = setting.space.snap(rng.random((200, len(setting.space))))
    index = first_free(genes, archive, setting)
    if index is not None:
        free: Genes = genes[index]
        return free
    allowed = (row for row in genes if setting.allows(row))
    return next(allowed, setting.default)
