#pragma once

#include <string>
#include <vector>

#include "config.h"
#include "layers.h"

namespace serve {

struct LayerWeights {
    std::vector<float> attention_norm, mlp_norm;
    Linear qkv;  // q, k and v in one product: rows of its output are [q | k | v]
    Linear output;
    Linear gate_up;  // rows [gate | up]
    Linear down;
};

struct Weights {
    std::vector<float> embedding;  // [vocab][hidden]
    std::vector<LayerWeights> layers;
    std::vector<float> final_norm;
    Linear head;  // hidden to vocabulary; a copy of the embedding where they are tied
};

// Reads all weights as float32; throws std::runtime_error naming file and tensor.
Weights read_weights(const std::string& folder, const ModelConfig& config);

}  // namespace serve
