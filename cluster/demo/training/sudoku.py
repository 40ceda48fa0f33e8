"""Sudoku for the demo model: grids, symmetries, the train/test split, puzzles with one solution, and their text.

A grid is a row-major int8 array of N*N cells, digits 1..N, 0 for an empty cell. Boxes of 6x6 are 2 rows by 3
columns, those of 9x9 3 by 3. The split rule is described in README.md; a C++ program must agree with it.
"""

import itertools
import os

import numpy as np
from numba import njit

BOX = {6: (2, 3), 9: (3, 3)}
TEST_MODULUS = 3


@njit
def _box(row, col, rows, cols, size):
    return (row // rows) * (size // cols) + col // cols


@njit
def _search(grid, size, rows, cols, used, limit, order):
    """Depth-first over the emptiest-choice cell; returns solutions found (at most limit), grid left at the last one."""
    best, best_mask, best_count = -1, 0, size + 1
    for cell in range(size * size):
        if grid[cell] == 0:
            r, c = cell // size, cell % size
            mask = used[0, r] | used[1, c] | used[2, _box(r, c, rows, cols, size)]
            count = 0
            for d in range(1, size + 1):
                count += 1 - ((mask >> d) & 1)
            if count < best_count:
                best, best_mask, best_count = cell, mask, count
                if count <= 1:
                    break
    if best < 0:
        return 1
    found = 0
    r, c = best // size, best % size
    b = _box(r, c, rows, cols, size)
    for i in range(size):
        d = order[i]
        if (best_mask >> d) & 1:
            continue
        bit = 1 << d
        grid[best] = d
        used[0, r] |= bit
        used[1, c] |= bit
        used[2, b] |= bit
        found += _search(grid, size, rows, cols, used, limit - found, order)
        if found >= limit:
            return found
        grid[best] = 0
        used[0, r] &= ~bit
        used[1, c] &= ~bit
        used[2, b] &= ~bit
    return found


@njit
def _used(grid, size, rows, cols):
    used = np.zeros((3, size), np.int64)
    for cell in range(size * size):
        d = grid[cell]
        if d:
            r, c = cell // size, cell % size
            used[0, r] |= 1 << d
            used[1, c] |= 1 << d
            used[2, _box(r, c, rows, cols, size)] |= 1 << d
    return used


@njit
def count_solutions(grid, size, rows, cols, limit):
    work = grid.copy()
    return _search(work, size, rows, cols, _used(work, size, rows, cols), limit, np.arange(1, size + 1))


@njit
def random_grid(size, rows, cols):
    """A solved grid: the first row and some cells below by chance (too many would stall 9x9), then search in a random order."""
    while True:
        grid = np.zeros(size * size, np.int8)
        grid[:size] = np.random.permutation(size) + 1
        for row in range(1, size, size // 4):
            grid[row * size + np.random.randint(size)] = np.random.randint(size) + 1
        used = np.zeros((3, size), np.int64)
        fits = True
        for cell in range(size * size):
            d = grid[cell]
            if d:
                r, c = cell // size, cell % size
                b = _box(r, c, rows, cols, size)
                if ((used[0, r] | used[1, c] | used[2, b]) >> d) & 1:
                    fits = False
                    break
                used[0, r] |= 1 << d
                used[1, c] |= 1 << d
                used[2, b] |= 1 << d
        if fits and _search(grid, size, rows, cols, used, 1, np.random.permutation(size) + 1):
            return grid


@njit
def dig_order(grid, size, rows, cols):
    """Empties cells in a random order as long as one solution remains.

    Returns (order, least): the first g cells of `order`, for any g >= least, are the givens of a one-solution puzzle.
    """
    cells = size * size
    work = grid.copy()
    order = np.zeros(cells, np.int64)
    end, kept = cells, 0
    for cell in np.random.permutation(cells):
        digit = work[cell]
        work[cell] = 0
        if count_solutions(work, size, rows, cols, 2) == 1:
            end -= 1
            order[end] = cell
        else:
            work[cell] = digit
            order[kept] = cell
            kept += 1
    return order, kept


@njit
def seed_numba(seed):
    np.random.seed(seed)


def line_orders(size, band):
    """Every order of the rows (or columns) that keeps the bands (stacks) of `band` lines together."""
    bands = [range(start, start + band) for start in range(0, size, band)]
    for outer in itertools.permutations(bands):
        for inner in itertools.product(*(itertools.permutations(lines) for lines in outer)):
            yield [line for lines in inner for line in lines]


def orders_of(size):
    rows, cols = BOX[size]
    return np.array(list(line_orders(size, rows))), np.array(list(line_orders(size, cols)))


@njit
def _next_row(grid, size, band, left, label, last, used):
    """The unused row that may follow `last` and starts with the smallest label, `left` being the leftmost column."""
    best = -1
    for row in range(size):
        if (used >> row) & 1 or (last >= 0 and row // band != last // band):
            continue
        if best < 0 or label[grid[row * size + left]] < label[grid[best * size + left]]:
            best = row
    return best


@njit
def _arrange(grid, size, band, columns, first, label, best, trial):
    """Fills `trial` with the smallest arrangement for this column order and first row; False once it exceeds `best`."""
    for c in range(size):
        label[grid[first * size + columns[c]]] = c + 1
        trial[c] = c + 1
    row, used, smaller = first, 1 << first, best[0] > size
    for r in range(1, size):
        row = _next_row(grid, size, band, columns[0], label, row if r % band else -1, used)
        used |= 1 << row
        for c in range(size):
            value = label[grid[row * size + columns[c]]]
            trial[r * size + c] = value
            if not smaller:
                if value > best[r * size + c]:
                    return False
                smaller = value < best[r * size + c]
    return smaller


@njit
def _least(grid, size, band, col_orders, best):
    """Lowers `best` to the smallest relabelled arrangement of `grid`.

    The first row labels the digits and so becomes 1, 2, …; no two rows start alike, so each next row is the allowed
    one that starts with the smallest label.
    """
    label, trial = np.zeros(size + 1, np.int64), np.zeros(size * size, np.int8)
    for j in range(len(col_orders)):
        for first in range(size):
            if _arrange(grid, size, band, col_orders[j], first, label, best, trial):
                best[:] = trial


_ORDERS = {}


def canonical(grid, size):
    """The lexicographically smallest member of the grid's symmetry class, as a string of digits."""
    if size not in _ORDERS:
        _ORDERS[size] = orders_of(size)
    band, orders = BOX[size][0], _ORDERS[size][1]
    best = np.full(size * size, size + 1, np.int8)
    _least(grid, size, band, orders, best)
    if BOX[size][0] == BOX[size][1]:  # square boxes may be transposed too
        _least(grid.reshape(size, size).T.copy().reshape(-1), size, band, orders, best)
    return "".join(map(str, best))


def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def is_test(canonical_text):
    return fnv1a64(canonical_text) % TEST_MODULUS == 0


def puzzle_text(grid, size):
    digits = [".123456789"[d] for d in grid]
    return "".join("".join(digits[i : i + size]) + "\n" for i in range(0, size * size, size))


class Pool:
    """Solved grids of one side of the split, each with an order in which its cells may be given."""

    def __init__(self, grids, orders, least):
        self.grids, self.orders, self.least = grids, orders, least

    @staticmethod
    def make(size, count, seed, test=False, digs=1):
        """`digs` orders a grid. The side of a grid is looked up once per distinct canonical form."""
        seed_numba(seed)
        rows, cols = BOX[size]
        grids, orders, least = [], [], []
        while len(grids) < count:
            grid = random_grid(size, rows, cols)
            if is_test(canonical(grid, size)) != test:
                continue
            for _ in range(digs):
                order, kept = dig_order(grid, size, rows, cols)
                grids.append(grid), orders.append(order), least.append(kept)
        return Pool(np.array(grids), np.array(orders), np.array(least))

    @staticmethod
    def cached(path, size, count, seed):
        """As made, from the file `path` if it is there."""
        if not os.path.exists(path):
            pool = Pool.make(size, count, seed)
            np.savez_compressed(path, pool.grids, pool.orders.astype(np.int8), pool.least)
        grids, orders, least = np.load(path).values()
        return Pool(grids, orders.astype(np.int64), least)


def random_symmetries(rng, count, size):
    """Row orders, column orders [count, size] and digit maps [count, size+1], uniformly."""
    if size not in _ORDERS:
        _ORDERS[size] = orders_of(size)
    rows, cols = _ORDERS[size]
    digits = np.zeros((count, size + 1), np.int64)
    digits[:, 1:] = np.argsort(rng.random((count, size)), 1) + 1
    return rows[rng.integers(len(rows), size=count)], cols[rng.integers(len(cols), size=count)], digits


def training_batch(pool, rng, targets, size):
    """Puzzles and solutions [B, N*N] with about `targets` givens each, under random symmetries."""
    count, cells = len(targets), size * size
    pick = rng.integers(len(pool.grids), size=count)
    givens = np.maximum(targets, pool.least[pick])
    rank = np.empty((count, cells))
    np.put_along_axis(rank, pool.orders[pick], np.arange(cells)[None].astype(float), 1)
    # Any superset of a one-solution puzzle's givens has one solution too: half of the batch adds random ones.
    shuffled = np.where(rank < pool.least[pick][:, None], -1.0, rng.random((count, cells)))
    rank = np.where((rng.random(count) < 0.5)[:, None], shuffled, rank)
    shown = np.argsort(np.argsort(rank, 1), 1) < givens[:, None]
    rows, cols, digits = random_symmetries(rng, count, size)
    source = (rows[:, :, None] * size + cols[:, None, :]).reshape(count, cells)
    solution = np.take_along_axis(digits, np.take_along_axis(pool.grids[pick].astype(np.int64), source, 1), 1)
    if BOX[size][0] == BOX[size][1]:
        flip = np.arange(cells).reshape(size, size).T.reshape(-1)
        turned = rng.random(count) < 0.5
        solution[turned] = solution[turned][:, flip]
        source[turned] = source[turned][:, flip]
    return np.where(np.take_along_axis(shown, source, 1), solution, 0), solution


def fresh_puzzle(size, givens, rng):
    """One test puzzle with `givens` givens: a random test-side grid, cells emptied in a random order.

    Digging that sticks above the target starts again on another grid; so few puzzles have 8 givens that the target is
    raised by one after every 50 failures.
    """
    rows, cols = BOX[size]
    tries = 0
    while True:
        grid = random_grid(size, rows, cols)
        if not is_test(canonical(grid, size)):
            continue
        order, kept = dig_order(grid, size, rows, cols)
        tries += 1
        if kept <= givens + tries // 50:
            puzzle = np.zeros_like(grid)
            shown = order[: max(givens, kept)]
            puzzle[shown] = grid[shown]
            return puzzle, grid


def solved(answer, puzzle, size):
    """The whole grid valid and every given kept."""
    rows, cols = BOX[size]
    if len(answer) != size * size or any(g and g != a for g, a in zip(puzzle, answer)):
        return False
    if any(not 1 <= d <= size for d in answer):
        return False
    units = {}
    for cell, digit in enumerate(answer):
        r, c = divmod(cell, size)
        for unit in (("r", r), ("c", c), ("b", r // rows, c // cols)):
            units.setdefault(unit, set()).add(digit)
    return all(len(unit) == size for unit in units.values())
