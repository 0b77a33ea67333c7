#include "config.h"

#include <fstream>
#include <stdexcept>

#include "config_reader.h"

namespace serve {
namespace {

std::vector<int32_t> read_end_tokens(const ConfigReader& reader) {
    std::vector<int32_t> tokens;
    if (!reader.has("eos_token_id"))
        return tokens;
    const nlohmann::json& value = reader.at("eos_token_id");
    for (const nlohmann::json& token : value.is_array() ? value : nlohmann::json::array({value}))
        if (token.is_number_integer())
            tokens.push_back(token.get<int32_t>());
    return tokens;
}

// Newer files list layer_types; older ones say it by family: Mistral's window is on every layer,
// Qwen2's only if use_sliding_window, from layer max_window_layers on.
bool layer_is_windowed(const ConfigReader& reader, const ModelConfig& config, int64_t layer) {
    if (reader.has("layer_types")) {
        const nlohmann::json& types = reader.at("layer_types");
        if (!types.is_array() || static_cast<int64_t>(types.size()) != config.num_layers)
            reader.fail("layer_types", "must list one type for each layer");
        return types[static_cast<size_t>(layer)] == "sliding_attention";
    }
    return config.family == "mistral" || layer >= reader.integer("max_window_layers", 0);
}

std::vector<int64_t> read_windows(const ConfigReader& reader, const ModelConfig& config) {
    std::vector<int64_t> windows(static_cast<size_t>(config.num_layers), 0);
    const bool wanted = config.family == "mistral" ||
                        (config.family == "qwen2" && reader.boolean("use_sliding_window", false));
    if (!wanted || !reader.has("sliding_window"))
        return windows;
    const int64_t window = reader.positive("sliding_window");
    for (int64_t layer = 0; layer < config.num_layers; ++layer)
        if (layer_is_windowed(reader, config, layer))
            windows[static_cast<size_t>(layer)] = window;
    return windows;
}

void read_biases(const ConfigReader& reader, ModelConfig& config) {
    const bool llama_bias = config.family == "llama" && reader.boolean("attention_bias", false);
    config.qkv_bias = config.family == "qwen2" || llama_bias;
    config.output_bias = llama_bias;
    config.mlp_bias = config.family == "llama" && reader.boolean("mlp_bias", false);
    config.tied_embeddings = reader.boolean("tie_word_embeddings", false);
}

void read_sizes(const ConfigReader& reader, ModelConfig& config) {
    config.vocab_size = reader.positive("vocab_size");
    config.hidden_size = reader.positive("hidden_size");
    config.intermediate_size = reader.positive("intermediate_size");
    config.num_layers = reader.positive("num_hidden_layers");
    config.num_heads = reader.positive("num_attention_heads");
    config.num_kv_heads = reader.positive("num_key_value_heads", config.num_heads);
    config.head_dim = reader.positive("head_dim", config.hidden_size / config.num_heads);
    config.max_length = reader.positive("max_position_embeddings");
    config.norm_epsilon = static_cast<float>(reader.number("rms_norm_eps", 1e-6));
    if (config.num_heads % config.num_kv_heads != 0)
        reader.fail("num_attention_heads", "must be a multiple of num_key_value_heads");
    if (config.head_dim % 2 != 0)
        reader.fail("head_dim", "must be even, because RoPE turns pairs");
}

std::string read_family(const ConfigReader& reader) {
    const std::string family = reader.text("model_type", "");
    if (family != "llama" && family != "mistral" && family != "qwen2")
        reader.fail("model_type", "this program runs llama, mistral and qwen2");
    const std::string activation = reader.text("hidden_act", "silu");
    if (activation != "silu")
        reader.fail("hidden_act", "this program computes silu");
    return family;
}

}  // namespace

ModelConfig read_config(const std::string& folder) {
    const ConfigReader reader(folder + "/config.json");
    ModelConfig config;
    config.family = read_family(reader);
    read_sizes(reader, config);
    read_biases(reader, config);
    config.layer_window = read_windows(reader, config);
    config.end_tokens = read_end_tokens(reader);
    config.start_token = static_cast<int32_t>(reader.integer("bos_token_id", -1));
    config.rope = read_rope_config(reader, config.max_length);
    return config;
}

}  // namespace serve
