"""Writes a GGUF with the released model's shapes, few layers and random weights: a file on which engines can be timed.

    python real_shape_gguf.py --like golden/kquant/model-Q4_K_M.gguf --layers 3 --types q8_0 out.gguf

Hidden 2816, 16 heads, 128 experts of 704 of which 8 work; the last layer is a full one, the others slide. The
vocabulary is `--like`'s, filled up with tokens that no text gives. `--types q4_k_m` mixes types as the published
Q4_K_M file does, `iq2_s` has experts of IQ2_S (and IQ4_NL, where rows are no blocks of 256) in the same mix. Needs the packages gguf and numpy; the build and the tests do not use it.
"""

import argparse

import gguf
import numpy as np

HIDDEN, HEADS, MLP, EXPERTS, USED, INNER, WINDOW, CANVAS = 2816, 16, 2112, 128, 8, 704, 1024, 256
KV_HEADS, HEAD_SIZE = {"sliding": 8, "full": 2}, {"sliding": 256, "full": 512}
TYPES = gguf.GGMLQuantizationType
Q4_K_M = {"attn_v": TYPES.Q6_K, "ffn_down": TYPES.Q8_0, "ffn_down_exps": TYPES.Q5_0, "self_cond_down": TYPES.Q5_0, "token_embd": TYPES.Q6_K}
IQ2_S_EXPERTS = {"ffn_gate_up_exps": TYPES.IQ2_S, "ffn_down_exps": TYPES.IQ4_NL}
# Where a block's f16 scales are.
HALVES = {TYPES.Q8_0: (0,), TYPES.Q5_0: (0,), TYPES.IQ4_NL: (0,), TYPES.IQ2_S: (0,), TYPES.Q4_K: (0, 2), TYPES.Q6_K: (208,)}


def type_of(name, types):
    if types == "q8_0":
        return TYPES.Q8_0
    part = name.split(".")[-2]
    if types == "iq2_s" and part in IQ2_S_EXPERTS:
        return IQ2_S_EXPERTS[part]
    return Q4_K_M.get(part, TYPES.Q4_K)


