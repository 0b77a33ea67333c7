#!/usr/bin/env python3
"""Trains the demo's model: a small Llama that answers questions over a directory in its prompt.

    python3 train.py --out directory-llama

Needs torch and numpy. The committed model is what seed 2, the default, gave in 32 seconds on an H200, all in
float32; on two busy CPU cores, seed 1 was as good after 18 minutes. Writes config.json, model.safetensors
(bfloat16) and tokenizer.json as Hugging Face lays them out.

The curriculum grows from 8 facts to the whole context: a look-up is learned among few facts, and longer
directories then sharpen it. Left to itself, a small model finds the look-up only after a long plateau, so
training starts near it (start_near_lookup). Some seeds stay on the plateau all the same, as seed 1 did on the
GPU: if the share of right answers is still near 0 at the end of the first stage, take another.
"""

import argparse
import json
import math
import os
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F

import directory as d

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": len(d.VOCABULARY),
    "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5, "rope_theta": 1e9, "rope_scaling": None, "attention_bias": False,
    "mlp_bias": False, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": d.TOKEN_ID["."],
    "pad_token_id": 0, "torch_dtype": "bfloat16",
}

# facts (least, most), tokens in a sequence, sequences in a batch, steps, highest and last learning rate
STAGES = [
    (4, 8, 112, 32, 350, 4e-3, 3e-3),
    (8, 64, 640, 8, 250, 2e-3, 1e-3),
    (32, 256, 2048, 4, 200, 1e-3, 5e-4),
    (200, 540, 4096, 4, 300, 7e-4, 2e-5),
]


def linear(rows, columns):
    return torch.nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns))


