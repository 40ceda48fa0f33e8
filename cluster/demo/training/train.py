"""Trains the demo model on Sudoku: python train.py --minutes 40 --out runs/six [--grid 9] [--resume]

Trained as it is used. The prompt is encoded causally and once; on it follow CHAIN denoising steps with gradient, the
loss on every position of each. The first canvas is all noise in half of the puzzles, else the answer with uniform ids
at a uniform rate; the next is mostly what the product's sampler makes of the step's own logits at a random
temperature, and those also condition it. Puzzles that are still wrong after the chain stay in hand for the next batch,
up to a share that shrinks to nothing (a share of failures makes the model hesitate, so the end must be free of it).
Hidden matrices are trained by Muon, the rest by AdamW. The learning rate follows the clock, so that a run ends when
it should on any machine. One thread a process: two threads of one process spend their time waiting for each other.
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import distributed, multiprocessing

import sudoku
import vocab
from model import DiffusionGemma, Shape
from sampler import renoise

CANVAS = {6: 48, 9: 96}
CHAIN = 2  # sampler steps on one encoding of the prompts
CARRIED, MAX_AGE = 0.375, 10  # share of rows still wrong that stay in hand (less and less); steps until they are let go


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


def givens_targets(rng, count, size, progress, start):
    """Givens over the whole range; the weight on the hard end grows from `start` as training goes on."""
    low, mid, high, rise = (8, 15, 33, 0.4) if size == 6 else (24, 38, 77, 1.0)
    hard = rng.random(count) < min(0.9, start + rise * progress)
    return np.where(hard, rng.integers(low, mid, count), rng.integers(low, high + 1, count))


def corrupt(ids, vocab_size):
    """Uniform ids at a uniform rate; every other sample is all noise, as the first step's canvas is."""
    rate = (torch.rand(len(ids), 1) * 2).clamp(max=1)
    return torch.where(torch.rand(ids.shape) < rate, torch.randint(vocab_size, ids.shape), ids)


class Batch:
    """Puzzles in hand: prompt [B,P], target and canvas [B,C], probabilities [B,C,V] (zero: unconditioned), age [B]."""

    def __init__(self, prompt, target, vocab_size):
        self.prompt, self.target, self.canvas = prompt, target, corrupt(target, vocab_size)
        self.probabilities = torch.zeros(*target.shape, vocab_size)
        self.age = torch.zeros(len(prompt), dtype=torch.long)

    def parts(self):
        return self.prompt, self.target, self.canvas, self.probabilities, self.age

    def hard(self, logits, share):
        """The rows that are still wrong, youngest first, up to a share of the batch; none past MAX_AGE."""
        wrong = ((logits.argmax(-1) != self.target).any(1) & (self.age < MAX_AGE)).nonzero()[:, 0]
        return wrong[self.age[wrong].argsort(stable=True)][: int(share * len(self.age))]

    def put(self, rows, other):
        """Takes over these rows of another batch, as the last of its own."""
        for mine, theirs in zip(self.parts(), other.parts()):
            mine[len(mine) - len(rows) :] = theirs[rows]

    @torch.no_grad()
    def advance(self, logits, fresh_share):
        """One step of the product's sampler on every row; a share gets a freshly corrupted canvas instead."""
        temperature = 0.4 + 0.4 * torch.rand(len(logits), 1, 1)
        step, self.probabilities, _ = renoise(logits, temperature)
        again = torch.rand(len(step), 1) < fresh_share
        self.canvas = torch.where(again, corrupt(self.target, logits.shape[-1]), step)
        self.age = self.age + 1


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton-Schulz steps; scaled to AdamW's usual update size. Like shapes go together."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alike = {}
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                alike.setdefault(p.shape[-2:], []).append((p, p.grad.lerp(buffer, group["momentum"])))
            for shape, members in alike.items():
                update = orthogonal(torch.cat([g.view(-1, *shape) for _, g in members]))
                for (p, g), part in zip(members, update.split([g.view(-1, *shape).shape[0] for _, g in members])):
                    p.add_(part.view_as(p), alpha=-group["lr"] * 0.2 * math.sqrt(max(shape)))


