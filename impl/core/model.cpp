#include "impl/core/model.h"

#include <algorithm>
#include <utility>

namespace relayattn {
namespace {

// Whether what `source` keeps is enough for a layer that looks through `window`.
bool keeps_enough(const Window& source, const Window& window) {
    const int64_t kept = kept_tokens(source);
    if (kept < 0)
        return true;
    return window.kind != WindowKind::none && kept_tokens(window) >= 0 &&
           kept_tokens(window) <= kept;
}

Result<void> check_source(const std::vector<Layer>& layers, int64_t index, const Layer& layer) {
    if (layer.kv_layer < 0)
        return {};
    if (layer.kv_layer >= index)
        return error(Code::argument, "kv_layer is ", layer.kv_layer, " for layer ", index,
                     "; it must be a lower layer");
    const Layer& source = layers[static_cast<size_t>(layer.kv_layer)];
    if (!source.is_set || source.kv_layer >= 0)
        return error(Code::argument, "kv_layer is ", layer.kv_layer,
                     "; it must be a layer that is set and has its own KV");
    if (source.kv != layer.kv)
        return error(Code::argument, "kv_layer is ", layer.kv_layer,
                     "; its num_kv_heads, head dims and dtypes differ from this layer's");
    if (!keeps_enough(source.window, layer.window))
        return error(Code::argument, "window is ", layer.window.size, " over kv_layer ",
                     layer.kv_layer, ", which keeps only ", kept_tokens(source.window), " tokens");
    return {};
}

std::vector<LayerGroup> find_groups(std::vector<Layer>& layers) {
    std::vector<LayerGroup> groups;
    const auto find = [&](const Layer& layer, int64_t pages_of) {
        const auto same = [&](const LayerGroup& group) {
            const int64_t own = &group - groups.data();
            return group.kv == layer.kv && group.window == layer.window &&
                   (pages_of < 0 ? group.pages_of == own : group.pages_of == pages_of);
        };
        return std::find_if(groups.begin(), groups.end(), same) - groups.begin();
    };
    for (size_t i = 0; i < layers.size(); ++i) {
        Layer& layer = layers[i];
        if (!layer.is_set)
            continue;
        const int64_t source =
            layer.kv_layer < 0 ? -1 : layers[static_cast<size_t>(layer.kv_layer)].group;
        layer.group = find(layer, source);
        const auto count = static_cast<int64_t>(groups.size());
        if (layer.group == count)
            groups.push_back({layer.kv, layer.window, source < 0 ? count : source, 0, {}});
        LayerGroup& group = groups[static_cast<size_t>(layer.group)];
        group.max_q_heads = std::max(group.max_q_heads, layer.num_q_heads);
        group.layers.push_back(static_cast<int64_t>(i));
    }
    return groups;
}

}  // namespace

Result<void> Model::set_layers(int64_t first, int64_t count, const Layer& layer) {
    std::vector<Layer> layers = layers_;
    for (int64_t i = first; i < first + count; ++i) {
        if (Result<void> ok = check_source(layers, i, layer); !ok)
            return ok;
        layers[static_cast<size_t>(i)] = layer;
    }
    // A layer that was set before must still fit what it borrows.
    for (int64_t i = 0; i < num_layers(); ++i) {
        if (Result<void> ok = check_source(layers, i, layers[static_cast<size_t>(i)]); !ok)
            return error(Code::argument, "layer ", i, " borrows KV: ", ok.error().text);
    }
    groups_ = find_groups(layers);
    layers_ = std::move(layers);
    return {};
}

int64_t Model::source_layer(int64_t index) const {
    return layer(index).kv_layer < 0 ? index : layer(index).kv_layer;
}

int64_t kept_tokens(const Window& window) {
    if (window.kind == WindowKind::none || window.retain < 0)
        return -1;
    return window.retain == 0 ? window.size : window.retain;
}

int64_t first_visible(const Window& window, int64_t position) {
    switch (window.kind) {
        case WindowKind::none:
            break;
        case WindowKind::sliding:
            return std::max<int64_t>(0, position - window.size + 1);
        case WindowKind::chunked:
            return position / window.size * window.size;
    }
    return 0;
}

}  // namespace relayattn
