"""The product's entropy-bound sampler, batched: transformers' rule, argmax commit, no help of any kind."""

import torch

STEPS, T_MIN, T_MAX, BOUND, CONFIDENCE = 48, 0.4, 0.8, 0.1, 0.005


def renoise(logits, temperature, generator=None):
    """Accepts the lowest-entropy draws up to the bound and replaces the others by uniform ids.

    Returns (next canvas, softmax at this temperature, entropy in nats).
    """
    z = logits / temperature
    p = z.softmax(-1)
    entropy = z.logsumexp(-1) - (p * z).sum(-1)
    total = p.cumsum(-1)
    drawn = (total < torch.rand(p.shape[:-1], generator=generator)[..., None] * total[..., -1:]).sum(-1)
    ranked, order = entropy.sort(dim=-1, stable=True)
    accepted = torch.zeros_like(drawn, dtype=torch.bool).scatter(1, order, ranked.cumsum(-1) - ranked <= BOUND)
    noise = torch.randint(p.shape[-1], drawn.shape, generator=generator)
    return torch.where(accepted, drawn, noise), p, entropy


@torch.no_grad()
def sample(model, prompt, generator, steps=STEPS, condition=True, record=None):
    """(committed canvas [B,C], steps run [B]). Each row stops by its own rule; `record` gets what went in and out."""
    count, shape = len(prompt), model.shape
    kv = model.encode(prompt)
    canvas = torch.randint(shape.vocab, (count, shape.canvas), generator=generator)
    answer, used = torch.full_like(canvas, -1), torch.full((count,), steps)
    live, probabilities = torch.arange(count), torch.zeros(count, shape.canvas, shape.vocab)
    for step in range(steps):
        t = T_MIN + (T_MAX - T_MIN) * (STEPS - step) / STEPS
        logits = model.denoise(canvas, probabilities, [(k[live], v[live]) for k, v in kv])
        if record is not None:
            record.append((canvas.clone(), logits.clone(), t))
        argmax = logits.argmax(-1)
        canvas, p, entropy = renoise(logits, t, generator)
        stop = (argmax == answer[live]).all(1) & (entropy.mean(1) < CONFIDENCE)
        answer[live] = argmax
        used[live[stop]] = step + 1
        live, canvas = live[~stop], canvas[~stop]
        probabilities = p[~stop] if condition else torch.zeros_like(p[~stop])
        if not len(live):
            break
    return answer, used
