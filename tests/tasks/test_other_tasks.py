"""Exact generation of the tasks beyond adding, copying and order."""

import gzip
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope import GradscopeError
from gradscope.components.options import component

seeds = st.integers(0, 500)


def sample(spec, seed=0, count=20):
    task = component("task", spec)
    return task, task.sample(count, torch.Generator().manual_seed(seed))


@given(seeds)
def test_multiplication_is_of_the_two_marked_numbers(seed):
    _, batch = sample({"name": "multiplication", "length": 15}, seed)
    values, marks = batch.inputs.unbind(-1)
    marked = torch.where(marks > 0, values, torch.ones(())).prod(0)
    assert (marks.sum(0) == 2).all()
    torch.testing.assert_close(batch.targets[0, :, 0], marked)


@given(seeds)
def test_selective_copy_keeps_the_symbols_in_order(seed):
    _, batch = sample({"name": "selective_copy", "length": 14, "symbols": 4}, seed)
    for column, target in zip(batch.inputs.T.tolist(), batch.targets.T.tolist(), strict=True):
        assert [x for x in column[:14] if x] == target
        assert column[14] == 9
        assert not any(column[15:])
    assert batch.steps.tolist() == [14, 15, 16, 17]


@given(seeds)
def test_latch_says_its_class_three_times(seed):
    _, batch = sample({"name": "latch", "length": 30, "noise": 0.1}, seed)
    signs = 2.0 * batch.targets[0] - 1
    assert (batch.inputs[:3, :, 0] == signs).all()
    assert batch.inputs[3:].abs().max() < 0.6


@pytest.mark.parametrize("distractors", ["known", "random"])
def test_long_lag_asks_for_the_first_symbol(distractors):
    _, batch = sample({"name": "long_lag", "length": 9, "distractors": distractors})
    assert torch.equal(batch.inputs[0] - 8, batch.targets[0])
    between = batch.inputs[1:]
    assert between.max() < 8
    assert (between == between[:, :1]).all() == (distractors == "known")
    assert batch.steps.tolist() == [8]


def test_random_permutation_asks_for_the_first_of_many_symbols():
    _, batch = sample({"name": "random_permutation", "length": 30}, count=200)
    assert torch.equal(batch.inputs[0], batch.targets[0])
    assert set(batch.targets[0].tolist()) == {0, 1}
    assert batch.inputs[1:].min() >= 2
    assert batch.inputs.max() == 99


@given(seeds)
def test_parity_counts_every_bit(seed):
    _, last = sample({"name": "parity", "length": 11}, seed)
    _, every = sample({"name": "parity", "length": 11, "every_step": True}, seed)
    assert torch.equal(last.targets[0], last.inputs.sum((0, 2)).long() % 2)
    assert torch.equal(every.targets[-1], last.targets[0])
    assert torch.equal(every.targets[0], every.inputs[0, :, 0].long())


@given(st.integers(1, 12), st.integers(1, 6), seeds)
def test_delayed_xor_answers_after_the_delay(length, extra, seed):
    _, batch = sample({"name": "delayed_xor", "length": length, "extra": extra}, seed)
    bits = (batch.inputs > 0).long()
    for place, step in enumerate(batch.steps.tolist()):
        assert torch.equal(
            batch.targets[place], bits[step - length, :, 0] ^ bits[step - length, :, 1]
        )


@given(seeds)
def test_flip_flop_holds_the_last_pulse(seed):
    _, batch = sample(
        {"name": "flip_flop", "length": 25, "channels": 2, "rate": 0.3}, seed, count=5
    )
    held = torch.zeros(5, 2)
    for pulse, target in zip(batch.inputs, batch.targets, strict=True):
        held = torch.where(pulse != 0, pulse, held)
        assert torch.equal(held, target)


def test_influence_is_positive_near_and_negative_far():
    task, _ = sample({"name": "influence_balancing", "length": 12, "lag": 4})
    batch = task.sample(1, torch.Generator().manual_seed(0))
    x = batch.inputs[:, 0, 0]
    for t in range(12):
        near, far = x[max(0, t - 3) : t + 1].sum(), x[: max(0, t - 3)].sum()
        assert float(batch.targets[t, 0, 0]) == pytest.approx(
            float(0.4 * near - 0.6 * far) / 12, abs=1e-6
        )


@given(seeds)
def test_recall_asks_each_key_once_for_its_value(seed):
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
    assert task.input_size == 11


def test_digits_are_scikit_learns_with_a_fixed_test_set():
    task, batch = sample({"name": "digits"})
    assert batch.inputs.shape == (64, 20, 1)
    assert 0 <= batch.inputs.min() < batch.inputs.max() <= 1
    tests = task.test(1000, torch.Generator().manual_seed(1))
    assert sum(b.inputs.shape[1] for b in tests) == 360
    again = task.test(1000, torch.Generator().manual_seed(2))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(tests, again, strict=True))
    permuted = component("task", {"name": "digits", "permuted": True}).test(
        1000, torch.Generator()
    )[0]
    assert not torch.equal(permuted.inputs, tests[0].inputs)
    assert torch.equal(permuted.inputs.sort(0).values, tests[0].inputs.sort(0).values)
    seen = [next(task.stream(50, torch.Generator().manual_seed(0))).inputs for _ in range(2)]
    assert torch.equal(*seen)


def write_idx(path, array, compress=False):
    content = struct.pack(f">BBBB{array.dim()}I", 0, 0, 8, array.dim(), *array.shape) + bytes(
        array.flatten().tolist()
    )
    path.write_bytes(gzip.compress(content) if compress else content)


def test_mnist_from_idx_files(tmp_path):
    generator = torch.Generator().manual_seed(0)
    sizes = {"train": 12, "t10k": 5}

    def pixels(count):
        return torch.randint(0, 256, (count, 3, 4), generator=generator, dtype=torch.uint8)

    images = {name: pixels(count) for name, count in sizes.items()}
    labels = {
        name: torch.randint(0, 10, (count,), generator=generator, dtype=torch.uint8)
        for name, count in sizes.items()
    }
    for name in sizes:
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", images[name], compress=True)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", labels[name])
    task = component("task", {"name": "digits", "data": str(tmp_path)})
    (test,) = task.test(100, generator)
    assert torch.equal(test.targets[0], labels["t10k"].long())
    torch.testing.assert_close(test.inputs[:, :, 0].T, images["t10k"].flatten(1) / 255.0)
    assert task.sample(4, generator).inputs.shape == (12, 4, 1)


def test_broken_idx_files_are_named(tmp_path):
    with pytest.raises(GradscopeError, match="has no train-images-idx3-ubyte"):
        component("task", {"name": "digits", "data": str(tmp_path)}).sample(1, torch.Generator())
    (tmp_path / "train-images-idx3-ubyte").write_bytes(
        b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 2) + b"abc"
    )
    with pytest.raises(GradscopeError, match="cut short"):
        component("task", {"name": "digits", "data": str(tmp_path)}).sample(1, torch.Generator())


def test_impossible_sizes_are_refused():
    for spec in (
        {"name": "selective_copy", "length": 3, "symbols": 4},
        {"name": "associative_recall", "pairs": 5, "keys": 4},
        {"name": "influence_balancing", "length": 5, "lag": 5},
    ):
        with pytest.raises(GradscopeError):
            component("task", spec)
