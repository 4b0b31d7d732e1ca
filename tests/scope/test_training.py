"""TrainingSetup: a user's training, which can be begun again."""

import math

import pytest
import torch
from torch import nn

from gradscope.errors import GradscopeError
from gradscope.scope import TrainingSetup
from gradscope.scope._training import _checked, default_loss
from tests.scope.conftest import Tagger


def squared_end(model, x):
    return model(x)[0][-1].square().mean()


def setup_of(**options):
    torch.manual_seed(0)
    data = [torch.randn(20, 4, 2) for _ in range(3)]
    return TrainingSetup(nn.Sequential(nn.LSTM(2, 8)), data, squared_end, **options)


# --- the loss -------------------------------------------------------------------------------------


def test_the_default_loss():
    linear = nn.Linear(3, 4)
    x, labels = torch.randn(5, 2, 3), torch.randint(4, (5, 2))
    expected = nn.functional.cross_entropy(linear(x).view(10, 4), labels.view(10))
    torch.testing.assert_close(default_loss(linear, (x, labels)), expected)
    torch.testing.assert_close(default_loss(linear, (x, linear(x) + 1)), torch.tensor(1.0))
    for batch, message in [
        (x, r"should be \(x, y\)"),
        ((x, torch.zeros(5, 4)), "give a loss that fits"),
        ((x, labels[:2]), "give a loss that fits"),
    ]:
        with pytest.raises(GradscopeError, match=message):
            default_loss(linear, batch)
    with pytest.raises(GradscopeError, match="should give one tensor"):
        default_loss(nn.GRU(3, 4), (x, labels))


@pytest.mark.parametrize(
    ("loss", "what"),
    [
        (3.0, "a float"),
        (torch.ones(8, requires_grad=True), r"a tensor \(8,\) with gradient"),
        (torch.ones(()), r"a tensor \(\) without gradient"),
    ],
)
def test_a_loss_that_cannot_be_sent_back(loss, what):
    with pytest.raises(GradscopeError, match=f"the loss gives {what}; it should be a scalar"):
        _checked(loss)


# --- the data -------------------------------------------------------------------------------------


def test_data_that_end_begin_again():
    batches = TrainingSetup(nn.GRU(2, 3), [1, 2]).batches()
    assert [next(batches) for _ in range(5)] == [1, 2, 1, 2, 1]


def test_data_may_be_a_function_that_gives_an_iterator():
    def data():
        yield from ("a", "b")

    batches = TrainingSetup(nn.GRU(2, 3), data).batches()
    assert [next(batches) for _ in range(3)] == ["a", "b", "a"]


@pytest.mark.parametrize("data", [[], iter([1])], ids=["empty", "gone after once"])
def test_data_that_cannot_be_begun_again_are_named(data):
    batches = TrainingSetup(nn.GRU(2, 3), data).batches()
    if data:
        assert next(batches) == 1
    with pytest.raises(GradscopeError, match="hold no batch, or cannot be begun again"):
        next(batches)


def test_every_tensor_of_a_batch_goes_to_the_device():
    x = torch.ones(2)
    setup = TrainingSetup(nn.GRU(2, 3), [{"x": x, "names": ["a"]}]).to("meta")
    batch = next(setup.batches())
    assert batch["x"].device.type == "meta"
    assert batch["names"] == ["a"]
    assert next(setup.model.parameters()).device.type == "meta"


# --- training -------------------------------------------------------------------------------------


def test_a_plan_is_a_copy():
    setup = setup_of(learning_rate=0.2, max_norm=3.0)
    plan = setup.plan()
    assert (plan.learning_rate, plan.max_norm, plan.places) == (0.2, 3.0, ("0",))
    assert plan.model is not setup.model
    for ours, theirs in zip(plan.model.parameters(), setup.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours is not theirs


def test_a_run_is_the_plain_loop():
    setup = setup_of(learning_rate=0.1, max_norm=0.01, optimizer=torch.optim.SGD)
    scope, losses = setup.run(setup.plan(), updates=5, every=2)
    plan = setup.plan()
    optimizer = torch.optim.SGD(plan.model.parameters(), lr=0.1)
    expected = []
    for step in range(5):
        optimizer.zero_grad()
        loss = squared_end(plan.model, setup.data[step % 3])
        loss.backward()
        nn.utils.clip_grad_norm_(plan.model.parameters(), 0.01)
        optimizer.step()
        expected.append(float(loss.detach()))
    assert losses == expected
    for trained, plain in zip(scope.model.parameters(), plan.model.parameters(), strict=True):
        assert torch.equal(trained, plain)


@pytest.mark.parametrize(("updates", "every", "steps"), [(5, 2, [0, 2, 4]), (4, 3, [0, 3])])
def test_the_last_update_is_recorded_too(updates, every, steps):
    setup = setup_of()
    scope, losses = setup.run(setup.plan(), updates, every)
    assert len(losses) == updates
    assert sorted(set(scope.tables()["adjoint_norms"]["train_step"])) == steps


def test_a_loss_that_is_no_longer_finite_ends_it():
    setup = setup_of()
    losses = iter([1.0, math.inf, 1.0])
    setup.loss = lambda model, x: squared_end(model, x) * next(losses)
    _, seen = setup.run(setup.plan(), updates=3, every=1)
    assert len(seen) == 2
    assert math.isinf(seen[1])


def test_frozen_parameters_stay_and_a_model_without_others_is_named():
    setup = setup_of()
    for parameter in setup.model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(GradscopeError, match="no parameter of the model may learn"):
        setup.run(setup.plan(), 1, 1)
    setup.model[0].weight_hh_l0.requires_grad_()
    scope, _ = setup.run(setup.plan(), 1, 1)
    before, after = dict(setup.model.named_parameters()), dict(scope.model.named_parameters())
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert changed == ["0.weight_hh_l0"]


# --- errors of the user's own ---------------------------------------------------------------------


def test_an_error_of_the_users_code_says_where():
    setup = setup_of()

    def broken(model, x):
        return model(x)[0] @ torch.ones(1, 2, 3, 4)

    setup.loss = broken
    with pytest.raises(GradscopeError) as caught:
        setup.guarded(lambda: setup.run(setup.plan(), 1, 1))
    message = str(caught.value)
    assert "its data or its loss raised RuntimeError" in message
    assert "(test_training.py, line" in message
    assert "torch.ones(1, 2, 3, 4)" in message
    assert "called as loss(model, batch)" in message


def test_of_the_default_loss_no_signature_is_said():
    setup = TrainingSetup(Tagger(nn.GRU(3, 8)), [(torch.ones(2, 2), torch.ones(2))])
    with pytest.raises(GradscopeError, match="raised") as caught:
        setup.guarded(lambda: setup.run(setup.plan(), 1, 1))
    assert "loss(model, batch)" not in str(caught.value)


def test_our_own_messages_go_through():
    setup, error = setup_of(), GradscopeError("as it is")

    def work():
        raise error

    with pytest.raises(GradscopeError) as caught:
        setup.guarded(work)
    assert caught.value is error
    assert setup.guarded(lambda: 5) == 5
