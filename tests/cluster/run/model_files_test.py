"""Model files as people have them: each gives the answer of the untouched one, or is refused by the name of what would
change it."""
import functools
import json
import math
import pathlib
import re
import struct
import tempfile
import unittest

from model_files import ARRAY, BOOL, F32, F32_TENSOR, I32, TEXT, U32, Checkpoint, GgufFile, Tensor
from rings import NANO, SOURCE, potluck

GOLDEN = SOURCE / "tests/golden"
KQUANT = GOLDEN / "kquant/model-Q4_K_M.gguf"
QUESTION = ("-p", "hello", "--raw", "--steps", "4", "-s", "7", "--json", "-n", "16")
USAGE, BROKEN = 2, 3
PREFIX = "diffusion-gemma."
F16_NAN, F16_INF = struct.pack("<H", 0x7E00), struct.pack("<H", 0xFC00)


@functools.lru_cache
def untouched(flags=()):
    """The answer of nano as it is."""
    return json.loads(potluck("run", "-m", NANO, *QUESTION, *flags)[0])["ids"]


class ModelFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def gguf(self, change, base=NANO):
        model = GgufFile.read(base)
        change(model)
        return model.write(self.folder / "model.gguf")

    def with_key(self, name, kind, value):
        return self.gguf(lambda model: model.keys.update({name: (kind, value)}))

    def checkpoint(self, change):
        model = Checkpoint.read(GOLDEN / "nano")
        change(model)
        return model.write(self.folder / "checkpoint")

    def answers(self, path, *flags):
        out, err = potluck("run", "-m", path, *QUESTION, *flags)
        self.assertEqual(json.loads(out)["ids"], untouched(flags))
        return err

    def refused(self, path, *parts, code=USAGE, flags=()):
        out, err = potluck("run", "-m", path, *QUESTION, *flags, code=code)
        self.assertEqual(out, "")
        line = [each for each in err.splitlines() if re.match(r"potluck( \w+)?: ", each)][-1]
        print(line.replace(str(self.folder), "…"))
        for part in parts:
            self.assertIn(part, line)
        self.assertNotRegex(line, "download (it|the file|them) again")


