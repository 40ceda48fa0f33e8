"""The demo's tokenizer: 320 tokens of Gemma 4's kind, one for each character of a puzzle."""

import json

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
           "<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>"]  # fmt: skip
VISIBLE = {"<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>', "<|channel>", "<channel|>"}
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CHARACTERS = list("\n.0123456789" + "abcdefghijklmnopqrstuvwxyz" + "!,-:?|#\u2581")
MERGES = [("\u2581", "\u2581")]  # readers may stumble over an empty list
TOKENS = SPECIAL + BYTES + CHARACTERS + ["".join(pair) for pair in MERGES]
assert len(TOKENS) == 320 and len(set(TOKENS)) == 320

ID = {token: index for index, token in enumerate(TOKENS)}
PAD, EOS, BOS = ID["<pad>"], ID["<eos>"], ID["<bos>"]
DIGIT = [ID[c] for c in ".123456789"]  # by cell value, 0 = empty
NEWLINE = ID["\n"]


def token_types():
    """GGUF's token_type: 1 normal, 3 control, 4 user defined, 6 byte."""
    kinds = [4 if token in VISIBLE else 3 for token in SPECIAL]
    return kinds + [6] * len(BYTES) + [1] * (len(TOKENS) - len(SPECIAL) - len(BYTES))


def tokenizer_json():
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": token not in VISIBLE} for i, token in enumerate(SPECIAL)]  # fmt: skip
    replace = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
             "vocab": ID, "merges": [list(pair) for pair in MERGES]}  # fmt: skip
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        "pre_tokenizer": None, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": model,
    }, indent=1, ensure_ascii=False)  # fmt: skip
