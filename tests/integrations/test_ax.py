"""Ax, for real: its client runs an experiment whose trials report as they go."""

import pytest

pytest.importorskip("ax.api.client", reason="needs ax-platform and torch")
pytestmark = pytest.mark.slow

HORIZON = 12
TOPS = [0.9, 0.85, 0.8, 0.4, 0.5, 0.95]


def search(strategy, objective="accuracy"):
    """Records of each trial until it ended or was stopped."""
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    client = Client(random_seed=0)
    client.configure_experiment(
        parameters=[RangeParameterConfig("top", (0.0, 1.0), "float")]
    )
    client.configure_optimization(objective)
    client.set_early_stopping_strategy(strategy)
    sign = -1 if objective.startswith("-") else 1
    lengths = []
    for top in TOPS:
        index = client.attach_trial({"top": top})
        for step in range(1, HORIZON + 1):
            value = sign * top * (1 - 0.5 / (1 + step))
            client.attach_data(index, {"accuracy": value}, progression=step)
            if client.should_stop_trial_early(index):
                client.mark_trial_early_stopped(index)
                break
        else:
            client.complete_trial(index)
        lengths.append(step)
    return lengths


def test_forecasts_know_the_other_trials(asked):
    from lcpfn.integrations.ax import LCEarlyStoppingStrategy

    search(LCEarlyStoppingStrategy(HORIZON, min_curves=3))
    assert asked[-1] == {f"trial {i}": {"top": top} for i, top in enumerate(TOPS)}
    asked.clear()
    found = search(LCEarlyStoppingStrategy(HORIZON, min_curves=3, alone=True))
    assert min(found) < HORIZON
    assert not asked


@pytest.mark.parametrize("objective", ["accuracy", "-accuracy"])
def test_it_stops_what_cannot_win(objective):
    from lcpfn.integrations.ax import LCEarlyStoppingStrategy

    found = search(LCEarlyStoppingStrategy(HORIZON, min_curves=3), objective)
    assert found[:3] == [HORIZON] * 3
    assert max(found[3:5]) < HORIZON
    assert found[5] == HORIZON


def test_progressions_are_respected():
    from lcpfn.integrations.ax import LCEarlyStoppingStrategy

    found = search(LCEarlyStoppingStrategy(HORIZON, min_curves=3, min_progression=9))
    assert min(found[3:5]) >= 9


def test_unsafe_rules_stop_nothing():
    from lcpfn.integrations.ax import LCEarlyStoppingStrategy

    strategy = LCEarlyStoppingStrategy(HORIZON, min_curves=3, check_safe=True)
    strategy._is_harmful = lambda *args, **options: True
    assert search(strategy) == [HORIZON] * len(TOPS)


def test_wrong_options_are_refused_at_once():
    from lcpfn.integrations.ax import LCEarlyStoppingStrategy

    with pytest.raises(ValueError, match="confidence"):
        LCEarlyStoppingStrategy(HORIZON, confidence=2)
