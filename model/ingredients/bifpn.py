"""Bidirectional pyramid of weighted sums."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="BiFPN",
    title="bidirectional pyramid of weighted sums",
    family="special",
    sets=(Setting("neck.fusion", "bifpn", "auto"),),
    source="arXiv:1911.09070 sec. 3; arXiv:2004.10934 sec. 2.3",
    conflicts=("SAM", "CBAM", "SE"),
    cost=InferenceCost(parameters=-20_595_173, bflops=-9.925453824),
)
