"""Random training shapes."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="RS",
    title="random training shapes, up to a factor of 1.4",
    family="detector freebie",
    sets=(Setting("shapes.range", 1.4, 1.0),),
    source="arXiv:2004.10934 sec. 3.4; darknet random=1",
)
