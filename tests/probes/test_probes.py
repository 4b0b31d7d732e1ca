"""Probes: columns of equal length, and numbers that are the dynamics'."""

import math

import pytest
import torch

from gradscope import jacobian_log_norms
from gradscope.components import registry
from gradscope.components.options import component
from gradscope.dynamics.trace import Update
from gradscope.experiment import schema as config
from gradscope.experiment.model import build

TEXT = (
    "task: {name: adding, length: 20}\ncell: {name: %s, hidden_size: 5}\ndtype: float64\nmodel:"
    " {layers: %d}"
)


def trace_of(cell: str = "lstm", layers: int = 1, tbptt=None):
    settings = config.parse(TEXT % (cell, layers)).trials[0].settings
    net = build(settings, generator=torch.Generator().manual_seed(0))
    batch = settings.task.sample(4, torch.Generator().manual_seed(0)).to("cpu", torch.float64)
    gradients = {name: torch.ones_like(p) for name, p in net.named_parameters()}
    return net.trace(
        batch, tbptt=tbptt, update=Update(gradients, {n: g / 2 for n, g in gradients.items()})
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", registry.names("cell"))
@pytest.mark.parametrize("name", registry.names("probe"))
def test_contract(name, cell, layers):
    columns = component("probe", name).measure(trace_of(cell, layers))
    doc = registry.get("probe", name).__doc__
    if not columns:
        assert "No rows" in doc
        return
    lengths = {len(values) for values in columns.values()}
    assert len(lengths) == 1
    assert lengths.pop() > 0
    assert "Columns:" in doc
    for column in columns:
        assert column in doc, f"the docstring of {name} does not say what {column} is"


def test_schedule():
    probe = component("probe", {"name": "spectra", "every": 10})
    assert [step for step in range(31) if probe.due(step, 100)] == [0, 10, 20, 30]
    assert [step for step in range(90) if component("probe", "spectra").due(step, 90)] == [
        0,
        30,
        60,
    ]


def test_jacobian_norms_are_the_table_of_all_pairs():
    trace = trace_of()
    columns = component("probe", {"name": "jacobian_norms", "sequences": 2}).measure(trace)
    first = trace.first(2)
    tables = {
        ("state", "spectral"): jacobian_log_norms(first),
        ("state", "frobenius"): jacobian_log_norms(first, norm="frobenius"),
        ("hidden", "spectral"): jacobian_log_norms(first, block=first.cell.hidden),
    }
    seen = set()
    for t, k, lag, sequence, block, spectral, frobenius in zip(*columns.values(), strict=True):
        assert lag == t - k
        seen.add((t, k, sequence, block))
        assert spectral == pytest.approx(float(tables[block, "spectral"][t, k, sequence]), abs=1e-9)
        if block == "state":
            assert frobenius == pytest.approx(
                float(tables["state", "frobenius"][t, k, sequence]), abs=1e-9
            )
    assert len(seen) == len(columns["t"]), "a pair is measured twice"
    assert {(20, 20 - lag) for lag in (0, 1, 2, 3)} <= {(t, k) for t, k, _, _ in seen}


def test_adjoint_norms_say_which_truncation_they_are_of():
    columns = component("probe", "adjoint_norms").measure(trace_of(tbptt=(6, 3)))
    kinds = set(zip(columns["tbptt_length"], columns["tbptt_stride"], strict=True))
    assert kinds == {(0, 0), (6, 3)}
    blocks = {"state", "h", "c"}
    assert set(columns["block"]) == blocks
    rows = list(
        zip(
            columns["tbptt_length"],
            columns["block"],
            columns["t"],
            columns["log_norm"],
            strict=True,
        )
    )
    truncated = {t: value for length, block, t, value in rows if length == 6 and block == "state"}
    assert truncated[5] == -math.inf  # the loss at step 20 reaches back to 14 at most
    assert truncated[20] > -math.inf


def test_spectra_are_eigenvalues_and_singular_values():
    trace = trace_of("rnn")
    columns = component("probe", "spectra").measure(trace)
    rows = list(
        zip(columns["kind"], columns["real"], columns["imag"], columns["log_value"], strict=True)
    )
    w = trace.cell.layers[0].weight_hh.detach()
    ours = sorted(
        abs(complex(real, imag)) for kind, real, imag, _ in rows if kind == "recurrent_matrix"
    )
    assert ours == pytest.approx(sorted(torch.linalg.eigvals(w).abs().tolist()))
    for kind, real, imag, log_value in rows:
        if kind != "product":
            assert log_value == pytest.approx(math.log(abs(complex(real, imag))))


def test_memory_horizon_of_a_known_decay():
    trace = trace_of("rnn")
    cell = trace.cell.layers[0]
    cell.activation = "identity"
    cell.weight_hh.data = 0.8 * torch.eye(5, dtype=torch.float64)
    columns = component("probe", "memory_horizon").measure(trace)
    assert columns["horizon"] == pytest.approx([1 / -math.log(0.8)] * 2)
    assert columns["growth_rate"] == pytest.approx([math.log(0.8)] * 2)
