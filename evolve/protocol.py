"""How a value of AP was measured, as a few fields and a short hash.

Values can be compared where the hashes are equal. Where only some fields differ it depends on
which: other data, classes, split or metric make two values unlike altogether, and other sizes or
thresholds want a mark that says so.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)

UNLIKE = ("data", "classes", "split", "metric")
"""Fields without which values have nothing in common."""

MARKS = "†‡§¶"
HASH_LENGTH = 8

_NAMES = {
    "data": "data",
    "classes": "classes",
    "split": "split",
    "metric": "metric",
    "image_size": "input size",
    "letter_box": "letter box",
    "nms_iou": "NMS threshold",
    "score_threshold": "score threshold",
    "max_detections": "detections an image",
}


@dataclass(frozen=True)
class Protocol:
    """What a value of AP depends on beside the weights; None for what is not known.

    The kind of suppression is the detector's own, and no part of it.

    Attributes
    ----------
    data : str or None
        Digest of the data set.
    classes : tuple of str
    split : str or None
    metric : str or None
    image_size : int or "auto" or None
        Side of the input in pixels; auto is of the data.
    letter_box : bool or None
    nms_iou, score_threshold : float or None
    max_detections : int or None
    """

    data: str | None = None
    classes: tuple[str, ...] = ()
    split: str | None = None
    metric: str | None = None
    image_size: int | str | None = None
    letter_box: bool | None = None
    nms_iou: float | None = None
    score_threshold: float | None = None
    max_detections: int | None = None

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits, equal for equal fields on every machine."""
        return self.hash_without(())

    def hash_without(self, names: Collection[str]) -> str:
        """The hash of all fields but some."""
        kept = {name: value for name, value in asdict(self).items() if name not in names}
        text = json.dumps(kept, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]

    def to_dict(self) -> dict[str, Any]:
        """JSON types, with the hash."""
        return {**asdict(self), "classes": list(self.classes), "hash": self.hash}


def protocol_of(
    manifest: Mapping[str, Any], *, split: str | None = None, metric: str | None = None
) -> Protocol:
    """How the values of a run were measured, from its manifest.

    Parameters
    ----------
    manifest : mapping
        Of a run, or with its keys `data`, `train`, `judged_on` and `objective`. What is missing
        or garbled is not known.
    split, metric : str, optional
        If the values are others than those that the run is judged by.
    """
    data, train = _section(manifest, "data"), _section(manifest, "train")
    nms, recipe = _section(train, "nms"), _section(train, "data")
    names = data.get("classes")
    return Protocol(
        data=_text(data.get("digest")),
        classes=tuple(map(str, names)) if isinstance(names, list | tuple) else (),
        split=split or _text(manifest.get("judged_on")),
        metric=metric or _text(manifest.get("objective")),
        image_size=_size(train.get("image_size")),
        letter_box=bool(recipe["letter_box"]) if "letter_box" in recipe else None,
        nms_iou=_number(nms.get("iou_threshold")),
        score_threshold=_number(nms.get("score_threshold")),
        max_detections=_count(nms.get("max_detections")),
    )


def _section(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = tree.get(key)
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(value: Any) -> int | str | None:
    return "auto" if value == "auto" else _count(value)


def differing(first: Protocol, second: Protocol, but: Collection[str] = ()) -> tuple[str, ...]:
    """Names of the fields that differ, without some."""
    return tuple(
        field.name
        for field in fields(Protocol)
        if field.name not in but and getattr(first, field.name) != getattr(second, field.name)
    )


def in_words(names: Sequence[str]) -> str:
    """Names of fields as people read them: input size and NMS threshold."""
    said = [_NAMES[name] for name in names]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def marks(
    protocols: Mapping[Key, Protocol], but: Collection[str] = ()
) -> tuple[dict[Key, str], list[str]]:
    """A mark for each value that was measured otherwise than most, and a note for each mark.

    Parameters
    ----------
    protocols : mapping of key -> Protocol
    but : collection of str
        Fields that may differ.

    Returns
    -------
    marks : dict of key -> str
        Empty for those with the most frequent protocol; of equally frequent ones the first.
    notes : list of str
        As '† other NMS threshold (1f00c4d2)'.
    """
    hashes = {key: one.hash_without(but) for key, one in protocols.items()}
    if not hashes:
        return {}, []
    usual = Counter(hashes.values()).most_common(1)[0][0]
    others = [name for name in dict.fromkeys(hashes.values()) if name != usual]
    signs = {name: _sign(place) for place, name in enumerate(others)}
    first = {name: one for key, one in reversed(list(protocols.items())) for name in [hashes[key]]}
    notes = [
        f"{signs[name]} other {in_words(differing(first[usual], first[name], but))} ({name})"
        for name in others
    ]
    return {key: signs.get(name, "") for key, name in hashes.items()}, notes


def _sign(place: int) -> str:
    """†, ‡, §, ¶, then the same doubled."""
    times, index = divmod(place, len(MARKS))
    return MARKS[index] * (times + 1)
