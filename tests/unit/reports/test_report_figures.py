import io
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from made_up_run import PARAMETERS, make_run, with_trials
from PIL import Image

from evolve.store.records import ParameterRecord
from reports import figures
from reports.summary import summarise
from reports.svg import inline_svg


def test_best_so_far_counts_complete_trials_only() -> None:
    run = with_trials(
        make_run(("COMPLETE", "PRUNED", "FAIL", "COMPLETE", "COMPLETE")),
        value={0: 0.2, 1: 0.9, 3: 0.1, 4: 0.3},
    )
    frame = figures.history_data(run)
    assert frame["best_so_far"].tolist() == pytest.approx([20, 20, 20, 20, 30])
    assert frame["value"].tolist() == pytest.approx([20, 90, math.nan, 10, 30], nan_ok=True)


def test_best_so_far_is_empty_before_the_first_complete_trial() -> None:
    frame = figures.history_data(make_run(("FAIL", "COMPLETE")))
    assert np.isnan(frame["best_so_far"][0])


def test_choices_stand_at_their_index_and_unknown_ones_are_left_out() -> None:
    run = with_trials(
        make_run(("COMPLETE",) * 3), params__loss__box={0: "mse", 1: "ciou", 2: "other"}
    )
    frame = figures.parameter_data(run, PARAMETERS[-1])
    assert frame["place"].tolist() == [0, 4]
    assert frame["number"].tolist() == [0, 1]


def test_a_log_axis_leaves_out_what_it_cannot_hold() -> None:
    run = with_trials(make_run(("COMPLETE",) * 2), params__optimizer__lr={0: 0.0, 1: 0.01})
    assert figures.parameter_data(run, PARAMETERS[0])["number"].tolist() == [1]


def test_curves_drop_epochs_without_a_value() -> None:
    run = make_run(("COMPLETE", "PRUNED"))
    epochs = run.epochs.copy()
    epochs.loc[0, "AP"] = math.nan
    first, second = figures.curve_data(replace(run, epochs=epochs))
    assert first.epochs.tolist() == list(range(2, 11))
    assert second.state == "PRUNED"
    assert first.values[-1] == pytest.approx(100 * epochs["AP"][9])


def test_no_curve_without_epochs() -> None:
    run = make_run(("RUNNING",))
    run = replace(run, epochs=run.epochs.iloc[:0])
    assert figures.curve_data(run) == []
    assert figures.draw_curves(run, summarise(run), figures.WIDE) is None


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-4, 0.1, [1e-4, 1e-3, 1e-2, 0.1]),
        (4, 64, [5, 10, 20, 50]),
        (1e-8, 1, [1e-8, 1e-6, 1e-4, 1e-2, 1]),
    ],
)
def test_log_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert figures.log_ticks(low, high) == pytest.approx(ticks)


def test_parameter_axis_spans_the_searched_range() -> None:
    run = make_run()
    axes = figures.draw_parameter(run, summarise(run), PARAMETERS[0]).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == pytest.approx((1e-4, 0.1))
    linear = figures.draw_parameter(run, summarise(run), PARAMETERS[1]).axes[0]
    assert linear.get_xscale() == "linear"
    assert linear.get_xlim() == pytest.approx((0.6, 0.98))


def test_legend_names_states_best_and_defaults() -> None:
    run = make_run()
    summary = summarise(run)
    legend = figures.draw_history(run, summary, figures.WIDE).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        *("complete", "pruned", "failed", "running"),
        f"best (trial {summary.best.number if summary.best else ''})",
        *("defaults (trial 0)", "best so far"),
    ]


def test_files_are_the_same_twice_and_carry_no_date() -> None:
    run = make_run()
    drawn = [figures.draw_history(run, summarise(run), figures.WIDE) for _ in range(2)]
    first, second = (figures.to_svg(figure) for figure in drawn)
    assert first == second
    assert "<dc:date>" not in first
    assert "<text" in first
    assert figures.to_png(drawn[0]) == figures.to_png(drawn[1])


