#include "weights.h"

#include "safetensors.h"

namespace serve {
namespace {

struct Part {
    std::string name;
    int64_t out;
};

// One product for parts that share their input: their weights (and biases) stacked by rows.
Linear read_linear(const WeightFiles& files, const std::vector<Part>& parts, int64_t in,
                   bool bias) {
    Linear layer;
    layer.in = in;
    for (const Part& part : parts) {
        const auto weight = files.read(part.name + ".weight", {part.out, in});
        layer.weight.insert(layer.weight.end(), weight.begin(), weight.end());
        layer.out += part.out;
        if (!bias)
            continue;
        const auto values = files.read(part.name + ".bias", {part.out});
        layer.bias.insert(layer.bias.end(), values.begin(), values.end());
    }
    return layer;
}

LayerWeights read_layer(const WeightFiles& files, const std::string& at, const ModelConfig& c) {
    const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
    const std::string attn = at + "self_attn.", mlp = at + "mlp.";
    LayerWeights layer;
    layer.attention_norm = files.read(at + "input_layernorm.weight", {c.hidden_size});
    layer.mlp_norm = files.read(at + "post_attention_layernorm.weight", {c.hidden_size});
    layer.qkv =
        read_linear(files, {{attn + "q_proj", q}, {attn + "k_proj", kv}, {attn + "v_proj", kv}},
                    c.hidden_size, c.qkv_bias);
    layer.output = read_linear(files, {{attn + "o_proj", c.hidden_size}}, q, c.output_bias);
    layer.gate_up = read_linear(
        files, {{mlp + "gate_proj", c.intermediate_size}, {mlp + "up_proj", c.intermediate_size}},
        c.hidden_size, c.mlp_bias);
    layer.down =
        read_linear(files, {{mlp + "down_proj", c.hidden_size}}, c.intermediate_size, c.mlp_bias);
    return layer;
}

}  // namespace

Weights read_weights(const std::string& folder, const ModelConfig& config) {
    const WeightFiles files(folder);
    const std::vector<int64_t> table = {config.vocab_size, config.hidden_size};
    Weights weights;
    weights.embedding = files.read("model.embed_tokens.weight", table);
    for (int64_t i = 0; i < config.num_layers; ++i)
        weights.layers.push_back(
            read_layer(files, "model.layers." + std::to_string(i) + ".", config));
    weights.final_norm = files.read("model.norm.weight", {config.hidden_size});
    weights.head = {config.hidden_size, config.vocab_size, {}, {}};
    weights.head.weight =
        config.tied_embeddings ? weights.embedding : files.read("lm_head.weight", table);
    return weights;
}

}  // namespace serve
