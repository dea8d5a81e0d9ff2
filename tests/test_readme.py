"""README.md: its numbers come from results files, its snippets run."""

import json
import re
from pathlib import Path

import pytest

import lcpfn
from lcpfn.eval.readme import PAGES, README, RESULTS, TABLES, filled, page

SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_tables_are_those_of_the_results_files():
    text = README.read_text()
    for name in TABLES:
        assert f"<!-- results: {name} -->" in text
    assert filled(text) == text, "run: python -m lcpfn.eval.readme"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_those_of_the_results_files(name):
    text = (README.parent / name).read_text()
    assert page(name) == text, "run: python -m lcpfn.eval.readme"


def test_results_are_those_of_the_bundled_weights():
    results = json.loads((RESULTS / "domhan.json").read_text())
    assert results["checksum"] == lcpfn.load("domhan").card["checksum"]


@pytest.mark.parametrize("code", SNIPPETS, ids=lambda code: code.split("\n")[0])
def test_snippets_run(code):
    accuracies = iter([0.5] * 60)
    exec(code, {"train_one_epoch": lambda: next(accuracies)})


def test_front_page_names_the_default_checkpoint():
    model = lcpfn.load()
    assert Path(model.path).name == model.name
    assert "prior" in model.card


DOCS = sorted((README.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_snippets_of_the_documentation_run(page, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(code, {})
