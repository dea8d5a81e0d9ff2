"""What schedulers cost a real Ray Tune."""

import pytest

pytest.importorskip("ray.tune", reason="needs ray[tune]")
pytestmark = pytest.mark.slow


def test_schedulers_are_measured_on_the_same_trials(tmp_path):
    import json

    from lcpfn.eval.speed import in_ray

    out = tmp_path / "ray.json"
    in_ray.main(["--trials", "6", "--out", str(out)])
    results = json.loads(out.read_text())
    rows = results["schedulers"]
    assert list(rows) == list(in_ray.NAMES)
    assert rows["FIFOScheduler"]["results"] == 6 * in_ray.HORIZON
    assert rows["FIFOScheduler"]["best"] == rows["FIFOScheduler"]["possible"]
    assert len({row["possible"] for row in rows.values()}) == 1
    for name in ("LCScheduler", "LCStopper"):
        assert rows[name]["results"] <= 6 * in_ray.HORIZON
        assert 0 < rows[name]["scheduler_seconds"] < rows[name]["seconds"]
    assert in_ray.to_markdown(results).count("\n") == 1 + len(rows)