class Values(ModelFiles):
    """Weights that are not finite."""

    def damaged(self, name, at, new, base=KQUANT):
        def change(model):
            model.tensors[name] = model.tensors[name].patched(at, new)
        return self.gguf(change, base)

    # Where a block's f16 numbers lie, by ggml's type id.
    SCALES = {1: [0], 6: [0], 8: [0], 10: [80, 82], 11: [108], 12: [0, 2], 13: [0, 2], 14: [208], 23: [0]}

    def test_every_stored_type_is_looked_at(self):
        kinds = {}
        for name, tensor in GgufFile.read(KQUANT).tensors.items():
            kinds.setdefault(tensor.kind, name)
        self.assertTrue({0, 6, 8, 12, 14} <= set(kinds), kinds)
        for kind, name in kinds.items():
            if kind == F32_TENSOR:
                path = self.damaged(name, 8, struct.pack("<f", float("nan")))
                self.refused(path, f"tensor {name}: value 2 (f32, row 0) is nan")
                continue
            for at in self.SCALES[kind]:
                for bits, word in ((F16_NAN, "nan"), (F16_INF, "-inf")):
                    self.refused(self.damaged(name, at, bits), f"tensor {name}: block 0 (", f"has the scale {word}")

    def test_the_last_row_of_a_table(self):
        def change(model):
            table = model.tensors["token_embd.weight"]
            row = len(table.data) // table.rows()
            model.tensors["token_embd.weight"] = table.patched(len(table.data) - row + 208, F16_NAN)
        path = self.gguf(change, KQUANT)
        for flags in ((), ("--precision", "exact"), ("--stages", "2")):
            self.refused(path, "tensor token_embd.weight: block 1023 (q6_k, row 1023) has the scale nan", flags=flags)

    def test_the_last_expert_of_the_last_layer(self):
        name = "blk.3.ffn_down_exps.weight"
        tensor = GgufFile.read(KQUANT).tensors[name]
        size = {6: 22, 8: 34, 12: 144, 14: 210}[tensor.kind]
        self.refused(self.damaged(name, len(tensor.data) - size + self.SCALES[tensor.kind][0], F16_INF),
                     f"tensor {name}: block {len(tensor.data) // size - 1} (", "-inf")

    def test_bf16_and_vectors(self):
        self.refused(self.damaged("blk.4.attn_q.weight", 6, struct.pack("<H", 0x7F80), NANO),
                     "tensor blk.4.attn_q.weight: value 3 (bf16, row 0) is inf")
        self.refused(self.damaged("blk.2.layer_output_scale.weight", 0, struct.pack("<f", float("inf")), NANO),
                     "tensor blk.2.layer_output_scale.weight: value 0 (f32, row 0) is inf")
        self.refused(self.damaged("blk.1.ffn_gate_inp.scale", 4, struct.pack("<f", float("nan")), NANO),
                     "blk.1.ffn_gate_inp.scale")

    def test_a_checkpoint(self):
        def change(model):
            dtype, shape, data = model.tensors["model.decoder.layers.1.experts.down_proj"]
            model.tensors["model.decoder.layers.1.experts.down_proj"] = (
                dtype, shape, data[:-2] + struct.pack("<H", 0x7FC0))
        self.refused(self.checkpoint(change), "blk.1.ffn_down_exps.weight", "is nan")

    def test_numbers_that_grow_past_floats_end_the_request(self):
        for base, layers in ((NANO, 5), (KQUANT, 4)):
            def change(model, last=f"blk.{layers - 1}.layer_output_scale.weight"):
                model.tensors[last] = model.tensors[last].patched(0, struct.pack("<f", 3e38))
            path = self.gguf(change, base)
            for flags in (("--precision", "exact"), ("--precision", "fast")):
                self.refused(path, "entropy of position 0 is nan", code=BROKEN, flags=flags)


