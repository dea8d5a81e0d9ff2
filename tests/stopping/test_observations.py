"""At which observations to decide."""

from hypothesis import given
from hypothesis import strategies as st

from lcpfn.stopping.observations import DecisionInterval


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=15),
    st.sampled_from([0, 1, 3, 7.5, 40]),
    st.sampled_from([0.3, 1, 2, 2.5, 5]),
    st.integers(1, 4),
)
def test_the_newest_decisions_are_those_that_were_due(steps, first, every, most):
    interval, steps = DecisionInterval(first, every), [s / 2 for s in sorted(steps)]
    pairs = zip(steps, [None, *steps], strict=False)
    due = [i for i, (at, before) in enumerate(pairs, 1) if interval.due(at, before)]
    at_the_end = bool(due) and due[-1] == len(steps)
    assert interval.cutoffs(steps, most) == (due[-most:] if at_the_end else [])