def blocks(rng, kind, rows, columns):
    """Random stored blocks [rows, bytes] whose values are about as large as a trained matrix's."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (rows, columns // values, size), dtype=np.uint8)
    reach = {TYPES.Q8_0: 74, TYPES.Q5_0: 9, TYPES.Q4_K: 32 * 8, TYPES.Q6_K: 18 * 74, TYPES.IQ4_NL: 67, TYPES.IQ2_S: 56}[kind]
    scale = np.float16(1 / (reach * columns**0.5))
    for at in HALVES[kind]:
        data[:, :, at : at + 2] = np.frombuffer(scale.tobytes(), np.uint8)
    return data.reshape(rows, -1)


class File:
    def __init__(self, path, args):
        self.writer = gguf.GGUFWriter(path, "diffusion-gemma")
        self.rng, self.types = np.random.default_rng(args.seed), args.types

    def vector(self, name, size, value=1.0):
        self.writer.add_tensor(name, np.full(size, value, np.float32))

    def matrix(self, name, rows, columns, count=None):
        kind = type_of(name, self.types)
        data = blocks(self.rng, kind, rows * (count or 1), columns)
        shape = (rows, data.shape[1]) if count is None else (count, rows, data.shape[1])
        self.writer.add_tensor(name, data.reshape(shape), raw_dtype=kind)

    def layer(self, index, kind):
        at, size = f"blk.{index}.", HEAD_SIZE[kind]
        wide, narrow = HEADS * size, KV_HEADS[kind] * size
        self.matrix(at + "attn_q.weight", wide, HIDDEN)
        self.matrix(at + "attn_k.weight", narrow, HIDDEN)
        if kind == "sliding":
            self.matrix(at + "attn_v.weight", narrow, HIDDEN)
        self.matrix(at + "attn_output.weight", HIDDEN, wide)
        for name in ("attn_q_norm", "attn_k_norm"):
            self.vector(at + name + ".weight", size, size**-0.25)
        for name in ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm", "post_ffw_norm_1", "post_ffw_norm_2", "pre_ffw_norm_2"):
            self.vector(at + name + ".weight", HIDDEN)
        for name in ("ffn_gate", "ffn_up"):
            self.matrix(at + name + ".weight", MLP, HIDDEN)
        self.matrix(at + "ffn_down.weight", HIDDEN, MLP)
        router = self.rng.standard_normal((EXPERTS, HIDDEN), np.float32)
        self.writer.add_tensor(at + "ffn_gate_inp.weight", router)
        self.vector(at + "ffn_gate_inp.scale", HIDDEN)
        self.vector(at + "ffn_down_exps.scale", EXPERTS)
        self.matrix(at + "ffn_gate_up_exps.weight", 2 * INNER, HIDDEN, EXPERTS)
        self.matrix(at + "ffn_down_exps.weight", HIDDEN, INNER, EXPERTS)
        self.vector(at + "layer_output_scale.weight", 1)
        self.vector(at + "enc_layer_output_scale.weight", 1)

    def head(self, vocab):
        self.matrix("token_embd.weight", vocab, HIDDEN)
        self.vector("output_norm.weight", HIDDEN)
        self.vector("self_cond_pre_norm.weight", HIDDEN)
        for name in ("gate", "up"):
            self.matrix(f"self_cond_{name}.weight", MLP, HIDDEN)
        self.matrix("self_cond_down.weight", HIDDEN, MLP)
        freqs = np.ones(HEAD_SIZE["full"] // 2, np.float32)
        freqs[len(freqs) // 4 :] = 1e30  # a quarter of the pairs turns
        self.writer.add_tensor("rope_freqs.weight", freqs)

    def settings(self, kinds, like, vocab):
        w, arch = self.writer, "diffusion-gemma."
        w.add_name(f"real shape, {len(kinds)} layers, {self.types}")
        for key, value in {"block_count": len(kinds), "context_length": 262144, "embedding_length": HIDDEN, "feed_forward_length": MLP,
                           "attention.head_count": HEADS, "expert_count": EXPERTS, "expert_used_count": USED, "attention.key_length": 512,
                           "attention.value_length": 512, "attention.key_length_swa": 256, "attention.value_length_swa": 256,
                           "attention.sliding_window": WINDOW, "attention.shared_kv_layers": 0, "embedding_length_per_layer_input": 0,
                           "expert_feed_forward_length": INNER, "rope.dimension_count": 512, "rope.dimension_count_swa": 256}.items():  # fmt: skip
            w.add_uint32(arch + key, value)
        w.add_array(arch + "attention.head_count_kv", [KV_HEADS[kind] for kind in kinds])
        w.add_array(arch + "attention.sliding_window_pattern", [kind == "sliding" for kind in kinds])
        for key, value in {"rope.freq_base": 1e6, "rope.freq_base_swa": 1e4, "attention.layer_norm_rms_epsilon": 1e-6,
                           "final_logit_softcapping": 30.0}.items():  # fmt: skip
            w.add_float32(arch + key, value)
        w.add_bool(arch + "attention.causal", False)
        w.add_uint32("diffusion.canvas_length", CANVAS)
        self.tokenizer(like, vocab)

    def tokenizer(self, like, vocab):
        w, read = self.writer, lambda key: like.fields["tokenizer.ggml." + key].contents()
        tokens = read("tokens")
        more = range(len(tokens), vocab)
        w.add_tokenizer_model("gemma4")
        w.add_token_list(tokens + [f"<filler{i}>" for i in more])
        w.add_token_scores(read("scores") + [-float(i) for i in more])
        w.add_token_types(read("token_type") + [1 for _ in more])
        w.add_token_merges(read("merges"))
        for key in ("bos", "eos", "unknown", "padding", "mask"):
            w.add_uint32(f"tokenizer.ggml.{key}_token_id", read(f"{key}_token_id"))
        w.add_add_bos_token(True)
        w.add_add_space_prefix(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--like", required=True, help="a GGUF whose tokenizer to take")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--vocab", type=int, default=32768)
    parser.add_argument("--types", choices=("q8_0", "q4_k_m", "iq2_s"), default="q8_0")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    kinds = ["sliding"] * (args.layers - 1) + ["full"]
    file = File(args.out, args)
    file.settings(kinds, gguf.GGUFReader(args.like), args.vocab)
    file.head(args.vocab)
    for index, kind in enumerate(kinds):
        file.layer(index, kind)
    file.writer.write_header_to_file()
    file.writer.write_kv_data_to_file()
    file.writer.write_tensors_to_file()
    file.writer.close()


if __name__ == "__main__":
    main()
