"""The ablation: each variant is the base with one thing changed, and is trained once."""

from dataclasses import fields, replace

import pytest

from lcpfn.eval.studies import ablation
from lcpfn.priors import find_prior
from lcpfn.train.presets import PRESETS


@pytest.mark.parametrize("name", [n for n in ablation.VARIANTS if n != "as it is"])
def test_a_variant_changes_one_thing(name):
    config = ablation.VARIANTS[name]
    base = ablation.BASE
    names = [field.name for field in fields(base)]
    changed = [n for n in names if getattr(config, n) != getattr(base, n)]
    assert len(changed) == 1
    if changed == ["prior"]:
        assert find_prior(config.prior).name.replace("_", " ") == f"broad{name[5:]}"


def test_what_is_trained_is_not_trained_again(tmp_path):
    config = replace(PRESETS["tiny"], steps=2, save_every=2, validation=8)
    first = ablation.train(config, tmp_path / "run")
    assert (first / "card.json").is_file()
    before = (first / "card.json").stat().st_mtime_ns
    assert ablation.train(config, tmp_path / "run") == first
    assert (first / "card.json").stat().st_mtime_ns == before
