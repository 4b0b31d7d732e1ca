"""A model is left as it was, also where something fails."""

import copy

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.influencing._as_it_was import left_as_it_was
from tests.influencing.models import Attention, Tagger

IDS = torch.arange(24).reshape(2, 12) % 11


def everything(model):
    """What must not change, in a form that compares."""
    return (
        [(name, module.training) for name, module in model.named_modules()],
        {name: value.clone() for name, value in model.state_dict().items()},
        [(p.requires_grad, p.grad is None or p.grad.clone()) for p in model.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        torch.get_rng_state(),
    )


def same(before, after):
    assert after[0] == before[0]
    torch.testing.assert_close(after[1:], before[1:], rtol=0, atol=0)


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = Attention()
    made.blocks[0].eval()  # a part is in another mode than the rest
    made.out.bias.requires_grad_(False)
    made.out.weight.grad = torch.ones_like(made.out.weight)
    return made


def test_everything_is_as_before(model):
    before = everything(model)
    gradscope.influence(model, IDS, layers=True)
    same(before, everything(model))


def test_also_where_the_model_fails(model):
    def fail(*_):
        raise RuntimeError("out of tape")

    hook = model.blocks[1].register_forward_hook(fail)
    before = everything(model)
    with pytest.raises(RuntimeError, match="out of tape"):
        gradscope.influence(model, IDS, layers=True)
    same(before, everything(model))
    hook.remove()


def test_also_where_the_measurement_fails(model):
    before = everything(model)
    with pytest.raises(GradscopeError, match="mask has shape"):
        gradscope.influence(model, IDS, mask=torch.ones(3, 3))
    same(before, everything(model))


def test_inputs_are_not_touched():
    x = torch.randn(2, 12, 3, requires_grad=True)
    before = x.detach().clone()
    gradscope.influence(nn.Sequential(nn.ReLU(inplace=True), Recurrent()), x)
    assert x.grad is None
    torch.testing.assert_close(x.detach(), before, rtol=0, atol=0)


class Recurrent(nn.GRU):
    """The outputs of a GRU alone."""

    def __init__(self):
        super().__init__(3, 4, batch_first=True)

    def forward(self, x):
        return super().forward(x)[0]


def test_dropout_is_off_and_frozen_weights_do_not_matter():
    torch.manual_seed(0)
    model = Tagger()
    found = gradscope.influence(model, IDS)
    frozen = copy.deepcopy(model).requires_grad_(False)
    torch.testing.assert_close(gradscope.influence(frozen, IDS).log_norms, found.log_norms)


def test_gradients_are_taken_under_no_grad_and_inference_mode():
    model = Tagger()
    expected = gradscope.influence(model, IDS).log_norms
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            torch.testing.assert_close(gradscope.influence(model, IDS).log_norms, expected)


def test_a_model_that_changes_itself_is_told():
    class Counting(Recurrent):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    found = gradscope.influence(Counting(), torch.randn(2, 8, 3))
    assert found.notes[-1] == "the model changed tensors of its own in eval mode: calls"


def test_weights_that_a_model_rescales_in_eval_mode_are_scaled_back():
    class Rescaling(Recurrent):
        """As RWKV of transformers does."""

        layers_are_rescaled = False

        def _rescale_layers(self):
            if self.layers_are_rescaled == (not self.training):
                return
            with torch.no_grad():
                self.weight_hh_l0.mul_(2 if self.training else 0.5)
            self.layers_are_rescaled = not self.training

        def forward(self, x):
            self._rescale_layers()
            return super().forward(x)

    for training in (True, False):
        model = Rescaling().train(training)
        before = everything(model)
        with left_as_it_was(model) as notes:
            model(torch.randn(2, 4, 3))
            assert model.layers_are_rescaled
        same(before, everything(model))
        assert not model.layers_are_rescaled
        assert notes == []
