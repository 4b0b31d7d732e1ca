"""The (t, k) map."""

import math

import numpy as np
import pandas as pd
from matplotlib.colors import CenteredNorm

from gradscope.plots.jacobian_heatmap import JacobianHeatmap
from tests.plots.conftest import made


def _tables(**columns):
    """Norms from the steps 2 and 4 back to every earlier one, of two sequences: -lag and -3 lag."""
    pairs = [(t, k) for t in (2, 4) for k in range(t + 1)]
    return made(
        jacobian_norms={
            "train_step": 5,
            "block": "hidden",
            "sequence": [0] * len(pairs) + [1] * len(pairs),
            "t": [t for t, _ in pairs] * 2,
            "k": [k for _, k in pairs] * 2,
            "log_spectral_norm": [-float(t - k) for t, k in pairs]
            + [-3.0 * (t - k) for t, k in pairs],
            **columns,
        }
    )


def test_k_has_the_grid_of_t_and_sequences_their_median():
    data = JacobianHeatmap().data(_tables())
    assert list(zip(data["t"], data["k"], strict=True)) == [(2, 0), (2, 2), (4, 0), (4, 2), (4, 4)]
    assert data["log_spectral_norm"].tolist() == [-4.0, 0.0, -8.0, -4.0, 0.0]


def test_the_scale_is_centred_on_what_is_kept():
    panel, bar = JacobianHeatmap().figure(_tables()).axes
    (mesh,) = panel.collections
    assert mesh.get_clim() == (-8.0, 8.0)
    values = mesh.get_array()
    assert np.ma.is_masked(values[0, 2])  # k > t
    assert values[1, 0] == -8.0
    assert "∂h" in bar.get_ylabel()


def test_maps_of_zeros_are_drawn():
    panel, _ = JacobianHeatmap().figure(_tables(log_spectral_norm=-math.inf)).axes
    assert np.ma.getmaskarray(panel.collections[0].get_array()).all()
    assert panel.collections[0].get_clim() == (-1.0, 1.0)


def test_the_block_is_as_asked():
    tables = _tables(block="state")
    assert JacobianHeatmap().data(tables).empty
    assert len(JacobianHeatmap(block="state").data(tables)) == 5
    assert "∂s_t/∂s_k" in JacobianHeatmap(block="state").caption(tables)


def test_a_few_nats_are_seen_beside_many():
    short = _tables(log_spectral_norm=[-float(n % 5) for n in range(16)])
    assert isinstance(JacobianHeatmap().figure(short).axes[0].collections[0].norm, CenteredNorm)
    assert "spread" not in JacobianHeatmap().caption(short)
    figure = JacobianHeatmap().figure(_tables())
    norm = figure.axes[0].collections[0].norm
    assert (norm(-8.0), norm(0.0), norm(8.0)) == (0.0, 0.5, 1.0)
    assert 0.5 - norm(-1.0) > 2 / 16  # a linear scale would show a nat as a sixteenth
    assert "spread near white" in JacobianHeatmap().caption(_tables())
    figure.draw_without_rendering()
    ticks = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert ticks == ["−3", "−1", "0", "1", "3"]


def test_panels_may_have_scales_of_their_own():
    parts = [_tables()["jacobian_norms"], _tables(configuration="b")["jacobian_norms"]]
    parts[1]["log_spectral_norm"] /= 4
    columns = pd.concat(parts)[["configuration", *parts[0].columns[4:]]].to_dict("list")
    tables = made(jacobian_norms={key: columns[key] for key in columns if key != "trial"})
    figure = JacobianHeatmap(scale="own").figure(tables)
    reaches = [ax.collections[0].get_clim()[1] for ax in figure.axes if ax.get_title()]
    assert reaches == [8.0, 2.0]
    assert "Each panel has a scale of its own." in JacobianHeatmap(scale="own").caption(tables)
