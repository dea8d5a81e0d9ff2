"""Pictures: what they draw, and what a notebook shows."""

import importlib.util
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lcpfn
from lcpfn import plot

CURVES = [[0.2, 0.5, 0.6, 0.65], [0.1, 0.2, 0.25], [0.3, float("nan")]]


@pytest.fixture(autouse=True)
def no_window():
    plt = plot.pyplot()
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def forecast(model):
    return model.extrapolate(CURVES, 20, mode="max", bounds=(0, 1))


@pytest.fixture(scope="module")
def made(model):
    """A rule and its decisions, of which the last stops."""
    rule = {"horizon": 20, "mode": "max", "bounds": (0, 1), "patience": 2}
    stopper = lcpfn.EarlyStopping(beat=1.0, confidence=0.5, model=model, **rule)
    return stopper.rule, [stopper.update(value) for value in (0.2, 0.3, 0.3)]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_forecast_knows_what_it_was_made_from(forecast, model):
    steps, values = forecast[0].observed
    np.testing.assert_array_equal(steps, [1, 2, 3, 4])
    np.testing.assert_array_equal(values, CURVES[0])
    np.testing.assert_array_equal(forecast[2].observed[1], [0.3])
    assert not forecast[0].final.observed[0].size
    stream = model.stream(20, mode="max", bounds=(0, 1))
    after = stream.update(0.2)
    stream.update(0.3)
    np.testing.assert_array_equal(after.observed, [[1], [0.2]])
    with pytest.raises(ValueError, match=r"forecast\[i\]"):
        _ = forecast.observed


def test_fan_draws_what_was_observed_and_the_median(forecast):
    ax = forecast[0].plot(beat=0.8)
    median, seen, bar = ax.get_lines()
    np.testing.assert_allclose(median.get_ydata(), forecast[0].median())
    np.testing.assert_array_equal(seen.get_ydata(), CURVES[0])
    assert bar.get_ydata()[0] == 0.8
    assert "95% interval" in labels(ax)
    given = plot.fan(forecast[0], [5.0, 6.0], [10, 20]).get_lines()[1]
    np.testing.assert_array_equal(given.get_xydata(), [[10, 5], [20, 6]])
    with pytest.raises(ValueError, match=r"forecast\[i\]"):
        plot.fan(forecast)


def test_runs_colours_the_most_promising(forecast):
    ax = plot.pyplot().figure().subplots()
    assert forecast.plot(ax, names=["a", "b", "c"], shown=1, beat=0.9) is ax
    best = "ab"[int(np.argmax(forecast.final.median()[:2]))]
    assert labels(ax) == [best, "to beat: 0.9"]
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert len(crosses) == 1
    np.testing.assert_array_equal(crosses[0].get_xydata(), [[1, 0.3]])


def test_runs_refuses_what_it_cannot_draw(forecast):
    with pytest.raises(ValueError, match="3 runs need as many names, got 1"):
        plot.runs(forecast, names=["a"])
    with pytest.raises(ValueError, match="several curves over steps"):
        plot.runs(forecast.final)


def test_runs_of_a_study_may_have_one_step_ahead(model):
    study = lcpfn.Study(2, "max", (0, 1), model=model)
    study.report("a", 0.3)
    study.report("b", 0.4)
    ax = plot.runs(study.forecast_all(), names=study.going)
    assert sorted(labels(ax)) == ["a", "b"]
    assert len(ax.collections) == 2  # an interval at the horizon each


