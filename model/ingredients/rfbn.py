"""Receptive field block with batch normalisation."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="RFBN",
    title="receptive field block with BN",
    family="special",
    sets=(Setting("head.rfb", "rfbn", "none"),),
    source="arXiv:1711.07767; WongKinYiu/CrossStagePartialNetworks coco",
    cost=InferenceCost(parameters=6_631_296, bflops=5.116919808),
)
