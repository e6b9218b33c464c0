"""IoU and the distance of the centres as a box loss."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="DIoU",
    title="1 - distance IoU",
    family="loss",
    # by the loss's own gradient, for which the published weights, 0.5 to 1, are not meant
    sets=(Setting("loss.box", "diou", "mse"), Setting("loss.iou_normalizer", 1.0, 0.75)),
    source="arXiv:1911.08287 sec. 3.2; arXiv:2004.10934 table 4; darknet iou_loss=diou",
)
