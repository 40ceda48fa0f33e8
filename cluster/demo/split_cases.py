"""Writes split_cases.json, against which other programs test their canonical form, hash and side."""

import json
import os

import sudoku


def entry(grid, form):
    value = {"canonical": form, "fnv1a64": f"{sudoku.fnv1a64(form):016x}", "side": "test" if sudoku.is_test(form) else "train"}
    return value if grid is None else {"grid": "".join(map(str, grid)), **value}


def main(size=6, classes=49, examples=24):
    """6x6 has 49 classes of solved grids: random grids meet them all soon."""
    sudoku.seed_numba(1)
    forms, shown = {}, []
    while len(forms) < classes:
        grid = sudoku.random_grid(size, *sudoku.BOX[size])
        form = sudoku.canonical(grid, size)
        forms[form] = None
        if len(shown) < examples:
            shown.append(entry(grid, form))
    cases = {"size": size, "modulus": sudoku.TEST_MODULUS, "classes": [entry(None, form) for form in sorted(forms)],
             "examples": shown}  # fmt: skip
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "split_cases.json"), "w") as file:
        json.dump(cases, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
