// The step in float64, knowing positions but neither pages nor items.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/step.h"

namespace relayattn::test {
namespace {

size_t at(int64_t i) {
    return static_cast<size_t>(i);
}

}  // namespace

bool Step::sees(int64_t token, int64_t position) const {
    const QueryToken& t = work_.tokens[at(token)];
    if (position < t.visible_begin || position >= t.visible_end)
        return false;
    const int64_t bit = position - t.new_begin;
    return !options_.tree || bit < 0 ||
           (tree_mask_[at(token * k_tree_stride + bit / 8)] >> (bit % 8) & 1) != 0;
}

double Step::score(int64_t token, int64_t head, int64_t key_row, int64_t position) const {
    const KvGeometry& kv = options_.kv;
    const int64_t kv_head = head / (options_.num_q_heads / kv.num_kv_heads);
    const float* q = q_.data() + (token * options_.num_q_heads + head) * kv.head_dim_k;
    const float* k = k_.data() + (key_row * kv.num_kv_heads + kv_head) * kv.head_dim_k;
    double s = 0;
    for (int64_t d = 0; d < kv.head_dim_k; ++d)
        s += static_cast<double>(q[d]) * static_cast<double>(k[d]);
    s *= static_cast<double>(options_.scale);
    const auto cap = static_cast<double>(options_.softcap);
    if (cap > 0)
        s = cap * std::tanh(s / cap);
    if (options_.alibi)
        s -= static_cast<double>(slopes_[at(head)]) *
             std::abs(static_cast<double>(position - work_.tokens[at(token)].position));
    return s;
}

void Step::exact_row(int64_t token, int64_t head, double* out, double& lse) const {
    const KvGeometry& kv = options_.kv;
    const int64_t kv_head = head / (options_.num_q_heads / kv.num_kv_heads);
    const Run& tail = runs_[at(rows_[at(token)].sequence + 1)];
    double sum = options_.sinks ? std::exp(static_cast<double>(sinks_[at(head)])) : 0;
    for (int64_t p = 0; p < options_.prefix + tail.length; ++p) {
        const int64_t row = p < options_.prefix ? p : tail.first_row + p - options_.prefix;
        if (!sees(token, p))
            continue;
        const double weight = std::exp(score(token, head, row, p));
        sum += weight;
        for (int64_t d = 0; d < kv.head_dim_v; ++d)
            out[d] += weight * static_cast<double>(
                                   v_[at((row * kv.num_kv_heads + kv_head) * kv.head_dim_v + d)]);
    }
    for (int64_t d = 0; d < kv.head_dim_v && sum > 0; ++d)
        out[d] /= sum;
    lse = sum > 0 ? std::log(sum) : -std::numeric_limits<double>::infinity();
}

Step::Exact Step::exact() const {
    const int64_t rows = (num_tokens() + options_.padded) * options_.num_q_heads;
    Exact exact;
    exact.out.resize(at(rows * options_.kv.head_dim_v));
    exact.lse.assign(at(rows), -std::numeric_limits<double>::infinity());
    for (int64_t i = 0; i < num_tokens() * options_.num_q_heads; ++i)
        exact_row(i / options_.num_q_heads, i % options_.num_q_heads,
                  exact.out.data() + i * options_.kv.head_dim_v, exact.lse[at(i)]);
    return exact;
}

}  // namespace relayattn::test
