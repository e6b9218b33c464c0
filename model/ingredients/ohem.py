"""Online hard example mining of the objectness.

128 slots per image, of which those that overlap by more than 0.5 count once: one of the settings
compared in arXiv:1708.02002 (128, 256, 512; 0.5, 0.7).
"""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="OHEM",
    title="objectness learns from the hardest slots",
    family="imbalance",
    sets=(Setting("loss.ohem", 128, 0), Setting("loss.ohem_iou", 0.5, 0.7)),
    source="arXiv:1604.03540 sec. 4; arXiv:1708.02002 table 1d",
)
