"""What was run again beside what was given."""

import math

import pytest
import torch

from gradscope.capture._again import departure_notes
from gradscope.capture._place import Place
from gradscope.errors import GradscopeError

PLACE = Place("mixer", "kernel")


def said(again, given, changed=False):
    return departure_notes(again, given, changed=changed, place=PLACE, kind="Kernel")


def test_nothing_is_said_of_what_is_the_same_or_nearly():
    given = torch.tensor([2.0, -4.0])
    assert said(given, given) == []
    assert said(given + 3e-3, given) == []
    assert said(torch.zeros(2), torch.zeros(2)) == []


def test_a_small_departure_is_noted_over_the_size_of_what_was_given():
    given = torch.tensor([2.0, -4.0])
    (note,) = said(given + 0.04, given.bfloat16())
    assert note == (
        "mixer: run again in full precision it departs from what it gave, in bfloat16, by 1.0e-02 "
        "of its size"
    )


@pytest.mark.parametrize("departure", [0.21, math.nan, math.inf])
def test_a_large_one_is_refused(departure):
    given = torch.tensor([2.0, -4.0])
    with pytest.raises(GradscopeError, match="'mixer', run again, departs from what it gave by"):
        said(given + torch.tensor([0.0, departure]), given)


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_what_was_not_finite_is_left_out(lost):
    given = torch.tensor([2.0, lost])
    assert said(torch.tensor([2.0, 5.0]), given) == []
    with pytest.raises(GradscopeError, match="departs from what it gave by 50%"):
        said(torch.tensor([3.0, 5.0]), given)


def test_what_was_changed_in_place_cannot_be_checked():
    given = torch.ones(2)
    assert said(given, 3 * given, changed=True) == [
        "mixer: its output was changed in place, so that it could not be checked"
    ]
