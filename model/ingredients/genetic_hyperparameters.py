"""Hyperparameters of a genetic search.

The paper's search found four numbers: learning rate 0.00261, momentum 0.949, IoU threshold 0.213
and loss normaliser 0.07. Its table marks the IoU threshold as an ingredient of its own (IT), so
that GA sets the first two only. The normaliser belongs to the box loss it was searched with, and
0.07 to darknet's gradient of the IoU family, which is larger than the true one by orders of
magnitude: with the true gradient, which the baseline has, boxes would hardly be learned. Who
wants it gives it with that gradient and its bound: ``{"GA": {"loss.gradient": "darknet",
"loss.iou_normalizer": 0.07, "loss.max_delta": 5.0, "optimizer.lr": 0.00261,
"optimizer.momentum": 0.949}}``. What a stored run of one's own has found is given likewise.
"""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="GA",
    title="hyperparameters of a genetic search",
    family="detector freebie",
    sets=(Setting("optimizer.lr", 0.00261, 0.002), Setting("optimizer.momentum", 0.949, 0.9)),
    source="arXiv:2004.10934 sec. 3.4, 4.1 and table 4",
    tunes=True,
)
