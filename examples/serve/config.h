#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace serve {

enum class RopeKind { plain, linear, llama3, yarn };

struct RopeConfig {
    RopeKind kind = RopeKind::plain;
    double theta = 10000;
    double factor = 1;
    double low_freq_factor = 1, high_freq_factor = 4;  // llama3
    double beta_fast = 32, beta_slow = 1;              // yarn
    double attention_factor = 1;                       // multiplies cos and sin; yarn
    bool truncate = true;                              // yarn
    int64_t original_length = 0;
};

// What config.json of a Llama, Mistral or Qwen2 model says, in one form.
struct ModelConfig {
    std::string family;
    int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_layers = 0;
    int64_t num_heads = 0, num_kv_heads = 0, head_dim = 0, max_length = 0;
    float norm_epsilon = 1e-6f;
    bool qkv_bias = false, output_bias = false, mlp_bias = false, tied_embeddings = false;
    std::vector<int64_t> layer_window;  // per layer: keys a query sees, itself included; 0 = all
    std::vector<int32_t> end_tokens;    // eos_token_id
    int32_t start_token = -1;           // bos_token_id, -1 = none
    RopeConfig rope;
};

// Reads FOLDER/config.json; throws std::runtime_error naming the key that is missing or wrong.
ModelConfig read_config(const std::string& folder);

}  // namespace serve
