import pytest

from layerscope.errors import InputError
from layerscope.plots.canvas import axes, label, save


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    ax = axes(2, 2)
    label(ax, "A title that is long enough to be broken into several lines of text", "x", "y")
    for name, start in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        save(ax, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(InputError, match="A figure is written as .png, .svg or .pdf; not as a.doc"):
        save(ax, tmp_path / "a.doc")
    with pytest.raises(InputError, match="cannot be written"):
        save(ax, tmp_path / "none" / "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]


@pytest.mark.parametrize(
    "title",
    [
        "sentence-transformers/all-MiniLM-L6-v2: 438 texts, mean pooling, and then some more of it",
        "/a/very/long/path/without/a/single/space/in/it/SmolLM2-135M-Instruct.Q4_1.gguf: 438 texts",
    ],
)
@pytest.mark.parametrize("width", [3, 7])
def test_the_title_stays_inside_the_figure(title, width):
    ax = axes(width, 3)
    label(ax, title, "x", "y")
    figure = ax.get_figure()
    figure.canvas.draw()
    box = ax.title.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
