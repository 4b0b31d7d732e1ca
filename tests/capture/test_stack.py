"""Which modules are the layers of a stack."""

from torch import nn

from gradscope.capture._stack import Stack, stacks


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


def test_layers_are_a_containers_children_or_what_these_hold():
    a, b, c = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    assert Stack.within("s", nn.Sequential(a, b)).layers == ((a,), (b,))
    assert Stack.within("d", nn.ModuleDict({"x": a, "y": b})).layers == ((a,), (b,))
    nested = nn.ModuleList([nn.ModuleList([a, nn.ModuleList([b])]), nn.ModuleList([c])])
    assert Stack.within("n", nested).layers == ((a, b), (c,))
    assert Stack.within("one", a).layers == ((a,),)


def test_names_may_be_given_by_a_pattern():
    model = nn.Module()
    model.block1, model.block2, model.other = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    model.layers = nn.ModuleList([nn.Sequential(nn.Linear(1, 1)) for _ in range(2)])
    modules = dict(model.named_modules())
    assert Stack.matching("block*", modules).layers == ((model.block1,), (model.block2,))
    inner = Stack.matching("layers.*.0", modules)
    assert inner.layers == ((model.layers[0][0],), (model.layers[1][0],))
    assert Stack.matching("oth*", modules) is None
