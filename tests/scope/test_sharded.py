"""Training on several processes: every rank records its part, and all agree on the norms."""

import os
import pickle
import socket

import pytest
import torch
import torch.distributed as dist
from torch import nn

import gradscope

pytestmark = pytest.mark.zoo

RANKS = 2


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.cell, self.out = nn.LSTM(4, 8), nn.GRUCell(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        h = torch.zeros(x.shape[1], 8)
        for step in self.rnn(x)[0]:
            h = self.cell(step, 0.9 * h)
        return self.out(h)


def sharded(model, kind):
    if kind == "DDP":
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.fsdp import fully_shard

    fully_shard(model, mesh=dist.device_mesh.init_device_mesh("cpu", (RANKS,)))
    return model


def trained(kind, rank, watched):
    torch.manual_seed(0)
    model = sharded(Model(), kind)
    optimizer, scope = torch.optim.SGD(model.parameters(), 0.1), gradscope.attach(model)
    torch.manual_seed(rank)
    for _ in range(3):
        x = torch.randn(12, 4, 4)
        with scope.every(1 if watched else 10**9):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    whole = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
    return [p.detach().clone() for p in whole], scope


def work(rank, kind, port, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    torch.set_num_threads(1)
    alone, _ = trained(kind, rank, watched=False)
    watched, scope = trained(kind, rank, watched=True)
    told = {"same": all(map(torch.equal, alone, watched)), "scalars": scope.scalars()}
    (folder / f"{kind}{rank}").write_bytes(pickle.dumps(told))
    dist.destroy_process_group()


def told_by(kind, folder):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    torch.multiprocessing.spawn(work, (kind, port, folder), RANKS)
    return [pickle.loads((folder / f"{kind}{rank}").read_bytes()) for rank in range(RANKS)]


def test_ranks_agree_and_keep_their_bits(tmp_path):
    by_kind = {kind: told_by(kind, tmp_path) for kind in ("DDP", "FSDP2")}
    for told in by_kind.values():
        assert all(rank["same"] for rank in told)
        first, second = (rank["scalars"] for rank in told)
        for name in ("grad_norm_preclip", "grad_norm_postclip"):
            assert first[name] == pytest.approx(second[name], rel=1e-6)
            assert first["grad_norm_preclip"] == pytest.approx(first[name], rel=1e-6)
    for left, right in zip(*by_kind.values(), strict=True):
        names = {name.removeprefix("module."): value for name, value in left["scalars"].items()}
        assert names == pytest.approx(right["scalars"], rel=1e-5)
