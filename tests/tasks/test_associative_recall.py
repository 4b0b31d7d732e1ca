"""Multi-query associative recall."""

from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(0, 500))
def test_each_key_is_asked_once_for_its_value(seed):
    task, batch = sample(
        {"name": "associative_recall", "length": 2, "pairs": 3, "keys": 6, "values": 4},
        seed,
        count=6,
    )
    for column, target in zip(batch.inputs.T.tolist(), batch.targets.T.tolist(), strict=True):
        known = dict(zip(column[0:6:2], column[1:6:2], strict=True))
        assert len(known) == 3
        assert column[6:8] == [0, 0]
        assert sorted(column[8:]) == sorted(known)
        assert [known[key] - 7 for key in column[8:]] == target
    assert batch.steps.tolist() == [8, 9, 10]
    assert task.input_size == 11
