#!/usr/bin/env python3
"""Plots of relayattn-bench's results, and of peers' that were measured beside it.

    python3 -m venv VENV && VENV/bin/pip install matplotlib
    VENV/bin/python tests/bench/plot.py RESULTS.json... --out FILE.svg

Time and fraction of the floor, against the batch and against the prefix's length; a row of two
panels for each of the four and each dtype. Points that differ only in what the axis shows are
joined. The times are those by which the program judges: minima on a CPU, medians on a GPU.
"""
import argparse
import collections
import json

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

AXES = {"batch": "sequences in the batch", "prefix_tokens": "tokens of prefix above a sequence"}
GEOMETRY = ("q_heads", "kv_heads", "head_dim", "batch", "prefix_tokens", "tail_tokens", "q_len")
MARKERS = "osD^vPX*"


def load(paths):
    cells = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            cells += [record for record in json.load(file) if "shape" in record]
    return cells


def series_of(cell):
    return cell.get("peer") or f"relayattn {cell['mode']} ({cell['isa']})"


def joined(cells, axis):
    """Lists of cells that differ only in the axis (and in the tails, where the batch varies)."""
    lines = collections.defaultdict(list)
    for cell in cells:
        fixed = {key: cell[key] for key in GEOMETRY if key != axis}
        fixed["tail_tokens"] = cell["tail_tokens"] / cell["batch"]
        lines[tuple(fixed.items())].append(cell)
    return [sorted(line, key=lambda cell: cell[axis]) for line in lines.values()]


def draw(panel, cells, axis, value, label):
    names = sorted({series_of(cell) for cell in cells})
    for number, name in enumerate(names):
        own = [cell for cell in cells if series_of(cell) == name]
        for index, line in enumerate(joined(own, axis)):
            panel.plot([cell[axis] for cell in line], [value(cell) for cell in line],
                       marker=MARKERS[number % len(MARKERS)], color=f"C{number}", linewidth=0.8,
                       alpha=0.8, label=None if index else name)
    panel.set_xscale("log", base=2)
    panel.set_xlabel(AXES[axis])
    panel.set_ylabel(label)
    panel.grid(alpha=0.3)


def judged_us(cell):
    return cell["floor_us"] / cell["of_floor"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", help="JSON of relayattn-bench or of a peer script")
    parser.add_argument("--out", required=True, help="an image file; its ending says which kind")
    arguments = parser.parse_args()
    cells = load(arguments.results)
    if not cells:
        parser.error("the results hold no cell")
    dtypes = sorted({cell["dtype"] for cell in cells})
    figure, panels = plt.subplots(2 * len(dtypes), 2, figsize=(12, 8 * len(dtypes)), squeeze=False,
                                  layout="constrained")
    for row, dtype in enumerate(dtypes):
        own = [cell for cell in cells if cell["dtype"] == dtype and cell["prefix_tokens"] > 0]
        for column, axis in enumerate(AXES):
            time_panel, fraction_panel = panels[2 * row][column], panels[2 * row + 1][column]
            draw(time_panel, own, axis, judged_us, f"{dtype}: time, us")
            time_panel.set_yscale("log")
            draw(fraction_panel, own, axis, lambda cell: cell["of_floor"],
                 f"{dtype}: floor / time")
            fraction_panel.set_ylim(bottom=0)
        panels[2 * row][0].legend(fontsize="small")
    figure.savefig(arguments.out)


if __name__ == "__main__":
    main()
