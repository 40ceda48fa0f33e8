"""DiffusionGemma's text stack in plain PyTorch, laid out for training speed.

The same maths as transformers' DiffusionGemmaForBlockDiffusion and the same parameter names, so that a checkpoint
loads there unchanged (`record_trace.py` compares the logits). Liberties that make it fast on a few cores: every expert
is computed and the unchosen ones are weighted by zero; q, k and v (gate and up) share one matrix product; the query
heads of one key head stand side by side as more rows of one product; the prompt leaves the last layer after its keys
and values; and nothing here keeps torch.compile from fusing the rest.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Shape:
    """Hyper-parameters; the defaults are the demo's."""

    hidden: int = 128
    layers: str = "SSFSSF"  # S = sliding attention, F = full attention
    heads: int = 4
    kv_heads: int = 2
    head_sizes: tuple = (32, 64)  # sliding, full
    mlp: int = 256
    experts: int = 4
    top_k: int = 2
    expert_mlp: int = 64
    vocab: int = 320
    canvas: int = 48
    window: int = 128  # longer than any prompt here, so it never cuts
    softcap: float = 30.0
    eps: float = 1e-6
    thetas: tuple = (1e4, 1e6)
    partial_rotary: float = 0.25

    @property
    def embed_scale(self) -> float:
        return float(torch.tensor(self.hidden**0.5).bfloat16())


def rms(x, eps, weight=None):
    """RMSNorm in float32; plain weight, or none."""
    x = x.float()
    y = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return y if weight is None else y * weight


def rope_tables(shape, kind, positions):
    """cos and sin [T, head/2]; on full layers only the first quarter of the pairs turns."""
    size, theta = shape.head_sizes[kind], shape.thetas[kind]
    freqs = theta ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    if kind == 1:
        freqs[int(shape.partial_rotary * size / 2) :] = 0
    angles = positions[:, None].float() * freqs[None]
    return angles.cos(), angles.sin()


def rotate(x, tables):
    """Rotate-half pairing: element j turns with element j + size/2."""
    cos, sin = tables
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Weight(nn.Module):
    """A parameter under the name `….weight`."""

    def __init__(self, *size, init):
        super().__init__()
        self.weight = nn.Parameter(torch.full(size, init) if isinstance(init, float) else torch.empty(size))
        if init == "normal":
            nn.init.normal_(self.weight, std=size[-1] ** -0.5)


def compute_dtype():
    return torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32


def matrix(rows, cols):
    return Weight(rows, cols, init="normal")


def vector(size, value=1.0):
    return Weight(size, init=float(value))


class Attention(nn.Module):
    def __init__(self, shape, kind):
        super().__init__()
        self.shape, self.kind, self.size = shape, kind, shape.head_sizes[kind]
        hidden, wide, narrow = shape.hidden, shape.heads * self.size, shape.kv_heads * self.size
        self.q_proj, self.k_proj = matrix(wide, hidden), matrix(narrow, hidden)
        if kind == 0:
            self.v_proj = matrix(narrow, hidden)
        self.o_proj = matrix(hidden, wide)
        # Scores are not divided by sqrt(size): start the norms where they would be.
        self.q_norm, self.k_norm = vector(self.size, self.size**-0.25), vector(self.size, self.size**-0.25)

    def project(self, x, tables):
        """(q [B,H,T,size], k, v [B,KV,T,size]), normed and turned to their positions."""
        shape, size = self.shape, self.size
        parts = [self.q_proj.weight, self.k_proj.weight] + ([self.v_proj.weight] if self.kind == 0 else [])
        qkv = F.linear(x, torch.cat(parts)).unflatten(-1, (-1, size)).transpose(1, 2)
        q, k = qkv[:, : shape.heads], qkv[:, shape.heads : shape.heads + shape.kv_heads]
        v = rms(qkv[:, shape.heads + shape.kv_heads :] if self.kind == 0 else k, shape.eps)
        q = rotate(rms(q, shape.eps, self.q_norm.weight), tables)
        k = rotate(rms(k, shape.eps, self.k_norm.weight), tables)
        return tuple(part.to(compute_dtype()) for part in (q, k, v))

    def attend(self, q, k, v, mask=None):
        """q [B,H,T,size] over k, v [B,KV,S,size]; `mask` [T,S] is added to the scores."""
        group = self.shape.heads // self.shape.kv_heads
        scores = (q.unflatten(1, (-1, group)).flatten(2, 3) @ k.transpose(-1, -2)).float()
        if mask is not None:
            scores = scores + mask.repeat(group, 1)
        out = scores.softmax(-1).to(v.dtype) @ v
        out = out.unflatten(2, (group, -1)).flatten(1, 2)
        return F.linear(out.transpose(1, 2).flatten(2), self.o_proj.weight)