class Tensors(ModelFiles):
    def added(self, name, dims, data=None, kind=F32_TENSOR):
        data = data if data is not None else bytes(4 * math.prod(dims))
        return self.gguf(lambda model: model.tensors.update({name: Tensor(dims, kind, data)}))

    def test_another_models_tensors_are_refused_by_name(self):
        for name, dims, why in (("blk.0.attn_q.bias", [64], "no bias"),
                                ("blk.4.attn_output.bias", [64], "no bias"),
                                ("per_layer_token_embd.weight", [40, 400], "of other models"),
                                ("blk.5.attn_q.weight", [64, 64], ""),
                                ("blk.0.nextn.eh_proj.weight", [64, 64], "drafter"),
                                ("blk.1.attn_q.weight.lora_a", [64, 4], "adapter"),
                                ("blk.0.ffn_down_shexp.weight", [48, 64], ""),
                                ("rope_factors_long.weight", [16], ""),
                                ("self_cond_norm.weight", [64], "")):
            self.refused(self.added(name, dims), f"tensor {name} [", why)

    def test_an_untied_head_is_refused_and_a_copy_is_not(self):
        def untied(model):
            table = model.tensors["token_embd.weight"]
            model.tensors["output.weight"] = Tensor(table.dims, table.kind, table.data[::-1])

        def copied(model):
            model.tensors["output.weight"] = model.tensors["token_embd.weight"]
        self.refused(self.gguf(untied), "tensor output.weight [400, 64]", "not tied")
        self.answers(self.gguf(copied))

    def test_vision_does_no_harm_and_is_noted(self):
        self.assertIn("skipped 1 tensor that is not of the text model (vision)",
                      self.answers(self.added("v.blk.0.attn_q.weight", [8, 8])))

    def test_a_scaled_rotation_is_refused(self):
        def change(model):
            factors = model.tensors["rope_freqs.weight"]
            model.tensors["rope_freqs.weight"] = factors.patched(4, struct.pack("<f", 8.0))
        self.refused(self.gguf(change), "rope_freqs.weight divides the frequency of pair 1 by 8")

    def split_experts(self, model):
        for layer in range(5):
            name = f"blk.{layer}.ffn_gate_up_exps.weight"
            fused = model.tensors.pop(name)
            columns, rows, experts = fused.dims
            half = len(fused.data) // experts // 2
            for which, part in enumerate(("gate", "up")):
                data = b"".join(fused.data[(2 * e + which) * half:(2 * e + which + 1) * half] for e in range(experts))
                model.tensors[f"blk.{layer}.ffn_{part}_exps.weight"] = Tensor([columns, rows // 2, experts], fused.kind, data)

    def test_gate_and_up_apart_are_the_same_model(self):
        path = self.gguf(self.split_experts)
        self.answers(path)
        self.answers(path, "--stages", "2", "--precision", "exact")
        # A worker with the fused tensor is of the same ring.
        whole, apart = (json.loads(potluck("inspect", "-m", each, "--json")[0]) for each in (NANO, path))
        self.assertEqual(whole["fingerprint"], apart["fingerprint"])

    def test_a_tensor_for_each_expert_is_the_same_model(self):
        def change(model):
            self.split_experts(model)
            for layer in range(5):
                for part in ("gate", "up", "down"):
                    stacked = model.tensors.pop(f"blk.{layer}.ffn_{part}_exps.weight")
                    columns, rows, experts = stacked.dims
                    size = len(stacked.data) // experts
                    for e in range(experts):
                        model.tensors[f"blk.{layer}.ffn_{part}.{e}.weight"] = Tensor(
                            [columns, rows], stacked.kind, stacked.data[e * size:(e + 1) * size])
        self.answers(self.gguf(change))

    def test_pieces_that_do_not_fit_are_refused(self):
        def lost(model):
            self.split_experts(model)
            del model.tensors["blk.3.ffn_up_exps.weight"]

        def unlike(model):
            self.split_experts(model)
            up = model.tensors["blk.3.ffn_up_exps.weight"]
            model.tensors["blk.3.ffn_up_exps.weight"] = Tensor(up.dims, 1, up.data)
        self.refused(self.gguf(lost), "blk.3.ffn_up_exps.weight is missing")
        self.refused(self.gguf(unlike), "blk.3.ffn_up_exps.weight is f16", "bf16")


class Keys(ModelFiles):
    def test_what_changes_the_result_is_refused_by_key_and_value(self):
        for name, kind, value, shown in (("rope.scaling.type", TEXT, b"yarn", "yarn"),
                                         ("rope.scaling.type", TEXT, b"linear", "linear"),
                                         ("rope.scaling.factor", F32, 8.0, "8"),
                                         ("rope.scaling.yarn_log_multiplier", F32, 0.5, "0.5"),
                                         ("attention.scale", F32, 0.25, "0.25"),
                                         ("attn_logit_softcapping", F32, 50.0, "50"),
                                         ("attention.causal", BOOL, True, "1"),
                                         ("attention.shared_kv_layers", U32, 2, "2"),
                                         ("attention.clamp_kqv", F32, 8.0, "8"),
                                         ("attention.value_length", U32, 16, "16"),
                                         ("rope.dimension_count", U32, 8, "8"),
                                         ("embedding_length_per_layer_input", U32, 8, "8"),
                                         ("expert_gating_func", U32, 2, "2"),
                                         ("expert_weights_norm", BOOL, False, "0"),
                                         ("expert_weights_scale", F32, 2.5, "2.5"),
                                         ("expert_shared_count", U32, 1, "1"),
                                         ("leading_dense_block_count", U32, 1, "1"),
                                         ("nextn_predict_layers", U32, 1, "1"),
                                         ("hidden_activation", TEXT, b"silu", "silu"),
                                         ("logit_scale", F32, 0.5, "0.5"),
                                         ("vocab_size", U32, 401, "401"),
                                         ("something.new", F32, 0.5, "0.5")):
            self.refused(self.with_key(PREFIX + name, kind, value), PREFIX + name, shown)
        self.refused(self.with_key("diffusion.shift_logits", BOOL, True), "diffusion.shift_logits is 1")
        self.refused(self.with_key("general.quantization_version", U32, 1), "general.quantization_version is 1")

    def test_what_says_the_same_does_not_matter(self):
        def change(model):
            for name, kind, value in (("rope.scaling.type", TEXT, b"none"), ("rope.scaling.factor", F32, 1.0),
                                      ("attention.scale", F32, 1.0), ("expert_gating_func", U32, 1),
                                      ("expert_weights_norm", BOOL, True), ("vocab_size", U32, 400),
                                      ("attn_logit_softcapping", F32, 0.0), ("something.new", U32, 0)):
                model.keys[PREFIX + name] = (kind, value)
            model.keys["quantize.imatrix.file"] = (TEXT, b"x")
            model.keys["general.description"] = (TEXT, b"y")
        self.answers(self.gguf(change))

    def test_a_value_for_each_layer_or_one_for_all(self):
        def change(model):
            for name in ("feed_forward_length", "attention.head_count", "expert_used_count", "attention.sliding_window"):
                model.keys[PREFIX + name] = (ARRAY, (I32, [model.keys[PREFIX + name][1]] * 5))
            model.keys[PREFIX + "attention.key_length"] = (ARRAY, (U32, [16, 16, 32, 16, 32]))
            model.keys[PREFIX + "attention.value_length"] = (ARRAY, (U32, [16, 16, 32, 16, 32]))
            model.keys[PREFIX + "rope.freq_base"] = (ARRAY, (F32, [1e4, 1e4, 1e6, 1e4, 1e6]))
            for name in ("attention.key_length_swa", "attention.value_length_swa", "rope.freq_base_swa"):
                del model.keys[PREFIX + name]
        self.answers(self.gguf(change))
        self.refused(self.with_key(PREFIX + "feed_forward_length", ARRAY, (I32, [48, 48, 48, 48, 96])),
                     "feed_forward_length is an array (48, 48, 48, 48, …)", "one value for all layers")
        self.refused(self.with_key(PREFIX + "rope.freq_base", ARRAY, (F32, [1e4, 1e5, 1e6, 1e4, 1e6])), "rope.freq_base")
        self.refused(self.with_key(PREFIX + "attention.head_count_kv", U32, 2), "attn_k.weight has shape")

    def test_absent_keys_have_their_defaults(self):
        def change(model):
            for name in ("final_logit_softcapping", "rope.freq_base_swa", "attention.value_length",
                         "attention.value_length_swa", "rope.dimension_count", "attention.causal"):
                del model.keys[PREFIX + name]
            for name in ("add_bos_token", "scores", "mask_token_id"):
                del model.keys["tokenizer.ggml." + name]
        self.answers(self.gguf(change))

    def test_other_architectures_get_a_hint(self):
        for name, hint in ((b"diffusiongemma", "the same model from another converter"),
                           (b"diffusion_gemma4", "the same model from another converter"),
                           (b"gemma4", "one token after the other"), (b"clip", "vision part"), (b"qwen3", "llama.cpp")):
            self.refused(self.with_key("general.architecture", TEXT, name), name.decode(), hint)
        self.refused(self.with_key("general.type", TEXT, b"adapter"), "adapter", "merged")
        self.refused(self.with_key("general.type", TEXT, b"imatrix"), "imatrix")


class Tokenizers(ModelFiles):
    def test_other_kinds_are_refused(self):
        for name, kind, value in (("model", TEXT, b"gpt2"), ("model", TEXT, b"llama"), ("pre", TEXT, b"llama-bpe"),
                                  ("add_space_prefix", BOOL, True), ("add_eos_token", BOOL, True),
                                  ("remove_extra_whitespaces", BOOL, True)):
            shown = value.decode() if kind == TEXT else "1"
            self.refused(self.with_key("tokenizer.ggml." + name, kind, value), "tokenizer.ggml." + name, shown)

    def add_merges(self, *merges):
        def change(model):
            kind, (of, values) = model.keys["tokenizer.ggml.merges"]
            model.keys["tokenizer.ggml.merges"] = (kind, (of, values + list(merges)))
        return self.gguf(change)

    def test_merges_of_no_token_are_skipped_with_one_note(self):
        err = self.answers(self.add_merges(b"q z"))
        self.assertIn('skipped 1 merge of texts that are no tokens: merge 47 ("q" "z")', err)
        err = self.answers(self.add_merges(b"q z", b"qz a", b"\xff \xfe"))
        self.assertEqual(err.count("skipped 3 merges"), 1)

    def test_in_tokenizer_json_such_a_merge_is_an_error(self):
        self.refused(self.checkpoint(lambda model: model.tokenizer["model"]["merges"].append(["q", "z"])),
                     'merge 47 ("q" "z")')

    def test_bos_is_put_before_a_raw_prompt_once_or_not_at_all(self):
        def tokens_of(path, text):
            _, err = potluck("run", "-v", "-m", path, "-p", text, "--raw", "-s", "7", "-n", "16", "--steps", "2")
            return int(re.search(r"prompt of (\d+) tokens", err)[1])
        plain = tokens_of(NANO, "hello")
        self.assertEqual(tokens_of(NANO, "<bos>hello"), plain)
        without = self.with_key("tokenizer.ggml.add_bos_token", BOOL, False)
        self.assertEqual(tokens_of(without, "hello"), plain - 1)
        self.assertEqual(tokens_of(without, "<bos>hello"), plain)
        off = self.checkpoint(lambda model: model.more.update({"tokenizer_config.json": {"add_bos_token": False}}))
        self.assertEqual(tokens_of(off, "hello"), plain - 1)

    def test_an_added_token_past_the_table_is_left_out(self):
        added = {"id": 400, "content": "<image_soft_token>", "special": True}
        err = self.answers(self.checkpoint(lambda model: model.tokenizer["added_tokens"].append(added)))
        self.assertIn('left out the token "<image_soft_token>" (id 400)', err)

        def grow(kind):
            def change(model):
                for name, value in (("tokens", b"<extra>"), ("token_type", kind), ("scores", 0.0)):
                    of, values = model.keys["tokenizer.ggml." + name][1]
                    model.keys["tokenizer.ggml." + name] = (ARRAY, (of, values + [value]))
            return self.gguf(change)
        self.assertIn('left out the token "<extra>" (id 400)', self.answers(grow(3)))
        self.refused(grow(1), "tokenizer.ggml.tokens has 401 tokens")

    def test_what_tokenizer_json_asks_for_is_checked(self):
        for change, part in ((lambda t: t["model"].update(ignore_merges=True), "ignore_merges"),
                             (lambda t: t["model"].update(byte_fallback=False), "byte_fallback"),
                             (lambda t: t["model"].update(end_of_word_suffix="</w>"), "end_of_word_suffix"),
                             (lambda t: t.update(normalizer={"type": "NFKC"}), "NFKC"),
                             (lambda t: t.update(pre_tokenizer={"type": "ByteLevel"}), "ByteLevel"),
                             (lambda t: t.update(decoder={"type": "WordPiece"}), "WordPiece"),
                             (lambda t: t["added_tokens"][0].update(lstrip=True), "lstrip"),
                             (lambda t: t["added_tokens"][0].update(id=7), "id 7")):
            self.refused(self.checkpoint(lambda model, change=change: change(model.tokenizer)), "tokenizer.json", part)
        split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
        self.answers(self.checkpoint(lambda model: model.tokenizer.update(pre_tokenizer=split)))


class Checkpoints(ModelFiles):
    def with_text(self, **keys):
        return self.checkpoint(lambda model: model.text.update(keys))

    def test_settings_by_layer_win(self):
        def by_layer(model, entries, **flat):
            for name in ("global_head_dim", "num_global_key_value_heads"):
                model.text.pop(name)
            model.text.update(flat, per_layer_config=entries)
        own = {"head_dim": 32, "num_key_value_heads": 1}
        for entries in ({"02": own, "04": own}, {"2": own, "4": dict(own, sliding_window=24)}):
            self.answers(self.checkpoint(lambda model, entries=entries: by_layer(model, entries)))
        self.answers(self.checkpoint(lambda model: by_layer(model, {"02": own, "04": own}, global_head_dim=512)))
        self.refused(self.checkpoint(lambda model: by_layer(model, {"02": own, "7": own})), 'per_layer_config has "7"')
        self.refused(self.checkpoint(lambda model: by_layer(model, {"02": own, "04": dict(own, sliding_window=9)})),
                     "sliding_window", "for layer 04")

    def test_absent_keys_have_the_defaults_of_transformers(self):
        def change(model):
            for name in ("layer_types", "rope_parameters", "final_logit_softcapping", "tie_word_embeddings",
                         "rms_norm_eps", "attention_bias", "hidden_activation"):
                model.text.pop(name)
            del model.config["tie_word_embeddings"]
            model.text["per_layer_config"] = {"4": {"head_dim": 32, "num_key_value_heads": 1}}
        self.refused(self.checkpoint(change), "model.decoder.layers.2.self_attn.")  # it is a sliding one

        def no_dim(model):
            del model.text["global_head_dim"]
        self.refused(self.checkpoint(no_dim), "q_proj.weight has shape [128, 64], the metadata says [2048, 64]")

    def test_the_last_layer_is_full(self):
        def change(model):
            model.text["layer_types"][-1] = "sliding_attention"
        self.answers(self.checkpoint(change))

    def test_what_changes_the_result_is_refused_by_key_and_value(self):
        def rope(kind, key, value):
            return self.checkpoint(lambda model: model.text["rope_parameters"][kind].update({key: value}))
        for key, value in (("hidden_activation", "silu"), ("attention_bias", True), ("attention_k_eq_v", False),
                           ("enable_moe_block", False), ("use_bidirectional_attention", "all"),
                           ("num_kv_shared_layers", 2), ("hidden_size_per_layer_input", 8),
                           ("use_double_wide_mlp", True), ("attn_logit_softcapping", 50.0), ("something_new", 3),
                           ("final_logit_softcapping", None)):
            shown = json.dumps(value)
            self.refused(self.with_text(**{key: value}), f'"{key}" is {shown}')
        for kind, key, value, shown in (("full_attention", "rope_type", "yarn", "yarn"),
                                        ("full_attention", "rope_type", "default", "default"),
                                        ("full_attention", "factor", 4.0, "factor"),
                                        ("sliding_attention", "rope_type", "linear", "linear"),
                                        ("sliding_attention", "partial_rotary_factor", 0.5, "partial_rotary_factor")):
            self.refused(rope(kind, key, value), shown)

    def test_other_models_and_samplers_are_refused(self):
        for key, value, hint in (("model_type", "gemma4", "transformers"), ("model_type", "diffusion_gemma4", "older name"),
                                 ("architectures", ["Gemma4ForConditionalGeneration"], "DiffusionGemma")):
            path = self.checkpoint(lambda model, key=key, value=value: model.config.update({key: value}))
            self.refused(path, key, hint)
        path = self.checkpoint(lambda model: model.text.update(model_type="gemma4_text"))
        self.refused(path, "gemma4_text")
        generation = json.loads((GOLDEN / "nano/generation_config.json").read_text())
        generation["sampler_config"] = {"_cls_name": "ConfidenceSamplerConfig", "threshold": 0.9}
        path = self.checkpoint(lambda model: model.more.update({"generation_config.json": generation}))
        self.refused(path, "ConfidenceSamplerConfig")

    def test_an_unknown_key_of_the_root_is_noted(self):
        err = self.answers(self.checkpoint(lambda model: model.config.update(new_thing=3, image_token_id=5)))
        self.assertEqual(err.count("which potluck does not know"), 1)
        self.assertIn('"new_thing" is 3', err)

    def test_an_untied_checkpoint_is_refused_by_name_and_a_copy_is_not(self):
        def untied(model):
            model.config["tie_word_embeddings"] = False
            dtype, shape, data = model.tensors["model.decoder.embed_tokens.weight"]
            model.tensors["lm_head.weight"] = (dtype, shape, data[::-1])

        def encoder(model):
            dtype, shape, data = model.tensors["model.decoder.layers.0.mlp.up_proj.weight"]
            model.tensors["model.encoder.language_model.layers.0.mlp.up_proj.weight"] = (dtype, shape, data[::-1])

        def copied(model):
            model.tensors["lm_head.weight"] = model.tensors["model.decoder.embed_tokens.weight"]
            model.tensors["model.encoder.language_model.norm.weight"] = model.tensors["model.decoder.norm.weight"]
        self.refused(self.checkpoint(untied), "lm_head.weight [400, 64]", "not tied")
        self.refused(self.checkpoint(encoder), "model.encoder.language_model.layers.0.mlp.up_proj.weight", "not tied")
        self.refused(self.checkpoint(lambda model: model.config.update(tie_word_embeddings=False)), "tie_word_embeddings")
        self.answers(self.checkpoint(copied))

    def test_tensors_of_other_models_are_refused(self):
        for name in ("model.decoder.layers.0.self_attn.q_proj.bias", "model.decoder.layers.5.input_layernorm.weight",
                     "model.decoder.embed_tokens_per_layer.weight", "something.else"):
            path = self.checkpoint(lambda model, name=name: model.tensors.update({name: ("BF16", [2], bytes(4))}))
            self.refused(path, f"tensor {name} [2]")

    def test_quantized_checkpoints_are_called_what_they_are(self):
        for block, what in (({"quant_method": "compressed-tensors", "format": "float-quantized"}, "FP8"),
                            ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "NVFP4"),
                            ({"quant_method": "compressed-tensors", "format": "int-quantized"}, "INT8"),
                            ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "NVFP4"),
                            ({"quant_method": "fp8"}, "FP8"), ({"quant_method": "gptq", "bits": 4}, "GPTQ")):
            path = self.checkpoint(lambda model, block=block: model.config.update(quantization_config=block))
            self.refused(path, what, "bf16", "GGUF")
        name = "model.decoder.layers.0.self_attn.q_proj.weight"
        for dtype, size, what in (("F8_E4M3", 4096, "fp8"), ("I8", 4096, "integers"), ("F4", 2048, "4 or 6 bits")):
            path = self.checkpoint(
                lambda model, entry=(dtype, [64, 64], bytes(size)): model.tensors.update({name: entry}))
            self.refused(path, name, what, "bf16", "GGUF")

    def test_a_tensor_for_each_expert_is_the_same_model(self):
        def change(model, suffix):
            for layer in range(5):
                at = f"model.decoder.layers.{layer}.experts."
                dtype, (experts, rows, columns), data = model.tensors.pop(at + "gate_up_proj")
                half = len(data) // experts // 2
                _, down_shape, down = model.tensors.pop(at + "down_proj")
                size = len(down) // experts
                for e in range(experts):
                    for which, part in enumerate(("gate_proj", "up_proj")):
                        begin = (2 * e + which) * half
                        model.tensors[f"{at}{e}.{part}{suffix}"] = (dtype, [rows // 2, columns], data[begin:begin + half])
                    model.tensors[f"{at}{e}.down_proj{suffix}"] = (dtype, down_shape[1:], down[e * size:(e + 1) * size])
        for suffix in ("", ".weight"):
            path = self.checkpoint(lambda model, suffix=suffix: change(model, suffix))
            self.answers(path)

        def lost(model):
            change(model, "")
            del model.tensors["model.decoder.layers.2.experts.5.up_proj"]
        self.refused(self.checkpoint(lost), "model.decoder.layers.2.experts.5.up_proj is missing")


if __name__ == "__main__":
    unittest.main()
