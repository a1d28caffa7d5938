import numpy as np
import pandas as pd

from layerscope.plots.sweep import sweep_curves


def table(scores, index):
    scores = np.array(scores)
    return pd.DataFrame({"score": scores, "low": scores - 0.1, "high": scores + 0.15}, index=index)


def test_lines_points_and_levels():
    ax = sweep_curves(
        {"mean": table([0.2, 0.6], [0, 2]), "cls": table([0.4], [1])},
        table([0.8], ["mean@-4:/concat"]).assign(layer=2),
        levels={"baseline": 0.1, "shuffled": 0.15},
        title="t",
        ylabel="accuracy",
    )
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["mean"].get_xdata(), [0, 2])
    np.testing.assert_allclose(lines["mean"].get_ydata(), [0.2, 0.6])
    np.testing.assert_allclose(lines["baseline"].get_ydata(), [0.1, 0.1])
    (point,) = ax.containers
    segment = point.lines[2][0].get_segments()[0]
    np.testing.assert_allclose(segment[:, 1], [0.7, 0.95])
    assert 2 < segment[0, 0] < 2.5
    assert {0, 1, 2} <= set(ax.get_xticks().tolist())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "mean", "cls", "baseline", "shuffled", "mean@-4:/concat",
    ]  # fmt: skip
    ax.get_figure().canvas.draw()
