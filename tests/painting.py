"""One training image of a detector, from its settings to its truths."""

from model.data.augment.opencv import paint
from model.data.augment.plan import plan_image, truths_of


def apply(params, pictures, boxes, labels, size_wh, *, letter_box=False):
    """Plan and paint an image: picture (H, W, 3), boxes (M, 4) relative to it, labels (M,)."""
    sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
    plan = plan_image(params, sizes, size_wh, letter_box=letter_box)
    return paint(plan, pictures, boxes), *truths_of(plan, boxes, labels, sizes)
