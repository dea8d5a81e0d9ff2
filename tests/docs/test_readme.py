"""README.md and docs: their numbers come from results files, their snippets run."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

import lcpfn
from docs.tables import (
    PAGES,
    README,
    RESULTS,
    ROOT,
    TABLES,
    TEXTS,
    filled,
    whole_page,
)
from lcpfn.__main__ import build_parser, main

# Frameworks that not every environment has; their examples run by `make frameworks`.
OPTIONAL = ("ax", "catboost", "lightgbm", "lightning", "ray", "syne_tune", "torch")
OPTIONAL += ("transformers", "xgboost")
PAGE = pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)


def snippets(page):
    """Python between fences, and the text below it, which it is said to print.

    Included files run as examples.
    """
    code, output = r"```python\n(.*?)```", r"(?:\n\n```text\n(.*?)```)?"
    return re.findall(code + output, page.read_text(), re.DOTALL)


def included(page):
    return re.findall(r'^--8<-- "(.*)"$', page.read_text(), re.MULTILINE)


SNIPPETS = [(page, *snippet) for page in TEXTS for snippet in snippets(page)]


@PAGE
def test_tables_are_those_of_the_results_files(page):
    text = page.read_text()
    assert filled(text) == text, "run: python -m docs.tables"


def test_every_table_is_shown():
    text = "".join(page.read_text() for page in TEXTS)
    for name in TABLES:
        assert f"<!-- results: {name} -->" in text


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_those_of_the_results_files(name):
    text = (README.parent / name).read_text()
    assert whole_page(name) == text, "run: python -m docs.tables"


def test_results_are_those_of_the_bundled_weights():
    results = json.loads((RESULTS / "domhan.json").read_text())
    assert results["checksum"] == lcpfn.load("domhan").card["checksum"]


def assert_printed(printed, shown):
    """The same words, and numbers that differ by 2 % at most."""
    number = r"\d+(?:\.\d+)?"
    said, expected = (re.sub(number, "#", x).split() for x in (printed, shown))
    assert said == expected
    values = [[float(x) for x in re.findall(number, y)] for y in (printed, shown)]
    np.testing.assert_allclose(*values, rtol=0.02)


@pytest.mark.parametrize(
    ("page", "code", "shown"),
    SNIPPETS,
    ids=[f"{page.stem}-{i}" for i, (page, *_) in enumerate(SNIPPETS)],
)
def test_snippets_run(page, code, shown, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(code, page.name, "exec"), {})
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(str(missing))
    if shown:
        assert_printed(capsys.readouterr().out, shown)


@pytest.mark.parametrize(
    "page", [README, ROOT / "docs" / "index.md"], ids=lambda page: page.name
)
def test_first_snippets_show_what_they_print(page):
    assert all(shown for code, shown in snippets(page) if "print(" in code)


@PAGE
def test_commands_have_the_options_that_are_shown(page):
    for line in re.findall(r"^ {4}(lcpfn .*)$", page.read_text(), re.MULTILINE):
        words = shlex.split(line, comments=True)[1:]
        if ">" in words:
            words = words[: words.index(">")]
        if words[0].isupper():  # how commands look in general
            continue
        build_parser().parse_args(words)


@PAGE
def test_included_files_are_there_and_tried(page):
    tried = (ROOT / "tests" / "docs" / "test_examples.py").read_text()
    for name in included(page):
        assert (ROOT / name).is_file()
        assert not name.startswith("examples/") or f'"{Path(name).name}' in tried


@PAGE
def test_pictures_are_there(page):
    for name in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text(), re.DOTALL):
        assert (page.parent / name).is_file()


def test_the_first_forecast_is_the_one_shown(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "index.md").read_text()
    (text,) = re.findall(r"^    printf '(.*)' > curve.csv$", page, re.MULTILINE)
    (command,) = re.findall(r"^    lcpfn (forecast curve.*)$", page, re.MULTILINE)
    (shown,) = re.findall(r"``` \{ \.text \}\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("LCPFN_CACHE", "")
    monkeypatch.chdir(tmp_path)
    Path("curve.csv").write_text(text.replace("\\n", "\n"))
    assert main(shlex.split(command)) == 0
    assert_printed(capsys.readouterr().out, shown)


def test_front_page_names_the_default_checkpoint():
    model = lcpfn.load()
    assert Path(model.path).name == model.name
    assert "prior" in model.card


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\nlicense: {project['license']}\n" in citation
