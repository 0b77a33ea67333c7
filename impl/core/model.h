// The layers of a model, and the groups that share page tables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "impl/core/layer.h"
#include "impl/core/result.h"

namespace relayattn {

// Layers with equal KV geometry and window. A group whose layers only read other layers' KV through
// another window has no pages of its own: `pages_of` names the group that has.
struct LayerGroup {
    KvGeometry kv;
    Window window;
    int64_t pages_of = 0;
    int64_t max_q_heads = 0;
    std::vector<int64_t> layers;

    int64_t rows_per_token() const { return max_q_heads / kv.num_kv_heads; }
};

class Model {
  public:
    explicit Model(int64_t num_layers) : layers_(static_cast<size_t>(num_layers)) {}

    int64_t num_layers() const { return static_cast<int64_t>(layers_.size()); }
    const Layer& layer(int64_t index) const { return layers_[static_cast<size_t>(index)]; }
    const std::vector<LayerGroup>& groups() const { return groups_; }

    // Sets layers [first, first + count) to `layer`; what it borrows from must be set before.
    Result<void> set_layers(int64_t first, int64_t count, const Layer& layer);

    // The layer whose pages hold this layer's KV.
    int64_t source_layer(int64_t index) const;

  private:
    std::vector<Layer> layers_;
    std::vector<LayerGroup> groups_;
};

// Tokens that a window keeps behind a sequence's end; -1 = all.
int64_t kept_tokens(const Window& window);

// The first key position that a query at `position` may see.
int64_t first_visible(const Window& window, int64_t position);

}  // namespace relayattn
