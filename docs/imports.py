"""Draw which part of the package imports which, and count circles: `make picture` writes docs/imports.png.

A part is a folder of the package, or a file beside them, in its row of the contract in pyproject.toml. Drawn are the
imports that no longer way of imports implies; all of them are counted. Exit code 1 if files import each other in a
circle, those for types alone included.
"""

import sys
import tomllib
from pathlib import Path

import grimp
import networkx as nx
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "layerscope"

# Inches that a row and a part take.
_ROW, _PART = 0.62, 1.5


def files() -> nx.DiGraph:
    """Each file of the package, and which it imports; the package's own list of names left out."""
    graph = grimp.build_graph(PACKAGE)
    found = nx.DiGraph()
    for name in graph.modules - {PACKAGE}:
        found.add_edges_from(
            (name, other) for other in graph.find_modules_directly_imported_by(name) if other != PACKAGE
        )
    return found


def parts(imports: nx.DiGraph) -> nx.DiGraph:
    """The same between parts, with the number of imports."""
    found = nx.DiGraph()
    for one, other in imports.edges:
        a, b = one.split(".")[1], other.split(".")[1]
        if a != b:
            found.add_edge(a, b, weight=found.get_edge_data(a, b, {"weight": 0})["weight"] + 1)
    return found


def rows() -> list[list[str]]:
    """The parts from top to bottom, as the contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(one for one in settings["contracts"] if one.get("containers") == [PACKAGE])
    return [[part.strip() for part in row.split("|")] for row in contract["layers"]]


def draw(imports: nx.DiGraph, title: str, path: Path) -> None:
    """Rows of boxes, and an arrow down for each import that no way through other parts implies."""
    layout = rows()
    widest = max(map(len, layout))
    sheet = Figure(figsize=(_PART * (widest + 1), _ROW * (len(layout) + 1)), layout="constrained")
    ax = sheet.subplots()
    places = {}
    for row, names in enumerate(layout):
        for number, name in enumerate(names):
            places[name] = ((number + 1) * (widest + 1) / (len(names) + 1), -row)
    for a, b in nx.transitive_reduction(imports).edges:
        (x, y), (u, v) = places[a], places[b]
        bend = 0.0 if y - v == 1 or x != u else 0.25
        arrow = FancyArrowPatch(
            (x, y - 0.2), (u, v + 0.2), arrowstyle="-|>", mutation_scale=8, color="#6baed6", linewidth=1,
            connectionstyle=f"arc3,rad={bend}",
        )  # fmt: skip
        ax.add_patch(arrow)
    for name, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#deebf7", "edgecolor": "#3182bd", "linewidth": 0.8}
        ax.text(x, y, name, ha="center", va="center", fontsize=9, bbox=box, zorder=3)
    ax.set(xlim=(0, widest + 1), ylim=(-len(layout) + 0.4, 0.6))
    ax.set_axis_off()
    ax.set_title(title, fontsize=10)
    sheet.savefig(path, dpi=130)


def main() -> int:
    """Count, draw, and say what was found."""
    imports = files()
    circles = [group for group in nx.strongly_connected_components(imports) if len(group) > 1]
    between = parts(imports)
    said = f"{imports.number_of_nodes()} files, {imports.number_of_edges()} imports, {len(circles)} circles"
    print(said)
    for group in circles:
        print("circle:", ", ".join(sorted(group)))
    if not nx.is_directed_acyclic_graph(between):
        return 1
    path = ROOT / "docs" / "imports.png"
    draw(between, f"What imports what: {said}", path)
    print(f"Drawn into {path.relative_to(ROOT)}.")
    return 1 if circles else 0


if __name__ == "__main__":
    sys.exit(main())
