"""Modified spatial attention: a weight for every number of a map."""

from model.ingredient import InferenceCost, Ingredient, Setting

INGREDIENT = Ingredient(
    key="SAM",
    title="spatial attention, point-wise",
    family="special",
    sets=(Setting("neck.attention", "sam", "none"),),
    source="arXiv:2004.10934 sec. 3.3 fig. 5 and table 5; darknet [sam]",
    cost=InferenceCost(parameters=1_379_840, bflops=1.063256064),
)
