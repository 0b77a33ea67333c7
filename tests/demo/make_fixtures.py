#!/usr/bin/env python3
"""Makes tests/demo/fixtures: tiny random models and the logits that Hugging Face transformers gives for them.

    pip install torch==2.8.0 'transformers==4.57.6' && python3 tests/demo/make_fixtures.py

The fixtures are committed; the tests read them and never need PyTorch. Weights are drawn wide, so that
attention is far from uniform and a wrong mask or rotation moves the logits by much more than the tolerance.
Logits are computed in float32 with transformers' plain ("eager") attention, from the weights as stored.
"""

import json
import os
import shutil

import torch
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM,
                          Qwen2Config, Qwen2ForCausalLM)

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
TOKENS = 56
SMALL = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=32, max_position_embeddings=128, rms_norm_eps=1e-5,
             initializer_range=0.3, bos_token_id=1, eos_token_id=2, pad_token_id=None,
             attn_implementation="eager")
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32)

# name: configuration class, model class, stored type, shard size, settings beside SMALL
MODELS = {
    "llama": (LlamaConfig, LlamaForCausalLM, torch.float32, "1GB",
              dict(rope_theta=5e3, rope_scaling=LLAMA3)),
    "llama_linear": (LlamaConfig, LlamaForCausalLM, torch.float16, "1GB",
                     dict(rope_scaling=dict(rope_type="linear", factor=2.0), attention_bias=True,
                          mlp_bias=True, num_key_value_heads=4, num_hidden_layers=1)),
    "llama_yarn": (LlamaConfig, LlamaForCausalLM, torch.bfloat16, "1GB",
                   dict(rope_scaling=YARN, tie_word_embeddings=True, num_hidden_layers=1)),
    "llama_dynamic": (LlamaConfig, LlamaForCausalLM, torch.bfloat16, "1GB",
                      dict(rope_scaling=dict(rope_type="dynamic", factor=2.0), tie_word_embeddings=True,
                           num_key_value_heads=1, num_hidden_layers=1)),
    "mistral": (MistralConfig, MistralForCausalLM, torch.bfloat16, "16KB", dict(sliding_window=9)),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, torch.float16, "1GB",
              dict(use_sliding_window=True, sliding_window=12, max_window_layers=1,
                   tie_word_embeddings=True, rope_theta=1e6)),
}


def randomise(model):
    """Norms and biases start as ones and zeros, which would hide a mistake in them."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.copy_(1 + 0.2 * torch.randn_like(value))
            elif name.endswith("bias"):
                value.copy_(0.3 * torch.randn_like(value))


def make(name, config_class, model_class, stored, shard, settings):
    torch.manual_seed(sum(name.encode()))
    settings = {**SMALL, **settings}
    head_dim = settings["head_dim"]
    config = config_class(**settings)
    config.head_dim = head_dim  # Qwen2's configuration class does not list it, its model reads it
    model = model_class(config)
    randomise(model)
    model = model.to(stored)
    folder = os.path.join(FOLDER, name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size=shard)
    os.remove(os.path.join(folder, "generation_config.json"))
    # Read back, because to(stored) has rounded RoPE's rates too, and only the weights are stored so.
    model = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = torch.randint(0, settings["vocab_size"], (1, TOKENS))
    with torch.no_grad():
        logits = model(tokens).logits[0].contiguous()
    save_file({"logits": logits}, os.path.join(folder, "expected.safetensors"))
    with open(os.path.join(folder, "tokens.json"), "w") as out:
        json.dump(tokens[0].tolist(), out)
        out.write("\n")
    for file in os.listdir(folder):
        os.chmod(os.path.join(folder, file), 0o644)
    print(f"{name}: logits from {logits.min():.2f} to {logits.max():.2f}, spread {logits.std():.2f}")


def main():
    for name, model in MODELS.items():
        make(name, *model)


if __name__ == "__main__":
    main()
