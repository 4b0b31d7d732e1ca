"""What is said of what a recurrence can remember."""

import math

import pytest
import torch

from gradscope.auditing._judgement import judged
from gradscope.auditing._memory import Memory


def memory(rates, unit="head", **facts):
    return Memory("mixer", "Mixer", unit, torch.tensor(rates), facts)


def names(memory, length=None):
    return [judgement.name for judgement in judged(memory, length)]


def test_most_heads_must_forget_within_a_step():
    assert names(memory([2.0, 2.0, 0.1, 0.1])) == []
    assert names(memory([2.0, 2.0, 2.0, 0.1])) == ["heads_forget"]
    assert names(memory([2.0, 2.0, 2.0, 0.1], unit="mode")) == []


@pytest.mark.parametrize(("radius", "chi", "found"), [(1.1, 1.1, []), (2.1, 0.5, ["exploding"]),
                                                      (0.9, 2.5, ["exploding"])])  # fmt: skip
def test_growth(radius, chi, found):
    assert names(memory([0.1], spectral_radius=radius, chi=chi)) == found


def test_reach_is_that_of_the_slowest_head():
    slow = memory([1.0, 0.01])
    assert slow.reach == pytest.approx(100 * math.log(1000))
    assert names(slow, 690) == []
    assert names(slow, 692) == ["short_memory"]
    assert names(memory([0.5, 0.0]), 10**9) == []  # the second never forgets
    (said,) = judged(slow, 1000)
    assert str(said).startswith("fault: short memory at mixer: nothing reaches over 1000 steps")


def test_a_slow_start_of_a_simple_network_is_a_remark():
    (said,) = judged(memory([1.5], unit="mode", spectral_radius=0.2), None)
    assert not said.is_fault
    assert str(said).startswith("remark: vanishing")
