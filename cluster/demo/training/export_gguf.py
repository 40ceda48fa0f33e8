"""Writes a training checkpoint as GGUF (and as a Hugging Face folder): python export_gguf.py runs/six --gguf ../sudoku6.gguf

Takes the averaged weights, rounds them to bfloat16, and writes matrices as BF16 and everything else as F32, with the
metadata keys and tensor names of the published DiffusionGemma files.
"""

import argparse
import json
import os

import gguf
import numpy as np
import torch
from safetensors.torch import save_file

import sampler
import vocab
from model import Shape
from train import CANVAS

ARCH = "diffusion-gemma"
CONTEXT = 8192
STOPS = [vocab.EOS, vocab.ID["<turn|>"], vocab.ID["<|tool_response>"]]
LAYER_NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "attn_q_norm.weight": "self_attn.q_norm.weight",
    "attn_k_norm.weight": "self_attn.k_norm.weight",
    "post_attention_norm.weight": "post_attention_layernorm.weight",
    "ffn_norm.weight": "pre_feedforward_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
    "post_ffw_norm_1.weight": "post_feedforward_layernorm_1.weight",
    "pre_ffw_norm_2.weight": "pre_feedforward_layernorm_2.weight",
    "ffn_gate_inp.weight": "router.proj.weight",
    "ffn_gate_inp.scale": "router.scale",
    "ffn_gate_up_exps.weight": "experts.gate_up_proj",
    "ffn_down_exps.weight": "experts.down_proj",
    "ffn_down_exps.scale": "router.per_expert_scale",
    "post_ffw_norm_2.weight": "post_feedforward_layernorm_2.weight",
    "post_ffw_norm.weight": "post_feedforward_layernorm.weight",
    "layer_output_scale.weight": "layer_scalar",
}
GLOBAL_NAMES = {
    "token_embd.weight": "decoder.embed_tokens.weight",
    "output_norm.weight": "decoder.norm.weight",
    "self_cond_pre_norm.weight": "decoder.self_conditioning.pre_norm.weight",
    "self_cond_gate.weight": "decoder.self_conditioning.gate_proj.weight",
    "self_cond_up.weight": "decoder.self_conditioning.up_proj.weight",
    "self_cond_down.weight": "decoder.self_conditioning.down_proj.weight",
}


def load(folder):
    """(weights in bfloat16 by their published names without `model.`, grid size)."""
    state = torch.load(os.path.join(folder, "run.pt"), weights_only=False)
    return {name: value.bfloat16() for name, value in state["average"].items()}, state["grid"]


def tensor_names(shape):
    names = dict(GLOBAL_NAMES)
    for i, kind in enumerate(shape.layers):
        for ours, theirs in LAYER_NAMES.items():
            if not (kind == "F" and ours == "attn_v.weight"):
                names[f"blk.{i}.{ours}"] = f"decoder.layers.{i}.{theirs}"
        names[f"blk.{i}.enc_layer_output_scale.weight"] = f"encoder.language_model.layers.{i}.layer_scalar"
    return names


def add_tensor(writer, name, value):
    if value.ndim > 1 and not name.endswith("ffn_gate_inp.weight"):
        raw = value.contiguous().view(torch.int16).numpy().view(np.uint8)
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    else:
        writer.add_tensor(name, value.float().numpy())


def add_shape(writer, shape, size):
    def u32(key, value):
        writer.add_uint32(f"{ARCH}.{key}", value)

    sliding, full = shape.head_sizes
    counts = {"block_count": len(shape.layers), "context_length": CONTEXT, "embedding_length": shape.hidden,
              "feed_forward_length": shape.mlp, "attention.head_count": shape.heads, "expert_count": shape.experts,
              "expert_used_count": shape.top_k, "attention.key_length": full, "attention.value_length": full,
              "attention.key_length_swa": sliding, "attention.value_length_swa": sliding,
              "attention.sliding_window": shape.window, "attention.shared_kv_layers": 0,
              "embedding_length_per_layer_input": 0, "expert_feed_forward_length": shape.expert_mlp,
              "rope.dimension_count": full, "rope.dimension_count_swa": sliding}  # fmt: skip
    for key, value in counts.items():
        u32(key, value)
    writer.add_array(f"{ARCH}.attention.head_count_kv", [shape.kv_heads] * len(shape.layers))
    writer.add_array(f"{ARCH}.attention.sliding_window_pattern", [kind == "S" for kind in shape.layers])
    writer.add_float32(f"{ARCH}.rope.freq_base", shape.thetas[1])
    writer.add_float32(f"{ARCH}.rope.freq_base_swa", shape.thetas[0])
    writer.add_float32(f"{ARCH}.attention.layer_norm_rms_epsilon", shape.eps)
    writer.add_float32(f"{ARCH}.final_logit_softcapping", shape.softcap)
    writer.add_bool(f"{ARCH}.attention.causal", False)
    writer.add_uint32("diffusion.canvas_length", shape.canvas)
    writer.add_uint32("diffusion.eb_max_steps", sampler.STEPS)
    writer.add_float32("diffusion.eb_t_min", sampler.T_MIN)
    writer.add_float32("diffusion.eb_t_max", sampler.T_MAX)
    writer.add_float32("diffusion.eb_entropy_bound", sampler.BOUND)
    writer.add_uint32("diffusion.eb_stability_threshold", 1)
    writer.add_float32("diffusion.eb_confidence_threshold", sampler.CONFIDENCE)


