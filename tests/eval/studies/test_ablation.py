"""The ablation: a variant is its base with one thing changed, and is trained once."""

import json
from dataclasses import fields

import pytest

from lcpfn.eval.studies import ablation, without
from lcpfn.eval.studies.options import RESULTS


@pytest.mark.parametrize("name", [n for n in ablation.VARIANTS if n != "as it is"])
def test_a_variant_changes_one_thing(name):
    config = ablation.VARIANTS[name]
    at_one = name.startswith("one length (64), ")
    base = ablation.ONE_LENGTH if at_one else ablation.BASE
    names = [field.name for field in fields(base)]
    changed = [n for n in names if getattr(config, n) != getattr(base, n)]
    assert len(changed) == 1
    if changed == ["prior"]:
        group = config.prior.partition(":")[2]
        assert getattr(without, group).name.replace("_", " ") == f"broad{name[5:]}"


def test_what_is_trained_is_not_trained_again(tmp_path, monkeypatch):
    trained = []

    def fit(config, out):
        trained.append(config)
        (out / "release").mkdir(parents=True)

    monkeypatch.setattr(ablation, "fit", fit)
    for _ in range(2):
        path = ablation.train(ablation.BASE, tmp_path / "run")
    assert path == tmp_path / "run" / "release"
    assert trained == [ablation.BASE]


def test_every_variant_has_been_measured():
    results = json.loads((RESULTS / "ablation.json").read_text())
    assert set(results["variants"]) == set(ablation.VARIANTS)


def test_the_table_is_that_of_the_results_file():
    results = json.loads((RESULTS / "ablation.json").read_text())
    assert ablation.to_markdown(results) == ablation.TABLE.read_text()
