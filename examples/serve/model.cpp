#include "model.h"

#include <algorithm>
#include <stdexcept>

namespace serve {

// The step's tokens in one list, sequence after sequence.
struct Model::Tokens {
    std::vector<int32_t> ids;
    std::vector<int64_t> positions, wanted;  // wanted: indices into ids

    explicit Tokens(const std::vector<StepPart>& parts) {
        for (const StepPart& part : parts)
            for (size_t i = 0; i < part.tokens.size(); ++i) {
                if (part.all_logits || i + 1 == part.tokens.size())
                    wanted.push_back(static_cast<int64_t>(ids.size()));
                ids.push_back(part.tokens[i]);
                positions.push_back(part.sequence->length + static_cast<int64_t>(i));
            }
    }
};

Model::Model(const std::string& folder)
    : config_(read_config(folder)), rope_(config_), weights_(read_weights(folder, config_)) {}

bool Model::step(Attention& attention, const std::vector<StepPart>& parts,
                 std::vector<float>& logits_out) {
    std::vector<Sequence*> sequences;
    std::vector<int64_t> counts;
    for (const StepPart& part : parts) {
        const auto count = static_cast<int64_t>(part.tokens.size());
        if (part.sequence->length + count > config_.max_length)
            throw std::runtime_error("a sequence would reach " +
                                     std::to_string(part.sequence->length + count) +
                                     " tokens, the model's max_position_embeddings is " +
                                     std::to_string(config_.max_length));
        sequences.push_back(part.sequence);
        counts.push_back(count);
    }
    if (!attention.begin(sequences, counts))
        return false;
    const Tokens tokens(parts);
    const auto width = static_cast<size_t>(config_.hidden_size);
    hidden_.resize(tokens.ids.size() * width);
    for (size_t i = 0; i < tokens.ids.size(); ++i)
        std::copy_n(weights_.embedding.data() + static_cast<size_t>(tokens.ids[i]) * width, width,
                    hidden_.data() + i * width);
    rope_.angles(tokens.positions, cos_, sin_);
    for (int64_t layer = 0; layer < config_.num_layers; ++layer)
        run_layer(layer, attention, static_cast<int64_t>(tokens.ids.size()));
    attention.commit();
    write_logits(tokens.wanted, logits_out);
    return true;
}

void Model::run_layer(int64_t layer, Attention& attention, int64_t count) {
    const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
    const auto rows = static_cast<size_t>(count);
    normed_.resize(hidden_.size());
    qkv_.resize(rows * static_cast<size_t>(w.qkv.out));
    mixed_.resize(rows * static_cast<size_t>(w.output.in));
    wide_.resize(rows * static_cast<size_t>(w.gate_up.out));
    narrow_.resize(rows * static_cast<size_t>(w.down.in));
    rms_norm(hidden_.data(), count, w.attention_norm, config_.norm_epsilon, normed_.data());
    w.qkv.apply(normed_.data(), count, qkv_.data());
    const int64_t half = config_.head_dim / 2;
    for (int64_t i = 0; i < count; ++i)  // q and k stand side by side in a row
        rotate_heads(qkv_.data() + i * w.qkv.out, config_.num_heads + config_.num_kv_heads,
                     config_.head_dim, cos_.data() + i * half, sin_.data() + i * half);
    attention.attend(layer, qkv_.data(), mixed_.data());
    w.output.add(mixed_.data(), count, hidden_.data());
    rms_norm(hidden_.data(), count, w.mlp_norm, config_.norm_epsilon, normed_.data());
    w.gate_up.apply(normed_.data(), count, wide_.data());
    swiglu(wide_.data(), count, w.down.in, narrow_.data());
    w.down.add(narrow_.data(), count, hidden_.data());
}

void Model::write_logits(const std::vector<int64_t>& rows, std::vector<float>& logits_out) {
    const auto width = static_cast<size_t>(config_.hidden_size);
    std::vector<float> picked(rows.size() * width);
    for (size_t i = 0; i < rows.size(); ++i)
        std::copy_n(hidden_.data() + static_cast<size_t>(rows[i]) * width, width,
                    picked.data() + i * width);
    const auto count = static_cast<int64_t>(rows.size());
    std::vector<float> normed(picked.size());
    rms_norm(picked.data(), count, weights_.final_norm, config_.norm_epsilon, normed.data());
    logits_out.resize(rows.size() * static_cast<size_t>(config_.vocab_size));
    weights_.head.apply(normed.data(), count, logits_out.data());
}

void Model::prefill(Attention& attention, Sequence& sequence, const std::vector<int32_t>& tokens,
                    int64_t chunk) {
    std::vector<float> logits;
    for (size_t at = 0; at < tokens.size(); at += static_cast<size_t>(chunk)) {
        const size_t end = std::min(tokens.size(), at + static_cast<size_t>(chunk));
        const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(at);
        const auto last = tokens.begin() + static_cast<std::ptrdiff_t>(end);
        if (!step(attention, {{&sequence, {first, last}}}, logits))
            throw std::runtime_error("the cache has too few pages for a prompt of " +
                                     std::to_string(tokens.size()) + " tokens");
    }
}

}  // namespace serve
