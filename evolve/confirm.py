"""How large the final comparison of a run is, as people write it: ``3x3``, or ``0`` for none."""

import re
from dataclasses import dataclass

from evolve.errors import SpaceError

_SIZE = re.compile(r"([1-9][0-9]{0,3}) *[xX] *([1-9][0-9]{0,3})")
_NONE = ("0", "none")


@dataclass(frozen=True)
class Confirm:
    """Candidates that are compared with the defaults, and seeds of each; 0 and 0 for none."""

    candidates: int
    seeds: int

    @classmethod
    def parse(cls, text: str, where: str = "confirm") -> "Confirm":
        """Read ``KxN``, ``0`` or ``none``.

        Raises
        ------
        SpaceError
            If it is none of them; `where` is told in it.
        """
        found = _SIZE.fullmatch(text.strip())
        if found:
            return cls(int(found[1]), int(found[2]))
        if text.strip().lower() in _NONE:
            return cls(0, 0)
        raise SpaceError(f"'{text}' is no size of a final comparison", where, HINT)

    def __str__(self) -> str:
        return f"{self.candidates}x{self.seeds}" if self else "0"

    def __bool__(self) -> bool:
        return self.seeds > 0

    def or_more(self, other: "Confirm") -> "Confirm":
        """As large as the larger of both in each number; none stays none."""
        if not self:
            return self
        return Confirm(max(self.candidates, other.candidates), max(self.seeds, other.seeds))


HINT = "write candidates x seeds, such as 3x3, or 0 for no comparison"


def planned_trainings(candidates: int, seeds: int) -> int:
    """Full trainings of a final comparison, those of the defaults included."""
    return (candidates + 1) * seeds if seeds else 0
