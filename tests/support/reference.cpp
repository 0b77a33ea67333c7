#include "reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace relayattn::test {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

struct Scoring {
    double scale, softcap;
};

Scoring scoring_of(const ReferenceCall& call) {
    const LayerSpec& layer = call.layer;
    double scale = 1 / std::sqrt(static_cast<double>(layer.dim_k));
    if (call.scale != 0)
        scale = call.scale;
    else if (layer.scale != 0)
        scale = layer.scale;
    return {scale, call.softcap != 0 ? call.softcap : layer.softcap};
}

double dot(const float* a, const float* b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

// One query head of one new token; visible = the key positions it may see.
void attend_head(const ReferenceCall& call, const ReferenceRow& row, int64_t query, int64_t head,
                 const std::vector<int64_t>& visible, const float* q, double* out, double* lse) {
    const LayerSpec& layer = call.layer;
    const auto [scale, softcap] = scoring_of(call);
    const int64_t kv_head = head / (layer.q_heads / layer.kv_heads);
    const auto kv_index = static_cast<size_t>(call.kv_index);
    std::vector<double> scores;
    double top = layer.sinks ? call.sinks[static_cast<size_t>(head)] : minus_infinity;
    for (int64_t key : visible) {
        const Token& token = *row.chain[static_cast<size_t>(key)];
        double score =
            scale *
            dot(q, &token.k[kv_index][static_cast<size_t>(kv_head * layer.dim_k)], layer.dim_k);
        if (softcap > 0)
            score = softcap * std::tanh(score / softcap);
        if (layer.alibi)
            score -= static_cast<double>(call.slopes[static_cast<size_t>(head)]) *
                     std::abs(static_cast<double>(key - (row.length + query)));
        scores.push_back(score);
        top = std::max(top, score);
    }
    std::fill_n(out, layer.dim_v, 0.0);
    *lse = minus_infinity;
    if (top == minus_infinity)
        return;
    double sum = layer.sinks ? std::exp(call.sinks[static_cast<size_t>(head)] - top) : 0;
    for (size_t i = 0; i < visible.size(); ++i) {
        const double weight = std::exp(scores[i] - top);
        const Token& token = *row.chain[static_cast<size_t>(visible[i])];
        const float* v = &token.v[kv_index][static_cast<size_t>(kv_head * layer.dim_v)];
        sum += weight;
        for (int64_t d = 0; d < layer.dim_v; ++d)
            out[d] += weight * static_cast<double>(v[d]);
    }
    for (int64_t d = 0; d < layer.dim_v; ++d)
        out[d] /= sum;
    *lse = top + std::log(sum);
}

}  // namespace

bool is_visible(const LayerSpec& layer, const ReferenceRow& row, int64_t query, int64_t key) {
    const int64_t position = row.length + query;
    const bool absent = (row.flags & RA_ROW_NEW_ABSENT) != 0;
    const int64_t end = absent ? row.length : row.length + row.q_len;
    int64_t high = position + 1;
    if (absent || (row.flags & RA_ROW_NONCAUSAL) != 0 || row.has_tree)
        high = end;
    for (const Span& span : row.spans)
        if (query >= span.begin && query < span.end)
            high = std::max(high, row.length + span.end);
    int64_t low = 0;
    if (layer.window_kind == RA_WINDOW_SLIDING)
        low = position - layer.window + 1;
    if (layer.window_kind == RA_WINDOW_CHUNKED) {
        low = position / layer.window * layer.window;
        high = std::min(high, low + layer.window);
    }
    if (key < low || key >= high)
        return false;
    if (!row.has_tree || key < row.length)
        return true;
    return row.tree[static_cast<size_t>(query)][static_cast<size_t>(key - row.length)];
}

ReferenceResult attend(const ReferenceCall& call, const std::vector<ReferenceRow>& rows) {
    const LayerSpec& layer = call.layer;
    int64_t tokens = 0;
    for (const ReferenceRow& row : rows)
        tokens += row.q_len;
    ReferenceResult result;
    result.out.resize(static_cast<size_t>(tokens * layer.q_heads * layer.dim_v));
    result.lse.resize(static_cast<size_t>(tokens * layer.q_heads));
    int64_t token = 0;
    for (const ReferenceRow& row : rows) {
        for (int64_t query = 0; query < row.q_len; ++query, ++token) {
            std::vector<int64_t> visible;
            for (int64_t key = 0; key < row.length + row.q_len; ++key)
                if (is_visible(layer, row, query, key))
                    visible.push_back(key);
            for (int64_t head = 0; head < layer.q_heads; ++head) {
                const int64_t at = token * layer.q_heads + head;
                attend_head(call, row, query, head, visible,
                            &call.q[static_cast<size_t>(at * layer.dim_k)],
                            &result.out[static_cast<size_t>(at * layer.dim_v)],
                            &result.lse[static_cast<size_t>(at)]);
            }
        }
    }
    return result;
}

PartialState merge(const PartialState& a, const PartialState& b) {
    const bool a_empty = std::isinf(a.lse), b_empty = std::isinf(b.lse);
    if (a_empty && b_empty)
        return {std::vector<double>(a.out.size(), 0.0), minus_infinity};
    if (a_empty)
        return b;
    if (b_empty)
        return a;
    const double top = std::max(a.lse, b.lse);
    const double wa = std::exp(a.lse - top), wb = std::exp(b.lse - top);
    PartialState whole{a.out, top + std::log(wa + wb)};
    for (size_t i = 0; i < whole.out.size(); ++i)
        whole.out[i] = (wa * a.out[i] + wb * b.out[i]) / (wa + wb);
    return whole;
}

}  // namespace relayattn::test
