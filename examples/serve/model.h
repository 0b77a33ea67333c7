#pragma once

#include <string>
#include <vector>

#include "attention.h"
#include "config.h"
#include "rope.h"
#include "weights.h"

namespace serve {

// The new tokens of one sequence in a step, and whether logits are wanted after each or after the
// last.
struct StepPart {
    Sequence* sequence;
    std::vector<int32_t> tokens;
    bool all_logits = false;
};

// A decoder of the Llama, Mistral or Qwen2 family.
class Model {
  public:
    explicit Model(const std::string& folder);
    const ModelConfig& config() const { return config_; }
    // Runs one step of many sequences; logits_out is [wanted rows][vocabulary]. Returns false, with
    // nothing changed, when the cache has too few free pages.
    bool step(Attention& attention, const std::vector<StepPart>& parts,
              std::vector<float>& logits_out);
    // Gives a sequence many tokens, some at a time. Throws if the cache is full.
    void prefill(Attention& attention, Sequence& sequence, const std::vector<int32_t>& tokens,
                 int64_t chunk);

  private:
    struct Tokens;
    void run_layer(int64_t layer, Attention& attention, int64_t count);
    void write_logits(const std::vector<int64_t>& rows, std::vector<float>& logits_out);

    ModelConfig config_;
    Rope rope_;
    Weights weights_;
    std::vector<float> hidden_, normed_, qkv_, mixed_, wide_, narrow_, cos_, sin_;
};

}  // namespace serve
