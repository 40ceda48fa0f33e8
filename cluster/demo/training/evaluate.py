"""Solves fresh test-side puzzles with the product's sampler and counts: python evaluate.py runs/six --puzzles 1000

One attempt for each puzzle, no solver, retry or clamping near the model. Solved means: the whole grid is valid, every given
is kept, and after it come the end token and nothing but pads. `--control` runs one of three sanity checks instead:
one-step, no-self-conditioning, shuffled-weights.
"""

import argparse
import math
from collections import Counter

import numpy as np
import torch

import export_gguf
import sampler
import sudoku
import vocab
from train import new_model, prompt_ids

BANDS = {6: ((8, 11), (12, 17), (18, 33)), 9: ((24, 30), (31, 39), (40, 77))}


def load(folder):
    """The exported weights (bfloat16 values) in a float32 model."""
    weights, size = export_gguf.load(folder)
    model = new_model(size)
    model.load_state_dict({name: value.float() for name, value in weights.items()})
    return model.eval(), size


def shuffle(model):
    for p in model.parameters():
        p.data = p.data.flatten()[torch.randperm(p.numel())].view_as(p)


def read_grid(ids, size):
    """The cells that a canvas shows, or an empty list where it is not `size` lines, the end token and pads."""
    lines = size * (size + 1)
    ids = ids.tolist()
    if ids[lines] != vocab.EOS:  # what follows the first end token is padding by rule
        return []
    rows = [ids[i : i + size + 1] for i in range(0, lines, size + 1)]
    if any(row[-1] != vocab.NEWLINE or not set(row[:-1]) <= set(vocab.DIGIT) for row in rows):
        return []
    return [vocab.DIGIT.index(token) for row in rows for token in row[:-1]]


def wilson(hits, count, z=1.96):
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / count / 4) / (1 + spread)
    return middle - half, middle + half


def fresh(size, band, count, rng):
    return [sudoku.fresh_puzzle(size, int(rng.integers(band[0], band[1] + 1)), rng) for _ in range(count)]


def solve(model, size, puzzles, generator, batch, **options):
    """(puzzle solved, steps) for each of them."""
    results = []
    for start in range(0, len(puzzles), batch):
        group = [puzzle for puzzle, _ in puzzles[start : start + batch]]
        answers, steps = sampler.sample(model, prompt_ids(np.array(group), size), generator, **options)
        for puzzle, answer, used in zip(group, answers, steps.tolist()):
            results.append((sudoku.solved(read_grid(answer, size), puzzle, size), used))
    return results


def report(label, puzzles, results):
    hits, count = sum(ok for ok, _ in results), len(results)
    low, high = wilson(hits, count)
    print(f"{label}: {hits}/{count} = {hits / count:.1%} (95 % interval {low:.1%} to {high:.1%})")
    by_givens = Counter(int((puzzle > 0).sum()) for puzzle, _ in puzzles)
    won = Counter(int((puzzle > 0).sum()) for (puzzle, _), (ok, _) in zip(puzzles, results) if ok)
    print("  by givens: " + ", ".join(f"{g}: {won[g]}/{n}" for g, n in sorted(by_givens.items())))
    steps = Counter(used for _, used in results)
    print("  steps K: " + ", ".join(f"{k}: {n}" for k, n in sorted(steps.items())), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of the training run")
    parser.add_argument("--puzzles", type=int, default=1000, help="for each band")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--control", choices=("one-step", "no-self-conditioning", "shuffled-weights"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model, size = load(args.run)
    if args.control == "shuffled-weights":
        shuffle(model)
    options = {"one-step": {"steps": 1}, "no-self-conditioning": {"condition": False}}.get(args.control, {})
    sudoku.seed_numba(args.seed)
    rng, generator = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    for band in BANDS[size]:
        puzzles = fresh(size, band, args.puzzles, rng)
        report(f"{band[0]} to {band[1]} givens", puzzles, solve(model, size, puzzles, generator, args.batch, **options))


if __name__ == "__main__":
    main()
