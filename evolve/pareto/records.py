"""A front as it is stored and shown: plain records, without torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from evolve.analysis.pareto import Choice, Hypervolume, Reference
from evolve.errors import ReportError
from evolve.findings.records import without_nan

FORMAT = 1
REAL_TIME_FPS = 30.0

COLUMNS = (
    *("key", "title", "role", "size", "network", "parameters", "bflops"),
    *("latency_ms", "latency_p95_ms", "latency_se_ms", "fps"),
    *("ap", "ap_low", "ap_high", "ap_se", "seed_se", "seed_df", "seeds", "source", "is_stored"),
    *("mark", "protocol", "weights", "on_front", "beaten_by", "p_front"),
)
_TEXTS = ("key", "title", "role", "network", "source", "mark", "protocol", "weights", "beaten_by")
_WHOLE = ("size", "parameters", "seeds")
_FLAGS = ("is_stored", "on_front")


@dataclass(frozen=True, eq=False)
class Pareto:
    """Latency and AP of detectors at their sizes, and the front of them.

    Attributes
    ----------
    points : DataFrame, a line a detector and size
        key (unique), title (of the detector: its points are a family), role, size (px), network
        (equal for equal networks), parameters, bflops; latency_ms (median), latency_p95_ms,
        latency_se_ms (of the median), fps; ap (in [0, 1]), ap_low, ap_high (95 %), ap_se, seed_se,
        seed_df, seeds, source (what the interval allows for), is_stored (whether a comparison had
        measured AP); mark (of another protocol, else empty), protocol (hash), weights (a path, of
        several the first); on_front, beaten_by (key, else empty), p_front. NaN for what is not
        known.
    title : str
        What was looked at.
    metric, split : str
        What `ap` is, and on which images.
    data : str
        Name of the data.
    images : int or None
        Of the split.
    device : str
        That latency was measured on.
    timing : str
        How.
    accuracy : dict
        Fields of `evolve.protocol.Protocol` of most points.
    volume : Hypervolume
    choice : Choice or None
        Where a longest latency was given.
    sentence : str
        The front, or the choice, for people.
    notes : tuple of str
    """

    points: pd.DataFrame
    title: str
    metric: str
    split: str
    data: str
    images: int | None
    device: str
    timing: str
    accuracy: Mapping[str, Any]
    volume: Hypervolume
    choice: Choice | None = None
    sentence: str = ""
    notes: tuple[str, ...] = ()

    def point(self, key: str) -> dict[str, Any]:
        """The line of a key."""
        lines = self.points[self.points["key"] == key].to_dict("records")
        return {str(name): value for name, value in lines[0].items()}

    @property
    def families(self) -> tuple[str, ...]:
        """Titles of the detectors, in the order of the points."""
        return tuple(dict.fromkeys(self.points["title"]))

    def to_dict(self) -> dict[str, Any]:
        """JSON types; null for what is unknown."""
        tree = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in
               ("title", "metric", "split", "data", "images", "device", "timing", "sentence")},
            "accuracy": dict(self.accuracy),
            "hypervolume": asdict(self.volume),
            "choice": None if self.choice is None else asdict(self.choice),
            "notes": list(self.notes),
            "points": self.points[list(COLUMNS)].to_dict("records"),
        }  # fmt: skip
        cleaned = without_nan(tree)
        assert isinstance(cleaned, dict)
        return cleaned

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], where: str = "") -> "Pareto":
        """The front of `to_dict`; a ReportError if it is none."""
        try:
            volume = {key: _known(value) for key, value in tree["hypervolume"].items()}
            reference = Reference(**tree["hypervolume"]["reference"])
            choice = tree["choice"]
            return cls(
                points=_frame(tree["points"]),
                **{name: tree[name] for name in
                   ("title", "metric", "split", "data", "images", "device", "timing", "accuracy",
                    "sentence")},
                volume=Hypervolume(**{**volume, "reference": reference}),
                choice=choice and Choice(**{k: _known(v) for k, v in choice.items()}),
                notes=tuple(tree["notes"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReportError(
                f"this is no front of latency and AP: {error}", where, "make it anew"
            ) from error


def _known(value: Any) -> Any:
    return math.nan if value is None else value


def _frame(lines: Any) -> pd.DataFrame:
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    for name in COLUMNS:
        if name in _TEXTS:
            frame[name] = frame[name].astype(str)
        elif name in _FLAGS:
            frame[name] = frame[name].astype(bool)
        else:
            frame[name] = frame[name].astype(int if name in _WHOLE else float)
    return frame
