"""Moving average of the weights."""

from model.ingredient import Ingredient, Setting

INGREDIENT = Ingredient(
    key="EMA",
    title="moving average of the weights",
    family="regularisation",
    sets=(Setting("ema.decay", 0.998, 0.0),),
    source="darknet ema_alpha; SIAM J. Control Optim. 30 (1992) 838",
    tasks=("detect", "classify"),
)
