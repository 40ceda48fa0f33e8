"""Trains the demo model on Sudoku: python train.py --minutes 75 --out runs/six [--grid 9] [--resume]

Trained as it is used. The prompt is encoded causally, the canvas bidirectionally; canvas tokens are replaced by
uniform ids at a uniform rate; the loss is on every position. Half of the samples are conditioned on the logits of a
first pass without gradient, at a random temperature; of these, half see in the second pass the canvas that the
product's sampler would have made of the first one's logits. Hidden matrices are trained by Muon, the rest by AdamW.
The learning rate follows the clock, so that a run ends when it should on any machine.
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import sudoku
import vocab
from model import DiffusionGemma, Shape
from sampler import renoise

CANVAS = {6: 48, 9: 96}


def new_model(size):
    return DiffusionGemma(Shape(canvas=CANVAS[size]), 1 + size * (size + 1))


def to_ids(grids, size):
    """Cell values [B, N*N] to token ids [B, N*(N+1)], each row ended by a newline."""
    ids = torch.tensor(vocab.DIGIT)[torch.as_tensor(grids, dtype=torch.long)].view(-1, size, size)
    return F.pad(ids, (0, 1), value=vocab.NEWLINE).flatten(1)


def prompt_ids(puzzles, size):
    return F.pad(to_ids(puzzles, size), (1, 0), value=vocab.BOS)


def canvas_ids(solutions, size):
    ids = F.pad(to_ids(solutions, size), (0, 1), value=vocab.EOS)
    return F.pad(ids, (0, CANVAS[size] - ids.shape[1]), value=vocab.PAD)


def givens_targets(rng, count, size, progress):
    """Givens over the whole range, with more and more weight on the hard end as training goes on."""
    low, mid, high = (8, 15, 33) if size == 6 else (24, 40, 77)
    hard = rng.random(count) < 0.4 + 0.4 * progress
    return np.where(hard, rng.integers(low, mid, count), rng.integers(low, high + 1, count))


def corrupt(ids, vocab_size):
    """Uniform ids at a uniform rate; one sample in eight is all noise, as the first step's canvas is."""
    rate = (torch.rand(len(ids), 1) * 8 / 7).clamp(max=1)
    return torch.where(torch.rand(ids.shape) < rate, torch.randint(vocab_size, ids.shape), ids)


def condition(model, prompt, canvas):
    """Conditions the first half of the batch; returns (canvas, probabilities) for the pass with gradient."""
    half, quarter = len(prompt) // 2, len(prompt) // 4
    with torch.no_grad():
        logits = model(prompt[:half], canvas[:half])
        step, p, _ = renoise(logits, 0.4 + 0.4 * torch.rand(half, 1, 1))
    canvas = torch.cat((step[:quarter], canvas[quarter:]))
    return canvas, torch.cat((p, torch.zeros_like(canvas[half:, :, None]).expand(-1, -1, p.shape[-1]).to(p.dtype)))


def loss_of(model, prompt, target):
    canvas, probabilities = condition(model, prompt, corrupt(target, model.shape.vocab))
    logits = model(prompt, canvas, probabilities)
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton-Schulz steps; scaled to AdamW's usual update size."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(buffer, group["momentum"]))
                p.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(p.shape[-2:])))


def orthogonal(matrix):
    x = matrix.mT if matrix.shape[-2] > matrix.shape[-1] else matrix
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.mT if matrix.shape[-2] > matrix.shape[-1] else x


def optimizers(model, lr):
    hidden = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n and "router" not in n]
    chosen = {id(p) for p in hidden}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(hidden, lr), torch.optim.AdamW(rest, lr, betas=(0.9, 0.98), weight_decay=0)]


def learning_rate(peak, step, progress):
    return peak * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, progress))))


class Run:
    """A model, its optimizers and averaged weights, and how far they have come; saved and restored as one file."""

    def __init__(self, args):
        self.args = args
        torch.manual_seed(args.seed)
        self.model = new_model(args.grid)
        self.optimizers = optimizers(self.model, args.lr)
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.steps = self.samples = 0
        self.seconds = 0.0

    def path(self):
        return os.path.join(self.args.out, "run.pt")

    def save(self):
        torch.save({"model": self.model.state_dict(), "average": self.average, "steps": self.steps,
                    "samples": self.samples, "seconds": self.seconds, "grid": self.args.grid,
                    "optimizers": [o.state_dict() for o in self.optimizers]}, self.path() + ".new")  # fmt: skip
        os.replace(self.path() + ".new", self.path())

    def restore(self):
        state = torch.load(self.path(), weights_only=False)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.average, self.steps = state["average"], state["steps"]
        self.samples, self.seconds = state["samples"], state["seconds"]

    def step(self, prompt, target, progress):
        lr = learning_rate(self.args.lr, self.steps, progress)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(self.model, prompt, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        keep = min(0.995, (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        self.steps += 1
        self.samples += len(prompt)
        return loss.item()


def train(run, pool):
    args, started, saved = run.args, time.time() - run.seconds, time.time()
    rng = np.random.default_rng([args.seed, run.steps])
    torch.manual_seed(args.seed + run.steps)
    losses = []
    while run.seconds < args.minutes * 60 and (not args.steps or run.steps < args.steps):
        progress = run.seconds / (args.minutes * 60)
        puzzles, solutions = sudoku.training_batch(pool, rng, givens_targets(rng, args.batch, args.grid, progress), args.grid)
        losses.append(run.step(prompt_ids(puzzles, args.grid), canvas_ids(solutions, args.grid), progress))
        run.seconds = time.time() - started
        if run.steps % 25 == 0:
            print(f"{run.seconds:6.0f} s  step {run.steps}  {run.samples} samples  "
                  f"{run.samples / run.seconds:.1f}/s  loss {np.mean(losses[-25:]):.4f}", flush=True)  # fmt: skip
        if time.time() - saved > 120:
            run.save()
            saved = time.time()
    run.save()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=int, choices=(6, 9), default=6)
    parser.add_argument("--minutes", type=float, default=75, help="length of the whole run, and of its cosine")
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pool", type=int, default=60000, help="solved grids to draw from, before symmetries")
    parser.add_argument("--out", required=True)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def main():
    args = parse()
    torch.set_num_threads(args.threads)
    os.makedirs(args.out, exist_ok=True)
    run = Run(args)
    if args.resume:
        run.restore()
    train(run, sudoku.Pool.make(args.grid, args.pool, args.seed))


if __name__ == "__main__":
    main()
