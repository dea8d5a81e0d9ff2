"""The study of promises: doubted where they are broken, and not where they are kept."""

from dataclasses import replace

import numpy as np
import pytest

from lcpfn.eval.studies import promise
from tests.eval.stopping.makers import ENDS, lines, with_wrong_forecast


@pytest.fixture(scope="module")
def tasks():
    rng = np.random.default_rng(0)
    wrong = lines(ENDS[:30])
    for run in range(30):
        wrong = with_wrong_forecast(wrong, run, 5.0)
    return [
        promise.known_of(replace(task, source=name), rng)
        for name, task in (
            *(("foreseen", lines(ENDS[i : i + 30])) for i in (0, 30)),
            ("taskset", lines(ENDS[10:50])),
            ("wrong", wrong),
        )
    ]


def test_a_broken_promise_is_doubted_and_a_kept_one_is_not(tasks):
    rows = promise.by_source(tasks)
    found = {(x["chosen_on"], x["left_out"], x["rate"]): x for x in rows}
    assert ("wrong", "foreseen", 0.1) not in found  # no confidence keeps it
    broken = found["foreseen", "wrong", 0.1]
    assert broken["measured"] == 1
    assert broken["as_met"] == pytest.approx(1)
    assert set(broken["doubted"].values()) == {1.0}
    kept = found[promise.ON_THESE, "foreseen", 0.1]
    assert kept["measured"] == kept["as_met"] == 0
    assert set(kept["doubted"].values()) == {0.0}


def test_tables(tasks):
    rows = promise.by_source(tasks)
    single = promise.single_tasks(tasks)
    assert single["after_5"] == pytest.approx(1 / 4)
    halves = promise.halves(tasks, np.random.default_rng(0))
    assert set(halves) == {"after_5", "after_10"}
    results = {"by_source": rows, "task": single, "halves": halves}
    text = promise.to_markdown(results)
    assert "over 2.5 times what was promised | " in text
    assert text.splitlines()[-1].endswith(" |  |")  # 20 runs are no half of any here
    by_source = promise.sources_to_markdown(results)
    assert "| wrong | " in by_source
    assert by_source.count("100.0% / 100.0%") == 2
