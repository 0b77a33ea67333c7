// Attention in float64 over plain lists of tokens: no pages, no runs, no tiles. Slow, and meant to
// be read beside the header.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "shapes.h"

namespace relayattn::test {

// What a token left in the cache: the K and V of each layer that owns any, [kv_heads * dim], as
// rounded to the layer's dtype.
struct Token {
    std::vector<std::vector<float>> k, v;
};
using TokenPtr = std::shared_ptr<const Token>;
using Chain = std::vector<TokenPtr>;

struct Span {
    int64_t begin, end;  // new tokens that see each other
};

// One sequence of a step. `chain` = the committed tokens, then the new ones.
struct ReferenceRow {
    Chain chain;
    int64_t length = 0;  // committed
    int64_t q_len = 0;
    int64_t flags = 0;
    std::vector<Span> spans;
    bool has_tree = false;
    std::vector<std::vector<bool>> tree;  // [q_len][q_len]: may new token i see new token j?
};

struct ReferenceCall {
    LayerSpec layer;
    int64_t kv_index = 0;  // the layer whose K and V are read
    std::vector<float> q;  // [tokens, q_heads, dim_k], the rounded values
    std::vector<float> sinks, slopes;
    float scale = 0, softcap = 0;  // 0 = the layer's
};

struct ReferenceResult {
    std::vector<double> out;  // [tokens, q_heads, dim_v]
    std::vector<double> lse;  // [tokens, q_heads]
};

// May new token `query` of the row see the key at position `key` of its chain?
bool is_visible(const LayerSpec& layer, const ReferenceRow& row, int64_t query, int64_t key);

ReferenceResult attend(const ReferenceCall& call, const std::vector<ReferenceRow>& rows);

struct PartialState {
    std::vector<double> out;
    double lse;
};
// Two parts of one softmax, joined; lse = +-inf marks an empty part.
PartialState merge(const PartialState& a, const PartialState& b);

}  // namespace relayattn::test
