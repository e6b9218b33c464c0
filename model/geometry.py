"""How the raw maps of a network are to be read: strides, anchors, formulas of the box.

Plain data without torch: assignment, loss, decoding and darknet's files share it.
"""

from dataclasses import dataclass, replace

Anchors = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Geometry:
    """Meaning of the maps of one network, finest scale first.

    Attributes
    ----------
    strides : tuple of int
        Pixels per cell of each scale.
    masks : tuple of tuple of int
        Which anchors each scale has, as places in `anchors_wh_px`. An anchor may stand in two
        scales or in none (yolov4-tiny).
    scales_xy : tuple of float
        Factor of the centre's sigmoid for each scale (darknet's scale_x_y); 1 is YOLOv3's.
    anchors_wh_px : tuple of (float, float)
        The network's own anchors, in pixels of its input.
    new_coords : bool
        The maps have passed a logistic already and sizes are anchor (2 v)^2 (darknet's key).
    gaussian : bool
        Every coordinate has a variance beside it (arXiv:1904.04620).
    """

    strides: tuple[int, ...]
    masks: tuple[tuple[int, ...], ...]
    scales_xy: tuple[float, ...]
    anchors_wh_px: Anchors
    new_coords: bool = False
    gaussian: bool = False

    def __post_init__(self) -> None:
        assert len(self.strides) == len(self.masks) == len(self.scales_xy)

    @property
    def per_scale(self) -> int:
        """Anchors of a scale, equal for all scales."""
        return len(self.masks[0])

    @property
    def box_channels(self) -> int:
        """Channels of an anchor before objectness: 4, or 8 with variances."""
        return 8 if self.gaussian else 4

    def outputs(self, num_classes: int) -> int:
        """Channels of a raw map: anchors times (box, objectness, classes)."""
        return self.per_scale * (self.box_channels + 1 + num_classes)

    def without_scaling(self) -> "Geometry":
        """The same with YOLOv3's plain sigmoid (the paper's rows without "S")."""
        return replace(self, scales_xy=(1.0,) * len(self.scales_xy))