class Mlp(nn.Module):
    def __init__(self, hidden, inner):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = matrix(inner, hidden), matrix(inner, hidden), matrix(hidden, inner)

    def forward(self, x):
        gate, up = F.linear(x, torch.cat((self.gate_proj.weight, self.up_proj.weight))).chunk(2, -1)
        return F.linear(F.gelu(gate, approximate="tanh") * up, self.down_proj.weight)


class Router(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.proj = matrix(shape.experts, shape.hidden)
        self.scale = nn.Parameter(torch.ones(shape.hidden))
        self.per_expert_scale = nn.Parameter(torch.ones(shape.experts))

    def forward(self, x):
        """The weight of every expert [.., experts]: zero for all but the top k. Float32, for near-ties flip."""
        with torch.autocast("cpu", enabled=False):
            r = rms(x, self.shape.eps) * self.scale * self.shape.hidden**-0.5
            p = F.linear(r, self.proj.weight).softmax(-1)
            above = (p[..., None, :] > p[..., None]).sum(-1)  # how many experts are liked more
            chosen = torch.where(above < self.shape.top_k, p, torch.zeros_like(p))
            return chosen / chosen.sum(-1, keepdim=True) * self.per_expert_scale


class Experts(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.gate_up_proj = nn.Parameter(torch.randn(shape.experts, 2 * shape.expert_mlp, shape.hidden) * shape.hidden**-0.5)
        self.down_proj = nn.Parameter(torch.randn(shape.experts, shape.hidden, shape.expert_mlp) * shape.expert_mlp**-0.5)

    def forward(self, x, weights):
        h = F.linear(x, self.gate_up_proj.flatten(0, 1)).unflatten(-1, (self.shape.experts, 2, -1))
        h = F.gelu(h[..., 0, :], approximate="tanh") * h[..., 1, :] * weights[..., None]
        return F.linear(h.flatten(-2), self.down_proj.transpose(0, 1).flatten(1))


class Layer(nn.Module):
    def __init__(self, shape, kind):
        super().__init__()
        self.eps, self.kind, hidden = shape.eps, kind, shape.hidden
        self.self_attn = Attention(shape, kind)
        self.mlp, self.router, self.experts = Mlp(hidden, shape.mlp), Router(shape), Experts(shape)
        self.input_layernorm, self.post_attention_layernorm = vector(hidden), vector(hidden)
        self.pre_feedforward_layernorm, self.pre_feedforward_layernorm_2 = vector(hidden), vector(hidden)
        self.post_feedforward_layernorm_1, self.post_feedforward_layernorm_2 = vector(hidden), vector(hidden)
        self.post_feedforward_layernorm = vector(hidden)
        self.layer_scalar = nn.Parameter(torch.ones(1))

    def norm(self, value, name):
        return rms(value, self.eps, getattr(self, name).weight)

    def project(self, x, tables):
        return self.self_attn.project(self.norm(x, "input_layernorm"), tables)

    def finish(self, x, attended, scalar):
        norm = self.norm
        x = x + norm(attended, "post_attention_layernorm")
        dense = norm(self.mlp(norm(x, "pre_feedforward_layernorm")), "post_feedforward_layernorm_1")
        moe = self.experts(norm(x, "pre_feedforward_layernorm_2"), self.router(x))
        mixed = dense + norm(moe, "post_feedforward_layernorm_2")
        return (x + norm(mixed, "post_feedforward_layernorm")) * scalar


class SelfConditioning(Mlp):
    def __init__(self, shape):
        super().__init__(shape.hidden, shape.mlp)
        self.eps = shape.eps
        self.pre_norm = vector(shape.hidden)

    def forward(self, embedded, soft):
        return rms(embedded + super().forward(rms(soft, self.eps, self.pre_norm.weight)), self.eps)


class Decoder(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embed_tokens = Weight(shape.vocab, shape.hidden, init="normal")
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(shape, "SF".index(kind)) for kind in shape.layers)
        self.norm = vector(shape.hidden)
        self.self_conditioning = SelfConditioning(shape)


class EncoderScalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_scalar = nn.Parameter(torch.ones(1))


class Encoder(nn.Module):
    """All that the encoder does not share with the decoder: one scalar for each layer."""

    def __init__(self, shape):
        super().__init__()
        self.language_model = nn.Module()
        self.language_model.layers = nn.ModuleList(EncoderScalar() for _ in shape.layers)


class DiffusionGemma(nn.Module):
    """encode(prompt [B,P]) -> keys and values of each layer; denoise(canvas [B,C], …) -> soft-capped logits [B,C,V]."""

    def __init__(self, shape, prompt_length):
        super().__init__()
        self.shape, self.prompt_length, self.embed_scale = shape, prompt_length, shape.embed_scale
        self.decoder, self.encoder = Decoder(shape), Encoder(shape)
        positions = torch.arange(prompt_length + shape.canvas)
        causal = torch.full((prompt_length, prompt_length), float("-inf")).triu(1)
        self.register_buffer("causal", causal, persistent=False)
        for kind, name in enumerate("SF"):
            cos, sin = rope_tables(shape, kind, positions)
            self.register_buffer(f"cos{name}", cos, persistent=False)
            self.register_buffer(f"sin{name}", sin, persistent=False)

    def tables(self, layer, start, end):
        name = "SF"[layer.kind]
        return getattr(self, f"cos{name}")[start:end], getattr(self, f"sin{name}")[start:end]

    def encode(self, prompt):
        """[(k, v)] of each layer; the prompt is causal."""
        decoder, kv = self.decoder, []
        x = F.embedding(prompt, decoder.embed_tokens.weight) * self.embed_scale
        for i, (layer, twin) in enumerate(zip(decoder.layers, self.encoder.language_model.layers)):
            q, k, v = layer.project(x, self.tables(layer, 0, self.prompt_length))
            kv.append((k, v))
            if i + 1 < len(decoder.layers):
                x = layer.finish(x, layer.self_attn.attend(q, k, v, self.causal), twin.layer_scalar)
        return kv

    def denoise(self, canvas, probabilities, kv):
        """A canvas position sees everything. Zero probabilities [B,C,V] are no conditioning; the norm still applies."""
        shape, decoder = self.shape, self.decoder
        table, length = decoder.embed_tokens.weight, self.prompt_length + shape.canvas
        soft = (probabilities @ table) * self.embed_scale
        x = decoder.self_conditioning(F.embedding(canvas, table) * self.embed_scale, soft)
        for layer, (past_k, past_v) in zip(decoder.layers, kv):
            q, k, v = layer.project(x, self.tables(layer, self.prompt_length, length))
            attended = layer.self_attn.attend(q, torch.cat((past_k, k), 2), torch.cat((past_v, v), 2))
            x = layer.finish(x, attended, layer.layer_scalar)
        h = rms(x, shape.eps, decoder.norm.weight)
        return shape.softcap * torch.tanh(F.linear(h, table).float() / shape.softcap)