def test_hostile_and_foreign_labels_are_drawn_as_text() -> None:
    choices = ("$\\frac{$", "<b>&", "日本語", "\x07\n")
    parameter = ParameterRecord("a.$x$", "categorical", "linear", None, None, choices, "<b>&", "")
    run = make_run(("COMPLETE",) * 4, parameters=(parameter,))
    figure = figures.draw_parameters(run, summarise(run))
    assert figure is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = figures.to_svg(figure)
    assert "$\\frac{$" in svg
    assert "&lt;b&gt;&amp;" in svg
    assert "<b>" not in svg


def test_many_trials_become_an_image() -> None:
    run = make_run(("COMPLETE",) * (figures.RASTER_FROM + 1), parameters=PARAMETERS[:1])
    svg = figures.to_svg(figures.draw_history(run, summarise(run), figures.WIDE))
    assert "<image" in svg
    assert len(svg) < 300_000


def test_inline_svg_follows_the_page() -> None:
    run = make_run()
    svg = figures.to_svg(figures.draw_history(run, summarise(run), figures.NARROW))
    page = inline_svg(svg, "h", 'a "label" <b>', figures.VARIABLES)
    assert page.startswith("<svg")
    assert "style=" not in page
    assert "<style" not in page
    assert not [colour for colour in figures.VARIABLES if colour in page]
    assert "var(--complete)" in page
    assert 'aria-label="a &quot;label&quot; &lt;b&gt;"' in page
    assert 'id="h-' in page
    assert "url(#h-" in page or 'href="#h-' in page


def test_parameters_that_few_or_no_trials_have_are_drawn() -> None:
    every = dict.fromkeys(range(12))
    one_left = dict.fromkeys(range(1, 12))
    run = with_trials(make_run(), params__batch_size=every, params__loss__box=one_left)
    by_path = {parameter.path: parameter for parameter in run.parameters}
    assert figures.parameter_data(run, by_path["batch_size"]).empty
    assert figures.parameter_data(run, by_path["loss.box"])["number"].tolist() == [0]
    figure = figures.draw_parameters(run, summarise(run))
    assert figure is not None
    assert "<svg" in figures.to_svg(figure)


def test_an_ordinal_of_numbers_stands_in_its_order() -> None:
    parameter = ParameterRecord("x", "ordinal", "linear", None, None, (2, 4, 8), 4, "")
    run = make_run(("COMPLETE",) * 3, parameters=(parameter,))
    run = with_trials(run, params__x={0: 8, 1: 2, 2: 4})
    assert figures.parameter_data(run, parameter)["place"].tolist() == [2.0, 0.0, 1.0]


def test_all_of_two_thousand_trials_are_drawn_and_of_more_a_part() -> None:
    run = make_run(("COMPLETE", "PRUNED") * 1000, parameters=PARAMETERS[:1])
    summary = summarise(run)
    everyone = frozenset(range(2000))
    assert figures.drawn_trials(run, summary) == everyone
    assert figures.drawn_trials(run, summary, figures.MOST_IN_PANEL) == everyone
    more = make_run((*("COMPLETE", "PRUNED") * 1000, "RUNNING"), parameters=PARAMETERS[:1])
    drawn = figures.drawn_trials(more, summary, figures.MOST_IN_PANEL)
    assert 1000 <= len(drawn) <= 1003
    assert {0, 2000, summary.best.number} <= drawn  # type: ignore[union-attr]


def test_a_figure_keeps_its_places_in_every_file() -> None:
    run = make_run()
    figure = figures.draw_history(run, summarise(run), figures.WIDE)
    figures.to_svg(figure)
    places = [axes.get_position().bounds for axes in figure.axes]
    png = figures.to_png(figure)
    assert [axes.get_position().bounds for axes in figure.axes] == places
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (1536, 624)
        colours = {colour for _, colour in image.convert("RGB").getcolors() or ()}
    drawn = (figures.BEST, figures.COMPLETE, figures.FAIL, figures.INK, "#ffffff")
    assert {tuple(bytes.fromhex(name[1:])) for name in drawn} <= colours
    assert len(colours) <= figures.PALETTE