def test_timeline_shows_threshold_kinds_and_the_stop(made):
    rule, decisions = made
    assert [d.stop for d in decisions] == [False, True, True]
    ax = plot.timeline(decisions, rule=rule)
    threshold, chance, line = ax.get_lines()
    np.testing.assert_allclose(threshold.get_ydata(), 0.5)
    np.testing.assert_allclose(
        chance.get_ydata(), np.maximum([d.prob_better for d in decisions], 1e-4)
    )
    assert set(line.get_xdata()) == {2}
    assert labels(ax) == ["threshold", "too early", "hopeless"]
    assert "stop at 2" in ax.get_title()
    assert len(plot.timeline(decisions[:1], [7]).get_lines()) == 1
    # At the steps the decisions were made at, where none are given.
    falling = replace(rule, by_cost=True)
    threshold, chance, _ = plot.timeline(decisions[1:], rule=falling).get_lines()
    np.testing.assert_array_equal(chance.get_xdata(), [2, 3])
    expected = [falling.least_chance(step / rule.horizon) for step in (2, 3)]
    np.testing.assert_allclose(threshold.get_ydata(), expected)
    with pytest.raises(ValueError, match="3 decisions need as many steps, got 1"):
        plot.timeline(decisions, [1])
    with pytest.raises(ValueError, match="no decisions"):
        plot.timeline([])


def test_reliability_of_calibrated_forecasts_is_the_diagonal():
    even = (np.arange(1000) + 0.5) / 1000
    ax = plot.reliability({"even": even, "too low": even**0.5})
    levels, low = ax.get_lines()[0].get_data()
    np.testing.assert_allclose(low, levels, atol=1e-3)
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), levels**2, atol=1e-3)
    assert labels(ax) == ["even (1000)", "too low (1000)"]
    for wrong in ([], [0.2, 1.2], {"x": [float("nan")]}, {}):
        with pytest.raises(ValueError, match=r"between 0 and 1|no forecasts"):
            plot.reliability(wrong)


def test_a_notebook_shows_a_fan(forecast):
    picture = ET.fromstring(forecast[0]._repr_html_())
    space = "{http://www.w3.org/2000/svg}"
    assert picture.tag == space + "svg"
    assert len(picture.findall(space + "polygon")) == 3
    width, height = (float(picture.get(name)) for name in ("width", "height"))
    for shape in picture.iter():
        for x, y in (pair.split(",") for pair in shape.get("points", "").split()):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    assert "20" in [text.text for text in picture.iter(space + "text")]


def test_a_notebook_shows_tables_and_sentences(forecast, model):
    table = ET.fromstring(forecast._repr_html_())
    assert len(table.findall("tbody/tr")) == 3
    many = model.extrapolate([[0.2, 0.3]] * 20, 9, mode="max", bounds=(0, 1))
    assert "and 8 more curves" in many._repr_html_()
    assert "90&#160;% interval" in forecast[0].final._repr_html_()
    assert ET.fromstring(forecast.final._repr_html_()).tag == "table"
    assert "diverged" in forecast[2]._repr_html_()
    stream = model.stream(1, mode="min")
    assert "no steps remain" in stream.update(0.5)._repr_html_()


def test_flat_and_huge_curves_are_drawn(model):
    for curve in ([0.5], [0.5] * 6, [1e30, 1e5, 1.0]):
        html = model.extrapolate(curve, 9, mode="min")._repr_html_()
        assert "nan" not in html
        ET.fromstring(html)


def test_the_figures_of_the_documentation_can_be_drawn(model):
    pytest.importorskip("sklearn")
    path = Path(__file__).parents[1] / "docs" / "figures.py"
    spec = importlib.util.spec_from_file_location("figures", path)
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    curve = [0.9 - 0.6 / epoch for epoch in range(1, figures.EPOCHS + 1)]
    curves = [curve] * len(figures.RATES)
    for figure, count in (
        (figures.cutoffs(model, curve, (3, 6)), 2),
        (figures.decisions(model, curve, 0.95), 2),
        (figures.tokens(model, curve), 6),  # with colour bars
        (figures.queries(), 2),
        (figures.many(model, curves), 1),
    ):
        assert len(figure.axes) == count


def test_names_are_no_formulas(forecast, tmp_path):
    title = r"a $\frac{$ run" + "\x1b]0;x\x07"
    ax = plot.fan(forecast[0], CURVES[0], title=title)
    ax.figure.savefig(tmp_path / "drawn.png")
    assert "\x1b" not in ax.get_title()
