"""Records what transformers computes for the demo model: python record_trace.py runs/six --folder HF --out DIR

The token ids come from the product's sampler on test-side puzzles; transformers then replays them, forced, in float32
with eager attention (embedding scale bf16(sqrt(H))), and once more in bf16 to show what low precision costs. All of
--puzzles are compared with this folder's own engine; the first two that were solved in 4 to 6 steps are written in the
golden traces' format, trace-0 and trace-1, with every step that the sampler took.
"""

import argparse
import json
import os

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import evaluate
import sampler
import sudoku
from model import Shape
from train import prompt_ids

RECORDED = 2
RECORDED_STEPS = range(4, 7)  # enough to see the canvas settle, and both files stay under 1 MB together (9x9: 2 MB)


def reference(folder, dtype):
    model = transformers.DiffusionGemmaForBlockDiffusion.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    for module in model.modules():
        if hasattr(module, "embed_scale"):
            module.embed_scale = torch.tensor(Shape().embed_scale, dtype=dtype)
    return model.eval()


class Watch:
    """What passes the decoder's layers, and the least gap at the edge of the routers' top k."""

    def __init__(self, model, top_k):
        self.gap, self.top_k, self.outputs = float("inf"), top_k, {}
        layers = model.model.decoder.layers
        layers[0].register_forward_pre_hook(lambda module, args: self.outputs.__setitem__(0, args[0]))
        for i, layer in enumerate(layers):
            layer.register_forward_hook(lambda module, args, out, i=i: self.outputs.__setitem__(i + 1, out))
            layer.router.proj.register_forward_hook(self.see_router)
        for layer in model.model.encoder.language_model.layers:
            layer.router.proj.register_forward_hook(self.see_router)

    def see_router(self, module, args, out):
        ranked = out.sort(-1, descending=True).values
        self.gap = min(self.gap, float((ranked[..., self.top_k - 1] - ranked[..., self.top_k]).min()))


@torch.no_grad()
def replay(model, prompt, steps):
    """Logits of each step; each conditioned on the recorded logits before it, so that errors do not add up."""
    cache, given, out = None, None, []
    for canvas, logits, temperature in steps:
        result = model(input_ids=prompt if cache is None else None, past_key_values=cache, decoder_input_ids=canvas,
                       self_conditioning_logits=given)  # fmt: skip
        cache = result.past_key_values
        out.append(result.logits.float())
        given = (logits / temperature).to(model.dtype)
    return out


def own_run(model, size, givens, rng, generator):
    puzzle, _ = sudoku.fresh_puzzle(size, givens, rng)
    prompt, steps = prompt_ids(puzzle[None], size), []
    answer, _ = sampler.sample(model, prompt, generator, record=steps)
    return prompt, steps, sudoku.solved(evaluate.read_grid(answer[0], size), puzzle, size)


def entropy(logits, temperature):
    z = logits / temperature
    return z.logsumexp(-1) - (z.softmax(-1) * z).sum(-1)


class Trace:
    """One puzzle: its prompt, and for each step the canvas, the logits and the entropies."""

    def __init__(self, prompt):
        self.tensors = {"encode.0.ids": prompt[0].int()}
        self.ops = [{"op": "encode", "ids": "encode.0.ids", "length_after": prompt.shape[1]}]

    def add(self, canvas, t, exact, rough):
        step = len(self.ops) - 1
        name = f"canvas.0.step.{step}"
        self.tensors[f"{name}.ids"] = canvas[0].int()
        self.tensors[f"{name}.logits"] = exact[0].clone()
        self.tensors[f"{name}.entropy"] = entropy(exact[0], t)
        rms_rel = float((rough - exact).square().mean().sqrt() / exact.square().mean().sqrt())
        agree = float((rough.argmax(-1) == exact.argmax(-1)).float().mean())
        self.ops.append({"op": "step", "ids": f"{name}.ids", "logits": f"{name}.logits", "temperature": t,
                         "self_condition": "previous step" if step else "none",
                         "bf16_rms_rel": rms_rel, "bf16_argmax_agree": agree})  # fmt: skip

    def add_layers(self, outputs):
        """The input of layer 0 and the output of each layer, at the last step."""
        for i, value in outputs.items():
            name = f"canvas.0.step.{len(self.ops) - 2}.x{i}"
            self.tensors[name] = (value[0] if isinstance(value, tuple) else value)[0].clone()

    def write(self, path, gap):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        save_file(self.tensors, f"{path}.safetensors", {"format": "potluck-trace-1"})
        with open(f"{path}.json", "w") as file:
            json.dump({"embed_scale": Shape().embed_scale, "arithmetic": "float32", "least_router_gap": gap,
                       "ops": self.ops}, file, indent=1)  # fmt: skip
            file.write("\n")


def record(path, models, watch, prompt, steps, layers):
    """Forced by the very logits that are written down, not by those of our own engine."""
    exact, low = models
    steps = [(canvas, value, t) for (canvas, _, t), value in zip(steps, replay(exact, prompt, steps))]
    for _ in range(len(steps) + 1):  # until what forces a step is what this very replay gives
        watch.gap = float("inf")
        logits = replay(exact, prompt, steps)
        if all(torch.equal(a, b[1]) for a, b in zip(logits, steps)):
            break
        steps = [(canvas, value, t) for (canvas, _, t), value in zip(steps, logits)]
    trace, gap = Trace(prompt), watch.gap
    for (canvas, _, t), value, rough in zip(steps, logits, replay(low, prompt, steps)):
        trace.add(canvas, t, value, rough)
    if layers:
        trace.add_layers(watch.outputs)
    trace.write(path, gap)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of the training run")
    parser.add_argument("--folder", required=True, help="the exported Hugging Face folder")
    parser.add_argument("--out", required=True)
    parser.add_argument("--puzzles", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    own, size = evaluate.load(args.run)
    exact, low = reference(args.folder, torch.float32), reference(args.folder, torch.bfloat16)
    sudoku.seed_numba(args.seed)
    rng, generator = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    watch, recorded, solved, worst = Watch(exact, own.shape.top_k), 0, 0, 0.0
    least, most = evaluate.BANDS[size][0][0], evaluate.BANDS[size][-1][1]
    for count in rng.integers(least, most + 1, args.puzzles).tolist():
        prompt, steps, ok = own_run(own, size, count, rng, generator)
        logits = replay(exact, prompt, steps)
        solved += ok
        worst = max([worst] + [float((a - b[1]).abs().max()) for a, b in zip(logits, steps)])
        if ok and recorded < RECORDED and len(steps) in RECORDED_STEPS:
            record(f"{args.out}/trace-{recorded}", (exact, low), watch, prompt, steps, layers=recorded == 0)
            recorded += 1
    print(f"{args.puzzles} puzzles, {solved} solved; largest |logit difference| from transformers {worst:.2e}; {recorded} recorded")


if __name__ == "__main__":
    main()