class Layer(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        h, m, dim = c["hidden_size"], c["intermediate_size"], c["head_dim"]
        self.heads, self.kv_heads, self.dim = c["num_attention_heads"], c["num_key_value_heads"], dim
        self.input_layernorm = torch.nn.Parameter(torch.ones(h))
        self.post_attention_layernorm = torch.nn.Parameter(torch.ones(h))
        self.q_proj, self.k_proj = linear(self.heads * dim, h), linear(self.kv_heads * dim, h)
        self.v_proj, self.o_proj = linear(self.kv_heads * dim, h), linear(h, self.heads * dim)
        self.gate_proj, self.up_proj, self.down_proj = linear(m, h), linear(m, h), linear(h, m)

    def forward(self, x, cos, sin, eps):
        b, t, _ = x.shape
        n = F.rms_norm(x, x.shape[-1:], self.input_layernorm, eps)
        q, k, v = (F.linear(n, w).view(b, t, -1, self.dim).transpose(1, 2)
                   for w in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        group = self.heads // self.kv_heads
        k, v = (a.repeat_interleave(group, 1) for a in (k, v))
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + F.linear(o.transpose(1, 2).reshape(b, t, -1), self.o_proj)
        n = F.rms_norm(x, x.shape[-1:], self.post_attention_layernorm, eps)
        return x + F.linear(F.silu(F.linear(n, self.gate_proj)) * F.linear(n, self.up_proj),
                            self.down_proj)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return (torch.cat((a * cos - b * sin, b * cos + a * sin), -1)).to(x.dtype)


class Llama(torch.nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = torch.nn.Parameter(torch.randn(c["vocab_size"], c["hidden_size"]) * 0.1)
        self.layers = torch.nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = torch.nn.Parameter(torch.ones(c["hidden_size"]))

    def forward(self, tokens, picked):
        """Logits after the tokens where the mask `picked` [tokens] is true, [batch, picked, vocabulary]."""
        dim, t = self.c["head_dim"], tokens.shape[1]
        rate = self.c["rope_theta"] ** (-torch.arange(0, dim, 2, device=tokens.device) / dim)
        angle = torch.arange(t, device=tokens.device)[:, None] * rate
        x = F.embedding(tokens, self.embed)
        for layer in self.layers:
            x = layer(x, angle.cos(), angle.sin(), self.c["rms_norm_eps"])
        x = F.rms_norm(x[:, picked], x.shape[-1:], self.norm, self.c["rms_norm_eps"])
        return F.linear(x, self.embed)


def start_near_lookup(model):
    """Sets the first weights to a rough look-up, plus noise; training has to do the rest.

    The width is cut into four spaces: a direction common to all words, one common to names, one space for a
    word of one's own, one for the name gathered from the text before. First layer: queries look for the
    nearest name (slow RoPE pairs make far ones score less) and write it into the gathered space. Second
    layer: queries and keys compare what was gathered, by the slowest pairs, which hardly turn within the
    context; values carry the own word to the output. Which of a fact's words comes next, how sharp a match must
    be among thousands of tokens, and the words' own vectors are left to training.
    """
    hidden, dim, scale, noise, match = CONFIG["hidden_size"], CONFIG["head_dim"], 0.2, 0.1, 0.8
    basis = torch.linalg.qr(torch.randn(hidden, hidden))[0].T
    common, name = basis[0], basis[1]
    own = basis[2:2 + dim]
    gathered = torch.cat((basis[2 + dim:], torch.zeros(2, hidden)))
    rate = CONFIG["rope_theta"] ** (-torch.arange(0, dim, 2) / dim)
    near = torch.cat(((rate > 0.02) & (rate < 0.4), torch.zeros(dim // 2))).float()
    still = (rate < 3e-3).float().repeat(2)[:, None]
    strength = scale * math.sqrt(hidden / 2)
    first_name = d.TOKEN_ID[d.NAMES[0]]

    model.embed.copy_(1.4 * scale * torch.randn(len(d.VOCABULARY), dim) @ own + strength * common
                      + 0.1 * scale * torch.randn_like(model.embed))
    model.embed[first_name:first_name + len(d.NAMES)] += strength * name
    gather, lookup = model.layers
    for layer in (gather, lookup):
        for weight in (layer.q_proj, layer.k_proj, layer.o_proj):
            weight.mul_(noise)
        layer.v_proj.copy_(own.repeat(layer.kv_heads, 1))
    gather.k_proj += near.repeat(gather.kv_heads)[:, None] * name
    gather.q_proj += near.repeat(gather.heads)[:, None] * common
    gather.o_proj *= scale
    lookup.k_proj += match * (still * gathered).repeat(lookup.kv_heads, 1)
    lookup.q_proj += match * (still * gathered).repeat(lookup.heads, 1)
    for head in (0, 2):
        columns = slice(head * dim, (head + 1) * dim)
        gather.o_proj[:, columns] += scale * gathered.T
        lookup.o_proj[:, columns] += own.T


class Batches:
    """Random directories with questions after them, made on the device."""

    def __init__(self, device, seed):
        self.device = device
        self.random = torch.Generator(device=device).manual_seed(seed)

    def draw(self, high, *shape):
        return torch.randint(high, shape, generator=self.random, device=self.device)

    def make_facts(self, rows, count):
        """Token ids [rows, count, FACT_TOKENS]: names differ within a row."""
        order = torch.rand(rows, len(d.NAMES), generator=self.random, device=self.device).argsort(1)
        words = [order[:, :count] + d.TOKEN_ID[d.NAMES[0]]]
        words.append(torch.full_like(words[0], d.TOKEN_ID[":"]))
        for pool in d.VALUES:
            words.append(self.draw(len(pool), rows, count) + d.TOKEN_ID[pool[0]])
        words.append(torch.full_like(words[0], d.TOKEN_ID["."]))
        return torch.stack(words, -1)

    def make(self, rows, count, tokens):
        """Returns tokens [rows, about `tokens`] and the mask of those whose next word is an answer's."""
        facts = self.make_facts(rows, count)
        each = 1 + d.FACT_TOKENS
        questions = (tokens - 1 - count * d.FACT_TOKENS) // each
        asked = facts.gather(1, self.draw(count, rows, questions, 1).expand(-1, -1, d.FACT_TOKENS))
        asked = torch.cat((torch.full_like(asked[..., :1], d.TOKEN_ID["?"]), asked), -1)
        start = torch.full((rows, 1), d.TOKEN_ID["<s>"], device=self.device)
        whole = torch.cat((start, facts.flatten(1), asked.flatten(1)), 1)
        picked = torch.zeros(whole.shape[1] - 1, dtype=torch.bool, device=self.device)
        at = 1 + count * d.FACT_TOKENS + torch.arange(questions, device=self.device) * each
        for offset in range(d.QUESTION_TOKENS - 1, d.QUESTION_TOKENS - 1 + d.ANSWER_TOKENS):
            picked[at + offset] = True
        return whole, picked


def evaluate(model, batches, facts, tokens, rows):
    """The share of questions whose four answer words are all right."""
    right = 0.0
    with torch.no_grad():
        for _ in range(rows):
            whole, picked = batches.make(1, facts, tokens)
            good = model(whole[:, :-1], picked).argmax(-1) == whole[:, 1:][:, picked]
            right += good.view(-1, d.ANSWER_TOKENS).all(-1).float().mean().item()
    return right / rows


def learning_rate(step, steps, highest, last):
    """Fifty steps of warming up, then half a cosine."""
    wave = (1 + math.cos(math.pi * step / steps)) / 2
    return min((step + 1) / 50, 1) * (last + (highest - last) * wave)


def train_stage(model, batches, stage, started):
    least, most, tokens, rows, steps, highest, last = stage
    optimizer = torch.optim.AdamW(model.parameters(), lr=highest, betas=(0.9, 0.98), weight_decay=0.05)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, highest, last)
        whole, picked = batches.make(rows, int(np.random.randint(least, most + 1)), tokens)
        logits = model(whole[:, :-1], picked)
        loss = F.cross_entropy(logits.flatten(0, 1), whole[:, 1:][:, picked].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 49:
            share = evaluate(model, batches, most, tokens, 2)
            print(f"{time.time() - started:6.0f} s  facts {least}-{most}  step {step + 1:4d}  "
                  f"loss {loss.item():.4f}  right {share:.4f}", flush=True)


def tensors_of(model):
    """The weights under their Hugging Face names."""
    yield "model.embed_tokens.weight", model.embed
    for i, layer in enumerate(model.layers):
        for name, value in layer.named_parameters():
            room = "self_attn." if name[:2] in ("q_", "k_", "v_", "o_") else "mlp."
            yield f"model.layers.{i}.{'' if 'norm' in name else room}{name}.weight", value
    yield "model.norm.weight", model.norm


def write_safetensors(path, tensors):
    """Eight bytes of header length, a JSON header, then the raw values, here in bfloat16."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, value in tensors:
        blob = value.detach().to(torch.bfloat16).cpu().contiguous().view(torch.int16).numpy().tobytes()
        header[name] = {"dtype": "BF16", "shape": list(value.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def save(model, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(CONFIG, out, indent=2)
        out.write("\n")
    with open(os.path.join(folder, "tokenizer.json"), "w") as out:
        out.write(d.tokenizer_json() + "\n")
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors_of(model))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for the model")
    parser.add_argument("--stages", type=int, default=len(STAGES), help="train the first stages only")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = all")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Llama(CONFIG)
    with torch.no_grad():
        start_near_lookup(model)
    model.to(device)
    print(f"device {device}, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    batches, started = Batches(device, args.seed), time.time()
    for stage in STAGES[:args.stages]:
        train_stage(model, batches, stage, started)
        save(model, args.out)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(torch.bfloat16))  # judge what was saved
    least, most, tokens = STAGES[args.stages - 1][:3]
    unseen = Batches(device, args.seed + 1000)
    for facts in (least, (least + most) // 2, most):
        share = evaluate(model, unseen, facts, tokens, 50 if device == "cuda" else 8)
        print(f"unseen directories of {facts} facts: {share:.4f} of the answers right", flush=True)
    print(f"{time.time() - started:.0f} s in all")


if __name__ == "__main__":
    main()
