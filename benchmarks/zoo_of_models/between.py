"""Loops that do something between two steps: masks, attention, memories, latent variables."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo_of_models._entry import BATCH, HIDDEN, INPUT, TIME, Case, entry
from benchmarks.zoo_of_models.stock import inputs


def _dones() -> Tensor:
    """1 where an episode begins, (time, batch, 1)."""
    generator = torch.Generator().manual_seed(3)
    return (torch.rand(TIME, BATCH, 1, generator=generator) < 0.08).to(torch.get_default_dtype())


def _zeros(count: int = 2) -> tuple[Tensor, ...]:
    return tuple(torch.zeros(BATCH, HIDDEN) for _ in range(count))


def _model(**parts: nn.Module) -> nn.Module:
    model = nn.Module()
    for name, part in parts.items():
        model.add_module(name, part)
    return model


@entry("recurrent A2C: GRUCell, masked where an episode ends", "Mnih et al. 2016")
def a2c() -> Case:
    x, dones = inputs(), _dones()

    def loss(model: nn.Module) -> Tensor:
        (h,), values = _zeros(1), []
        for step, done in zip(x, dones, strict=True):
            h = model.core(step, h * (1 - done))
            values.append(model.value(h))
        return torch.stack(values).square().mean()

    model = _model(core=nn.GRUCell(INPUT, HIDDEN), value=nn.Linear(HIDDEN, 1))
    return Case(model, loss, {"core": TIME})


@entry("PPO-LSTM: nn.LSTM a step at a time, masked and unsqueezed", "Huang et al. 2022, CleanRL")
def ppo() -> Case:
    x, dones = inputs(), _dones()

    def loss(model: nn.Module) -> Tensor:
        state, hidden = tuple(part.unsqueeze(0) for part in _zeros()), []
        for step, done in zip(x, dones, strict=True):
            output, state = model.lstm(
                step.unsqueeze(0), tuple((1.0 - done).view(1, -1, 1) * part for part in state)
            )
            hidden += [output]
        return model.actor(torch.flatten(torch.cat(hidden), 0, 1)).square().mean()

    model = _model(lstm=nn.LSTM(INPUT, HIDDEN), actor=nn.Linear(HIDDEN, 3))
    return Case(model, loss, {"lstm": TIME})


@entry("RecurrentPPO's own _process_sequence", "sb3-contrib")
def sb3() -> Case:
    from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy

    x, dones = inputs(), _dones()
    dones[3, 0] = 1.0

    def loss(model: nn.Module) -> Tensor:
        features = x.transpose(0, 1).reshape(-1, INPUT)
        starts = dones[..., 0].T.reshape(-1)
        state = tuple(part.unsqueeze(0) for part in _zeros())
        output, _ = RecurrentActorCriticPolicy._process_sequence(
            features, state, starts, model.lstm
        )
        return output.square().mean()

    return Case(_model(lstm=nn.LSTM(INPUT, HIDDEN)), loss, {"lstm": TIME})


@entry("DRQN: squeezed, concatenated with the last action", "Hausknecht and Stone 2015")
def drqn() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        state, total = None, torch.zeros(())
        action = torch.zeros(BATCH, 3)
        for step in x:
            output, state = model.lstm(torch.cat((step, action), -1).unsqueeze(1), state)
            q = model.q(output.squeeze(1))
            action = functional.one_hot(q.argmax(-1), 3).to(q)
            total = total + q.square().mean()
        return total

    model = _model(lstm=nn.LSTM(INPUT + 3, HIDDEN, batch_first=True), q=nn.Linear(HIDDEN, 3))
    return Case(model, loss, {"lstm": TIME})


@entry("R2D2: burned in without a gradient", "Kapturowski et al. 2019")
def r2d2() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        with torch.no_grad():
            _, state = model.lstm(x[:10])
        return model.q(model.lstm(x[10:], state)[0]).square().mean()

    model = _model(lstm=nn.LSTM(INPUT, HIDDEN), q=nn.Linear(HIDDEN, 3))
    return Case(model, loss, {"lstm": TIME - 10}, told="without a gradient")


class Attention(nn.Module):
    """Additive attention over what an encoder gave."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.score = nn.Linear(HIDDEN, 1)

    def forward(self, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(what was read, weights) for a state and (time, batch, hidden)."""
        scores = self.score(torch.tanh(self.query(h) + self.key(memory))).softmax(0)
        return (scores * memory).sum(0), scores


@entry("seq2seq with attention and input feeding", "Bahdanau et al. 2015")
def seq2seq() -> Case:
    x, y = inputs(), torch.randn(TIME, BATCH, INPUT)

    def loss(model: nn.Module) -> Tensor:
        memory, h = model.encoder(x)
        h, total = h[0], torch.zeros(())
        for step in y:
            context, _ = model.attention(h, memory)
            h = model.decoder(torch.cat((step, context), -1), h)
            total = total + model.out(torch.cat((h, context), -1)).square().mean()
        return total

    model = _model(
        encoder=nn.GRU(INPUT, HIDDEN),
        attention=Attention(),
        decoder=nn.GRUCell(INPUT + HIDDEN, HIDDEN),
        out=nn.Linear(2 * HIDDEN, 2),
    )
    return Case(model, loss, {"encoder": TIME, "decoder": TIME})


@entry("pointer network: an LSTMCell that reads what it points at", "Vinyals et al. 2015")
def pointer() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        memory, (h, c) = model.encoder(x)
        state, given, total = (h[0], c[0]), torch.zeros(BATCH, HIDDEN), torch.zeros(())
        for t in range(TIME):
            state = model.decoder(given, state)
            given, weights = model.attention(state[0], memory)
            total = total - weights[t].clamp_min(1e-9).log().mean()
        return total

    model = _model(
        encoder=nn.LSTM(INPUT, HIDDEN),
        decoder=nn.LSTMCell(HIDDEN, HIDDEN),
        attention=Attention(),
    )
    return Case(model, loss, {"encoder": TIME, "decoder": TIME})


@entry("listen, attend and spell: two cells, one above the other", "Chan et al. 2016")
def speller() -> Case:
    x, y = inputs(), torch.randn(TIME, BATCH, INPUT)

    def loss(model: nn.Module) -> Tensor:
        memory = model.listener(x)[0]
        first = second = None
        context, total = torch.zeros(BATCH, HIDDEN), torch.zeros(())
        for step in y:
            first = model.first(torch.cat((step, context), -1), first)
            second = model.second(first[0], second)
            context, _ = model.attention(second[0], memory)
            total = total + context.square().mean()
        return total

    model = _model(
        listener=nn.LSTM(INPUT, HIDDEN),
        first=nn.LSTMCell(INPUT + HIDDEN, HIDDEN),
        second=nn.LSTMCell(HIDDEN, HIDDEN),
        attention=Attention(),
    )
    return Case(model, loss, {"listener": TIME, "first": TIME, "second": TIME})


@entry("neural Turing machine: a controller that reads and writes", "Graves et al. 2014")
def ntm() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        memory, read = torch.full((BATCH, 6, 4), 0.01), torch.zeros(BATCH, 4)
        state, total = None, torch.zeros(())
        for step in x:
            state = model.controller(torch.cat((step, read), -1), state)
            key, erase, add = model.heads(state[0]).split(4, -1)
            weights = functional.cosine_similarity(memory, key[:, None], -1).softmax(-1)[..., None]
            memory = memory * (1 - weights * erase.sigmoid()[:, None]) + weights * add[:, None]
            read = (weights * memory).sum(1)
            total = total + read.square().mean()
        return total

    model = _model(controller=nn.LSTMCell(INPUT + 4, HIDDEN), heads=nn.Linear(HIDDEN, 12))
    return Case(model, loss, {"controller": TIME})


@entry(
    "RSSM: a latent variable drawn from the state, fed to the next", "Hafner et al. 2019, Dreamer"
)
def rssm() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        (h,), z, total = _zeros(1), torch.zeros(BATCH, 3), torch.zeros(())
        for step in x:
            h = model.core(functional.elu(model.embed(torch.cat((z, step), -1))), h)
            mean, deviation = model.latent(h).chunk(2, -1)
            z = mean + functional.softplus(deviation) * torch.randn_like(mean)
            total = total + model.out(torch.cat((h, z), -1)).square().mean()
        return total

    model = _model(
        embed=nn.Linear(3 + INPUT, HIDDEN),
        core=nn.GRUCell(HIDDEN, HIDDEN),
        latent=nn.Linear(HIDDEN, 6),
        out=nn.Linear(HIDDEN + 3, 2),
    )
    return Case(model, loss, {"core": TIME})


@entry("zoneout: units that keep their last value", "Krueger et al. 2017")
def zoneout() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        (h,) = _zeros(1)
        for step in x:
            after = model.cell(step, h)
            h = torch.where(torch.rand_like(h) < 0.2, h, after)
        return h.square().mean()

    # a unit that is kept reaches past the step before: that way is a gradient from outside
    return Case(_model(cell=nn.GRUCell(INPUT, HIDDEN)), loss, {"cell": TIME})


@entry("one dropout mask for all steps", "Gal and Ghahramani 2016")
def variational() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        mask = functional.dropout(torch.ones(BATCH, HIDDEN), 0.3)
        h, c = _zeros()
        for step in x:
            h, c = model.cell(step, (h * mask, c))
        return h.square().mean()

    return Case(_model(cell=nn.LSTMCell(INPUT, HIDDEN)), loss, {"cell": TIME})


@entry("layer normalisation between two steps", "Ba et al. 2016")
def normalised() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        (h,) = _zeros(1)
        for step in x:
            h = model.norm(model.cell(step, h))
        return h.square().mean()

    model = _model(cell=nn.RNNCell(INPUT, HIDDEN), norm=nn.LayerNorm(HIDDEN))
    return Case(model, loss, {"cell": TIME})


@entry("a residual around every step", "Kim et al. 2017")
def residual() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        (h,) = _zeros(1)
        for step in x:
            h = model.cell(step, h) + 0.1 * model.skip(step)
        return h.square().mean()

    model = _model(cell=nn.RNNCell(INPUT, HIDDEN), skip=nn.Linear(INPUT, HIDDEN))
    return Case(model, loss, {"cell": TIME})


@entry("a state reset in place", "common in rollouts")
def in_place() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        (h,) = _zeros(1)
        for t, step in enumerate(x):
            h = model.cell(step, h)
            if t % 7 == 6:
                h = h.clone()
                h[1] = 0.0
        return h.square().mean()

    return Case(_model(cell=nn.GRUCell(INPUT, HIDDEN)), loss, {"cell": TIME})


@entry("scheduled sampling: its own output or the teacher's", "Bengio et al. 2015")
def scheduled() -> Case:
    y = torch.randn(TIME, BATCH, INPUT)

    def loss(model: nn.Module) -> Tensor:
        (h,), given, total = _zeros(1), torch.zeros(BATCH, INPUT), torch.zeros(())
        for step in y:
            h = model.cell(given, h)
            output = model.out(h)
            total = total + functional.mse_loss(output, step)
            given = torch.where(torch.rand(BATCH, 1) < 0.5, output, step)
        return total

    model = _model(cell=nn.GRUCell(INPUT, HIDDEN), out=nn.Linear(HIDDEN, INPUT))
    return Case(model, loss, {"cell": TIME})


@entry("a hierarchy: a slow GRU that is read by a fast one", "Chung et al. 2017")
def hierarchy() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        fast, slow = _zeros()
        for t, step in enumerate(x):
            if t % 3 == 0:
                slow = model.slow(fast, slow)
            fast = model.fast(torch.cat((step, slow), -1), fast)
        return fast.square().mean()

    model = _model(fast=nn.GRUCell(INPUT + HIDDEN, HIDDEN), slow=nn.GRUCell(HIDDEN, HIDDEN))
    return Case(model, loss, {"fast": TIME, "slow": TIME // 3})


@entry("recurrent independent mechanisms: the most relevant are updated", "Goyal et al. 2021")
def rims() -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        h = torch.zeros(BATCH * 2, HIDDEN)
        for step in x:
            after = model.cell(step.repeat_interleave(2, 0), h)
            relevant = model.relevance(after).view(BATCH, 2).softmax(-1).view(-1, 1)
            h = relevant * after
        return h.square().mean()

    model = _model(cell=nn.GRUCell(INPUT, HIDDEN), relevance=nn.Linear(HIDDEN, 1))
    return Case(model, loss, {"cell": TIME}, told="the samples of a batch meet")