def add_tokenizer(writer):
    writer.add_string("tokenizer.ggml.model", "gemma4")
    writer.add_array("tokenizer.ggml.tokens", vocab.TOKENS)
    writer.add_array("tokenizer.ggml.scores", [-float(i) for i in range(len(vocab.TOKENS))])
    writer.add_array("tokenizer.ggml.token_type", vocab.token_types())
    writer.add_array("tokenizer.ggml.merges", [" ".join(pair) for pair in vocab.MERGES])
    for key, value in {"bos": 2, "eos": 1, "unknown": 3, "padding": 0, "mask": 4}.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", value)
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_bool("tokenizer.ggml.add_space_prefix", False)


def write_gguf(path, weights, shape, size):
    """Written beside and renamed, so that no reader ever maps half a file."""
    writer = gguf.GGUFWriter(path + ".new", ARCH)
    writer.add_string("general.name", f"potluck demo, trained only on {size}x{size} Sudoku")
    writer.add_string("general.description", f"A tiny DiffusionGemma trained only on {size}x{size} Sudoku; it can do nothing else.")
    writer.add_uint32("general.file_type", 32)
    add_shape(writer, shape, size)
    add_tokenizer(writer)
    for ours, theirs in tensor_names(shape).items():
        add_tensor(writer, ours, weights[theirs])
    half = shape.head_sizes[1] // 2
    turning = int(shape.partial_rotary * half)
    writer.add_tensor("rope_freqs.weight", np.array([1.0] * turning + [1e30] * (half - turning), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".new", path)


def config(shape):
    kinds = {"S": "sliding_attention", "F": "full_attention"}
    text = {"model_type": "diffusion_gemma_text", "hidden_size": shape.hidden, "intermediate_size": shape.mlp,
            "moe_intermediate_size": shape.expert_mlp, "num_experts": shape.experts, "top_k_experts": shape.top_k,
            "num_hidden_layers": len(shape.layers), "layer_types": [kinds[kind] for kind in shape.layers],
            "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
            "num_global_key_value_heads": shape.kv_heads, "head_dim": shape.head_sizes[0],
            "global_head_dim": shape.head_sizes[1], "sliding_window": shape.window, "vocab_size": shape.vocab,
            "rms_norm_eps": shape.eps, "hidden_activation": "gelu_pytorch_tanh",
            "final_logit_softcapping": shape.softcap, "tie_word_embeddings": True,
            "use_bidirectional_attention": "vision", "max_position_embeddings": CONTEXT, "attention_bias": False,
            "attention_dropout": 0.0, "pad_token_id": vocab.PAD, "eos_token_id": vocab.EOS, "bos_token_id": vocab.BOS,
            "rope_parameters": {
                "full_attention": {"partial_rotary_factor": shape.partial_rotary, "rope_theta": shape.thetas[1], "rope_type": "proportional"},
                "sliding_attention": {"rope_theta": shape.thetas[0], "rope_type": "default"}},
            "dtype": "bfloat16"}  # fmt: skip
    return {"architectures": ["DiffusionGemmaForBlockDiffusion"], "model_type": "diffusion_gemma", "text_config": text,
            "canvas_length": shape.canvas, "tie_word_embeddings": True, "eos_token_id": STOPS, "dtype": "bfloat16",
            "transformers_version": "5.8.0"}  # fmt: skip


def write_folder(folder, weights, shape):
    os.makedirs(folder, exist_ok=True)
    save_file({f"model.{k}": v.contiguous() for k, v in weights.items()}, f"{folder}/model.safetensors", {"format": "pt"})
    generation = {"max_denoising_steps": sampler.STEPS, "max_new_tokens": shape.canvas,
                  "sampler_config": {"_cls_name": "EntropyBoundSamplerConfig", "entropy_bound": sampler.BOUND},
                  "t_min": sampler.T_MIN, "t_max": sampler.T_MAX, "stability_threshold": 1,
                  "confidence_threshold": sampler.CONFIDENCE, "eos_token_id": STOPS, "pad_token_id": vocab.PAD,
                  "bos_token_id": vocab.BOS, "transformers_version": "5.8.0"}  # fmt: skip
    for name, text in (("config.json", json.dumps(config(shape), indent=1)),
                       ("generation_config.json", json.dumps(generation, indent=1)),
                       ("tokenizer.json", vocab.tokenizer_json())):  # fmt: skip
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of the training run")
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--folder", help="also write the Hugging Face form here")
    args = parser.parse_args()
    weights, size = load(args.run)
    shape = Shape(canvas=CANVAS[size])
    write_gguf(args.gguf, weights, shape, size)
    if args.folder:
        write_folder(args.folder, weights, shape)


if __name__ == "__main__":
    main()
