"""Style transfer: pictures repainted in other styles, against a bias towards texture.

Listed only. R. Geirhos et al., arXiv:1811.12231, train on Stylized-ImageNet, made by AdaIN.
"""

from model.ingredient import Ingredient

INGREDIENT = Ingredient(
    key="StyleTransfer",
    title="style transfer",
    family="augmentation",
    sets=(),
    source="arXiv:2004.10934 sec. 2.2; arXiv:1811.12231",
    tasks=("detect", "classify"),
    not_offered=(
        "it needs a second, trained network that repaints pictures, and a collection of paintings"
        " to take styles from; neither is a part of a detector or can be made from its data"
    ),
)
