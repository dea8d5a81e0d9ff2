"""The page of a report, in a browser, and the pictures of priors."""

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
pytest.importorskip("markdown", reason="the page needs Python-Markdown")

from lcpfn.curves import CurveSet, Run
from lcpfn.eval import report, report_plots
from lcpfn.eval.evaluate_curves import evaluate_curves
from lcpfn.eval.studies import gallery
from lcpfn.model import Model
from lcpfn.plot import pyplot
from lcpfn.priors import LCPFN_PRIOR
from tests.browser.chromium import browser, console_errors, prefer, resize
from tests.eval.makers import powers


@pytest.fixture(scope="module")
def page(params, model, tmp_path_factory):
    card = {
        "metric": {"hard_bounds": True},
        "checksum": "sha256:0123456789",
        "history": [
            {"seconds": 60.0 * i, "gap_10": 1.0 / i, "gap_40": 0.5 / i}
            for i in range(1, 4)
        ],
    }
    named = Model(params, model.config, card)
    curves = [powers("one"), powers("<two>", seed=1)]
    results = evaluate_curves([named], curves, fits=False)
    drawn = report_plots.pictures(results, named, curves)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report.to_html(results, drawn), encoding="utf-8")
    return path


def test_the_page_needs_nothing_but_itself(page):
    text = page.read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', text)
    assert "<script" not in text
    assert "<two>" not in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    assert used <= set(ids)


def test_the_page_in_a_browser(page):
    with browser() as driver:
        for scheme, shade in (
            ("light", "rgb(0, 0, 0)"),
            ("dark", "rgb(255, 255, 255)"),
        ):
            prefer(driver, color_scheme=scheme)
            driver.get(page.as_uri())
            assert console_errors(driver) == []
            colours = driver.execute_script(
                "return [document.body, document.querySelector('svg text')].map("
                "(e, i) => getComputedStyle(e)[i ? 'fill' : 'color'])"
            )
            assert colours == [shade, shade]
        assert driver.execute_script("return document.title") == "Forecasts scored"
        sizes = driver.execute_script(
            "return [...document.querySelectorAll('figure > svg')].map("
            "e => [e.getBoundingClientRect().width, e.getBoundingClientRect().height])"
        )
        assert len(sizes) == 5
        assert np.min(sizes) > 200
        rows = driver.execute_script("return document.querySelectorAll('tr').length")
        assert rows > 40
        # On a phone tables and pictures scroll within the page, not the page itself.
        resize(driver, 390, 800)
        width = driver.execute_script("return document.documentElement.scrollWidth")
        assert width == 390


def test_markdown_becomes_html():
    made = report.from_markdown("a `b` & **c**\n\n| x | y |\n|---|---|\n| 1 | <2> |")
    assert "<p>a <code>b</code> &amp; <strong>c</strong></p>" in made
    assert [*re.findall("<th>(.*?)</th>", made)] == ["x", "y"]
    assert [*re.findall("<td>(.*?)</td>", made)] == ["1", "&lt;2&gt;"]
    long = report.from_markdown(f"| x |\n|---|\n| {'word ' * 20} |")
    assert '<td class="long">word' in long


# --- pictures of priors


@pytest.fixture
def runs():
    t = np.arange(1.0, 13)
    rise = Run(1 - 1 / t, t, name="rise", mode="max", task="a")
    lost = Run(np.where(t > 8, np.nan, t), t, name="lost", mode="min", task="b")
    never = Run(np.full(12, np.nan), t, name="never", mode="min", task="b")
    return rise, lost, never


def test_a_montage_has_a_small_plot_for_every_run(runs):
    pyplot().switch_backend("agg")
    figure = gallery.montage({"first": runs[:2], "second_row": runs[:1]}, "title")
    lines = [len(ax.lines) for ax in figure.axes]
    assert lines == [2, 2, 2, 0]
    up = figure.axes[0].lines[0].get_ydata()
    assert up[-1] < up[0]  # better is lower, whichever way the metric goes
    assert figure.axes[2].get_ylabel() == "second row"
    pyplot().close(figure)


def test_lines_of_a_comparison(runs, monkeypatch):
    monkeypatch.setattr(gallery, "drawn_runs", lambda prior, n, seed=0: [runs[0]] * n)
    rows = gallery.compare_rows([CurveSet("set", runs * 4)], n=3)
    assert [len(row) for row in rows.values()] == [3, 3, 3, 3]
    assert all(np.isfinite(r.values).any() for row in rows.values() for r in row)


def test_drawn_runs_are_curves_of_the_prior():
    drawn = gallery.drawn_runs(LCPFN_PRIOR, 3)
    assert [run.name for run in drawn] == [f"{LCPFN_PRIOR.name} {i}" for i in range(3)]
    for run in drawn:
        assert (np.diff(run.steps) > 0).all()
        assert len(run.steps) == len(run.values)
        assert run.mode == LCPFN_PRIOR.mode