def orthogonal(matrices):
    x = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    x = x.float()
    return x.mT if matrices.shape[-2] > matrices.shape[-1] else x


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
        self.left = None
        self.steps = self.samples = 0
        self.encode = torch.compile(self.model.encode, dynamic=False)
        self.denoise = torch.compile(self.loss, dynamic=False)
        self.seconds = 0.0

    def loss(self, canvas, probabilities, kv, target):
        logits = self.model.denoise(canvas, probabilities, kv)
        return F.cross_entropy(logits.flatten(0, 1), target.flatten()), logits

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

    def gradients(self, batch, carried):
        """CHAIN sampler steps on one encoding of the prompts, the loss of each averaged; returns (loss, rows to keep)."""
        losses = []
        with torch.autocast("cpu", torch.bfloat16):
            kv = self.encode(batch.prompt)
            for i in range(CHAIN):
                loss, logits = self.denoise(batch.canvas, batch.probabilities, kv, batch.target)
                losses.append(loss)
                batch.advance(logits.detach(), 0.25 if i + 1 < CHAIN else 0)
        loss = torch.stack(losses).mean()
        loss.backward()
        return loss.item(), batch.hard(logits, carried)

    def step(self, prompt, target, progress):
        batch = Batch(prompt, target, self.model.shape.vocab)
        if self.left is not None:
            batch.put(*self.left)
        loss, rows = self.gradients(batch, CARRIED * (1 - progress))
        self.left = rows, batch
        if self.args.processes > 1:
            self.share()
        self.update(learning_rate(self.args.lr, self.steps, progress))
        self.steps += 1
        self.samples += CHAIN * len(prompt) * self.args.processes
        return loss, len(rows)

    def share(self):
        """Averages the gradients over the processes, in one message."""
        grads = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        distributed.all_reduce(flat)
        flat /= self.args.processes
        for grad, part in zip(grads, flat.split([g.numel() for g in grads])):
            grad.copy_(part.view_as(grad))

    def update(self, lr):
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        keep = min(self.args.keep, (self.steps + 1) / (self.steps + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), 1 - keep)


def clock(run, started):
    """Seconds of training so far; the processes take the first one's word, so that their rates and ends agree."""
    seconds = torch.tensor(time.time() - started)
    if run.args.processes > 1:
        distributed.broadcast(seconds, 0)
    return float(seconds)


def train(run, pool, rank):
    args, started, saved = run.args, time.time() - run.seconds, time.time()
    rng = np.random.default_rng([args.seed, run.steps, rank])
    torch.manual_seed(args.seed + run.steps + 1_000_003 * rank)
    log = []
    while run.seconds < args.minutes * 60 and (not args.steps or run.steps < args.steps):
        progress = run.seconds / (args.minutes * 60)
        puzzles, solutions = sudoku.training_batch(pool, rng, givens_targets(rng, args.batch, args.grid, progress, args.hard), args.grid)
        log.append(run.step(prompt_ids(puzzles, args.grid), canvas_ids(solutions, args.grid), progress))
        run.seconds = clock(run, started)
        if rank == 0 and run.steps % 25 == 0:
            loss, carried = np.mean(log[-25:], 0)
            print(f"{run.seconds:6.0f} s  step {run.steps}  {run.samples} samples  loss {loss:.4f}  carried {carried:.1f}", flush=True)
        if rank == 0 and time.time() - saved > 120:
            run.save()
            saved = time.time()
    if rank == 0:
        run.save()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=int, choices=(6, 9), default=6)
    parser.add_argument("--minutes", type=float, default=75, help="length of the whole run, and of its cosine")
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--batch", type=int, default=64, help="puzzles a step and process")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=float, default=0.998, help="of the averaged weights, a step")
    parser.add_argument("--hard", type=float, default=0.4, help="share of puzzles drawn from the hard end at first")
    parser.add_argument("--processes", type=int, default=1, help="of one thread each, which share their gradients")
    parser.add_argument("--pool", type=int, default=60000, help="solved grids to draw from, before symmetries")
    parser.add_argument("--out", required=True)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def work(rank, args, pool):
    torch.set_num_threads(1)
    if args.processes > 1:
        meeting = f"file://{os.path.abspath(meeting_path(args))}"
        distributed.init_process_group("gloo", meeting, rank=rank, world_size=args.processes)
    run = Run(args)
    if args.resume:
        run.restore()
    train(run, pool, rank)


def meeting_path(args):
    return os.path.join(args.out, "meeting")


def main():
    args = parse()
    os.makedirs(args.out, exist_ok=True)
    pool = sudoku.Pool.cached(os.path.join(args.out, f"pool-{args.pool}.npz"), args.grid, args.pool, args.seed)
    if args.processes == 1:
        work(0, args, pool)
        return
    if os.path.exists(meeting_path(args)):  # of a run that was killed
        os.remove(meeting_path(args))
    multiprocessing.spawn(work, (args, pool), args.processes)


if __name__ == "__main__":
    main()
