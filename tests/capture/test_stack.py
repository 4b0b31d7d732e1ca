"""Which modules are the layers of a stack."""

from torch import nn

from gradscope.capture._stack import stacks


def test_stacks_are_outermost_and_of_one_class_with_parameters():
    inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model = nn.ModuleDict(
        {
            "outer": nn.ModuleList([inner, nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))]),
            "mixed": nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
            "plain": nn.Sequential(nn.Tanh(), nn.Tanh()),
            "alone": nn.ModuleList([nn.Linear(2, 2)]),
            "second": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
        }
    )
    assert [name for name, _ in stacks(model)] == ["outer", "second"]
