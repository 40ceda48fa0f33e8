"""Makes a training folder out of a shipped file, to train on from there: python import_gguf.py ../sudoku6.gguf runs/six

Then train.py --resume goes on from step 0 with these weights; the optimizers start afresh.
"""

import argparse
import os

import gguf
import torch

import export_gguf
import train


def read(path):
    """(weights in float32 by their published names without `model.`, grid size)."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    size = 6 if "6x6" in gguf.GGUFReader(path).fields["general.name"].contents() else 9
    model, weights = train.new_model(size), {}
    for name, ours in export_gguf.tensor_names(model.shape).items():
        value = torch.from_numpy(tensors[name].data.copy())
        if tensors[name].tensor_type == gguf.GGMLQuantizationType.BF16:
            value = value.view(torch.bfloat16).float()
        weights[ours] = value.view_as(model.state_dict()[ours])
    return weights, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf")
    parser.add_argument("run", help="folder to make")
    args = parser.parse_args()
    os.makedirs(args.run, exist_ok=True)
    weights, size = read(args.gguf)
    run = train.Run(argparse.Namespace(seed=0, grid=size, lr=0.0, out=args.run))
    run.model.load_state_dict(weights)
    run.average = {name: weights[name] for name in run.model.state_dict()}  # in the order of its updates
    run.save()


if __name__ == "__main__":
    main()
