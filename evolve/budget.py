"""How much time a run may take: of the clock, of GPUs, or of cores."""

import re
from dataclasses import dataclass
from typing import Literal

from evolve.errors import SpaceError

_PART = re.compile(r"(\d+(?:\.\d+)?)(gpu|cpu)?([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EXAMPLES = "write 45m, 12h, 1h30m, 24gpuh or 96cpuh"


@dataclass(frozen=True)
class Budget:
    """Time that a run may take, its final comparison included.

    Attributes
    ----------
    seconds : float
    of : str
        ``wall``: from start to end, interruptions left out; ``gpu`` and ``cpu``: of each GPU and
        each core that trainings hold.
    text : str
        As it was written.
    """

    seconds: float
    of: Literal["wall", "gpu", "cpu"]
    text: str

    @classmethod
    def parse(cls, text: str, where: str = "budget") -> "Budget":
        """Budget from text such as ``45m``, ``1h30m`` or ``24gpuh``.

        Raises
        ------
        SpaceError
            If the text is no such time, is zero, or mixes clocks.
        """
        plain = text.strip().lower()
        parts = _PART.findall(plain)
        if not parts or "".join(map("".join, parts)) != plain:
            raise SpaceError(f"'{text}' is no budget of time", where, _EXAMPLES)
        kinds = {kind for _, kind, _ in parts}
        if len(kinds) > 1:
            raise SpaceError(f"'{text}' mixes clocks", where, _EXAMPLES)
        seconds = sum(float(number) * _SECONDS[unit] for number, _, unit in parts)
        if seconds <= 0:
            raise SpaceError("a budget must be above zero", where, _EXAMPLES)
        kind = kinds.pop()
        return cls(seconds, "gpu" if kind == "gpu" else "cpu" if kind == "cpu" else "wall", plain)
