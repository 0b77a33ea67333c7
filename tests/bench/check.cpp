#include "check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>

#include "scene.h"

namespace relayattn::bench {
namespace {

// The numbers of the keys that a row's last new token sees.
std::vector<int64_t> visible_tokens(const Shape& shape, int64_t index) {
    const Row& row = shape.rows[static_cast<size_t>(index)];
    std::vector<int64_t> tokens;
    for (int64_t p = row.prefix; p >= 0; p = shape.prefixes[static_cast<size_t>(p)].parent)
        for (int64_t t = 0; t < shape.prefixes[static_cast<size_t>(p)].tokens; ++t)
            tokens.push_back(Scene::prefix_token(shape, p, t));
    for (int64_t t = 0; t < row.tail; ++t)
        tokens.push_back(Scene::tail_token(shape, index, t));
    return tokens;
}

double dot(const float* a, const float* b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

std::vector<double> attend_one(const Shape& shape, const Inputs& inputs,
                               const std::vector<int64_t>& tokens, int64_t head) {
    const int64_t dim = shape.head_dim;
    const int64_t kv_at = head / (shape.q_heads / shape.kv_heads) * dim;
    const float* q = inputs.values(Stream::q, tokens.back()) + head * dim;
    std::vector<double> scores;
    scores.reserve(tokens.size());
    for (const int64_t token : tokens)
        scores.push_back(dot(q, inputs.values(Stream::k, token) + kv_at, dim) /
                         std::sqrt(static_cast<double>(dim)));
    const double largest = *std::ranges::max_element(scores);
    std::vector<double> out(static_cast<size_t>(dim), 0.0);
    double sum = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
        const double weight = std::exp(scores[i] - largest);
        const float* v = inputs.values(Stream::v, tokens[i]) + kv_at;
        for (size_t d = 0; d < out.size(); ++d)
            out[d] += weight * static_cast<double>(v[d]);
        sum += weight;
    }
    for (double& value : out)
        value /= sum;
    return out;
}

}  // namespace

double relative_error(const Shape& shape, const Inputs& inputs, const std::vector<float>& out) {
    const int64_t last_row = shape.num_rows() - 1, last_head = shape.q_heads - 1;
    double difference = 0, size = 0;
    for (const int64_t row : std::set<int64_t>{0, last_row / 2, last_row}) {
        const std::vector<int64_t> tokens = visible_tokens(shape, row);
        for (const int64_t head :
             std::set<int64_t>{0, last_head / 3, 2 * last_head / 3, last_head}) {
            const std::vector<double> expected = attend_one(shape, inputs, tokens, head);
            const int64_t token = (row + 1) * shape.q_len - 1;
            const float* got = out.data() + (token * shape.q_heads + head) * shape.head_dim;
            for (size_t d = 0; d < expected.size(); ++d) {
                const double off = static_cast<double>(got[d]) - expected[d];
                difference += off * off;
                size += expected[d] * expected[d];
            }
        }
    }
    return std::sqrt(difference / size);
}

}  // namespace relayattn::bench
