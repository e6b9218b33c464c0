"""Places for labels in a figure where none covers another one, a mark, or a line to a mark."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GAP = 3.0
RINGS = (14.0, 22.0, 32.0, 46.0, 64.0, 86.0)
DIRECTIONS = 16

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle whose sides are those of the figure; y grows upwards."""

    x0: float
    y0: float
    x1: float
    y1: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two have any area in common."""
        return (
            self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1
        )

    def holds(self, other: "Box") -> bool:
        """Whether the other one lies inside, up to the edge."""
        return (
            self.x0 <= other.x0
            and other.x1 <= self.x1
            and self.y0 <= other.y0
            and other.y1 <= self.y1
        )

    def is_cut(self, start: Point, end: Point) -> bool:
        """Whether a line between two points passes through the inside (Liang and Barsky)."""
        enters, leaves = 0.0, 1.0
        for low, high, at, to in (
            (self.x0, self.x1, start[0], end[0]),
            (self.y0, self.y1, start[1], end[1]),
        ):
            step = to - at
            if step == 0:
                if not low < at < high:
                    return False
                continue
            first, second = sorted(((low - at) / step, (high - at) / step))
            enters, leaves = max(enters, first), min(leaves, second)
        return enters < leaves

    def nearest(self, point: Point) -> Point:
        """Its point that is nearest to another one."""
        x, y = point
        return min(max(x, self.x0), self.x1), min(max(y, self.y0), self.y1)


@dataclass(frozen=True)
class Label:
    """A text of this size that belongs to a mark of this radius.

    `reach` is the longest way from the mark to a place with a line to it.
    """

    anchor: Point
    width: float
    height: float
    radius: float = 4.0
    reach: float = RINGS[-1]


@dataclass(frozen=True)
class Placed:
    """Where a label stands, and the line that leads to its mark, if it is far from it."""

    box: Box
    leader: tuple[Point, Point] | None = None


def place_labels(
    labels: Sequence[Label],
    bounds: Box,
    obstacles: Sequence[Box] = (),
    lines: Sequence[tuple[Point, Point]] = (),
) -> list[Placed | None]:
    """Place labels one after the other, each at the first of its places that is free.

    Places beside the mark come first, then those on wider and wider rings, to which a line leads.
    A label for which nothing is free gets none, so the most important ones are to be first. All
    lengths are in the same unit; equal input gives equal places.

    Parameters
    ----------
    labels : sequence of Label
    bounds : Box
        In which they stay.
    obstacles : sequence of Box
        What they must not cover beside their marks, such as other marks.
    lines : sequence of (point, point)
        Lines that they must not cover where there is another place; a label may, if all are cut.
    """
    taken = list(dict.fromkeys([*obstacles, *(_mark(label) for label in labels)]))
    leaders: list[tuple[Point, Point]] = []
    found: list[Placed | None] = []
    for label in labels:
        free = [one for one in _places(label)
                if _is_free(one, label, bounds, taken, leaders)]  # fmt: skip
        near = [one for one in free if one.leader is None]
        clear = [one for one in free if not any(one.box.is_cut(*line) for line in lines)]
        chosen = next(iter([*clear, *near, *free]), None)
        found.append(chosen)
        if chosen is not None:
            taken.append(chosen.box)
            leaders += [chosen.leader] if chosen.leader else []
    return found


def _mark(label: Label) -> Box:
    x, y = label.anchor
    return Box(x - label.radius, y - label.radius, x + label.radius, y + label.radius)


def _is_free(
    one: Placed,
    label: Label,
    bounds: Box,
    taken: Sequence[Box],
    leaders: Sequence[tuple[Point, Point]],
) -> bool:
    if not bounds.holds(one.box) or any(one.box.overlaps(other) for other in taken):
        return False
    if any(one.box.is_cut(*leader) for leader in leaders):
        return False
    if one.leader is None:
        return True
    own = _mark(label)
    return not any(other.is_cut(*one.leader) for other in taken if other != own)


def _places(label: Label) -> Iterator[Placed]:
    """Beside the mark: above right first, as people read; then on the rings."""
    x, y = label.anchor
    away = label.radius + GAP
    for across, up in ((1, 1), (1, 0), (-1, 1), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, -1)):
        near = away * (0.75 if across and up else 1.0)
        yield Placed(_box(label, x + near * across, y + near * up, across, up))
    for ring in (ring for ring in RINGS if ring <= label.reach):
        for turn in range(DIRECTIONS):
            angle = math.pi / 2 - 2 * math.pi * (turn + 1) / DIRECTIONS
            end = (x + ring * math.cos(angle), y + ring * math.sin(angle))
            across, up = _side(math.cos(angle)), _side(math.sin(angle))
            box = _box(label, *end, across, up)
            yield Placed(box, (_rim(label, box.nearest(label.anchor)), box.nearest(label.anchor)))


def _side(cosine: float) -> int:
    return 0 if abs(cosine) < 0.3 else int(math.copysign(1, cosine))


def _rim(label: Label, towards: Point) -> Point:
    """The end of a leader at the mark."""
    (x, y), (to_x, to_y) = label.anchor, towards
    length = math.hypot(to_x - x, to_y - y) or 1.0
    return x + label.radius * (to_x - x) / length, y + label.radius * (to_y - y) / length


def _box(label: Label, x: float, y: float, across: int, up: int) -> Box:
    """A box that a point touches: its left edge if it is to the right, and so on."""
    left = x - label.width * (1 - across) / 2
    low = y - label.height * (1 - up) / 2
    return Box(left, low, left + label.width, low + label.height)
