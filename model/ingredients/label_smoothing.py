"""Class label smoothing."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="LS",
    title="class label smoothing, 0.1",
    family="regularisation",
    sets=(Setting("loss.label_smoothing", 0.1, 0.0),),
    source="arXiv:1512.00567 sec. 7; arXiv:2004.10934 table 4; darknet label_smooth_eps",
    tasks=("detect", "classify"),
)
