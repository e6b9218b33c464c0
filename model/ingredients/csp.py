"""Cross-stage partial connections: a choice of the network, not of a slot."""

from model.ingredient import Ingredient

INGREDIENT = Ingredient(
    key="CSP",
    title="cross-stage partial connections",
    family="special",
    sets=(),
    source="arXiv:1911.11929; arXiv:2004.10934 sec. 3.4",
    not_offered="it is a choice of the model: compare yolov3-spp and yolov4, of one size, "
    "with neck.fusion pan",
)
