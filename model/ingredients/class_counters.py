"""Classes weighed by their rarity."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="CC",
    title="rare classes count more",
    family="imbalance",
    sets=(Setting("loss.class_counters", True, False),),
    source="darknet counters_per_class (src/parser.c); WongKinYiu/CrossStagePartialNetworks coco",
)
