"""What the tests of frameworks share."""

import pytest

from lcpfn.task import Task


@pytest.fixture
def asked(monkeypatch):
    """The configurations of all runs that each forecast was made with, by run."""
    forecasts = []
    ask = Task.ask

    def spy(self, contexts, configs, asked, ahead=None):
        forecasts.append({name: configs.get(name) for name in contexts})
        return ask(self, contexts, configs, asked, ahead)

    monkeypatch.setattr(Task, "ask", spy)
    return forecasts
