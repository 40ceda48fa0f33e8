"""Writes split_cases.json and split_cases9.json, against which other programs test their canonical form, hash and side."""

import json
import os

import sudoku


def entry(grid, form):
    value = {"canonical": form, "fnv1a64": f"{sudoku.fnv1a64(form):016x}", "side": "test" if sudoku.is_test(form) else "train"}
    return value if grid is None else {"grid": "".join(map(str, grid)), **value}


def write(name, size, classes, examples=24):
    """The first grids drawn, as examples; drawing goes on until so many classes of solved grids are met."""
    sudoku.seed_numba(1)
    forms, shown = {}, []
    while len(forms) < classes or len(shown) < examples:
        grid = sudoku.random_grid(size, *sudoku.BOX[size])
        form = sudoku.canonical(grid, size)
        forms[form] = None
        if len(shown) < examples:
            shown.append(entry(grid, form))
    cases = {"size": size, "modulus": sudoku.TEST_MODULUS, "classes": [entry(None, form) for form in sorted(forms)],
             "examples": shown}  # fmt: skip
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "w") as file:
        json.dump(cases, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    write("split_cases.json", 6, classes=49)  # all there are
    write("split_cases9.json", 9, classes=24)  # of 5,472,730,538
