import pandas as pd
import pytest

from reports import figures


def frame(**curves):
    parts = [
        pd.DataFrame({"iteration": range(len(values)), "loss": loss, "mean_error": values})
        for loss, values in curves.items()
    ]
    return pd.concat(parts)


def test_every_loss_is_named_with_its_end_value() -> None:
    figure = figures.draw_box_errors(frame(iou=[4.0, 3.0, 2.5], ciou=[4.0, 0.1, 0.002]), {1: "x"})
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["IoU  2.5", "CIoU  0.002", "x"]
    assert axes.get_yscale() == "log"
    assert axes.get_xlim() == (0, 2)
    assert axes.lines[1].get_ydata().tolist() == [4.0, 0.1, 0.002]


def test_names_of_close_ends_do_not_touch() -> None:
    figure = figures.draw_box_errors(frame(diou=[4.0, 0.0021], ciou=[4.0, 0.002]), {})
    diou, ciou = (text.xy[1] for text in figure.axes[0].texts)
    assert diou - ciou == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.9, 0.1], [0.9, 0.1]),
        ([0.1, 0.1, 0.15], [0.1, 0.2, 0.3]),
        ([0.25, 0.2, 0.9], [0.3, 0.2, 0.9]),
    ],
)
def test_places_are_spread(places: list[float], expected: list[float]) -> None:
    assert figures.spread(places, 0.1) == pytest.approx(expected)
