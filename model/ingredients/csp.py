"""Cross-stage partial connections; without them YOLOv4 stands on Darknet53, as YOLOv3 does."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="CSP",
    title="cross-stage partial connections",
    family="special",
    sets=(Setting("backbone.csp", "auto", "none"),),
    source="arXiv:1911.11929; arXiv:2004.10934 sec. 3.4, table 6",
    in_baseline=True,
    cost=InferenceCost(parameters=-13_967_744, bflops=-14.537050112),
)
