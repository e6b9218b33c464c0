"""IoU, the distance of the centres and the aspects as a box loss."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="CIoU",
    title="1 - complete IoU",
    family="loss",
    # by the loss's own gradient, for which the published weights, 0.5 to 1, are not meant
    sets=(Setting("loss.box", "ciou", "mse"), Setting("loss.iou_normalizer", 1.0, 0.75)),
    source="arXiv:1911.08287 sec. 3.3; arXiv:2004.10934 table 4; darknet iou_loss=ciou",
)
