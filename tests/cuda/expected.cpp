#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "problem.h"

namespace relayattn::test {
namespace {

struct Key {
    const float* k;
    const float* v;
    int32_t position;
};

class Reference {
  public:
    explicit Reference(const Problem& problem)
        : problem_(problem), layer_(problem.options.layer), keys_(problem.work.tokens.size()) {
        index_slots();
        for (const Item& item : problem.work.items)
            add_item(item);
    }

    Expected compute() {
        const int64_t rows = problem_.num_rows(), heads = layer_.num_q_heads;
        Expected expected;
        expected.out.assign(static_cast<size_t>(rows * heads * layer_.kv.head_dim_v), 0);
        expected.lse.assign(static_cast<size_t>(rows * heads),
                            -std::numeric_limits<double>::infinity());
        for (int64_t token = 0; token < problem_.num_tokens(); ++token)
            for (int64_t head = 0; head < heads; ++head) {
                const auto row = static_cast<size_t>(token * heads + head);
                attend(token, head, &expected.out[row * static_cast<size_t>(layer_.kv.head_dim_v)],
                       expected.lse[row]);
            }
        return expected;
    }

  private:
    void index_slots() {
        for (size_t i = 0; i < problem_.written_slots.size(); ++i)
            place(problem_.written_slots[i], problem_.stored_k, problem_.stored_v, i);
        for (size_t i = 0; problem_.options.append && i < problem_.work.slots.size(); ++i)
            if (problem_.work.slots[i] >= 0)
                place(problem_.work.slots[i], problem_.k, problem_.v, i);
    }

    void place(int64_t slot, const std::vector<float>& k, const std::vector<float>& v,
               size_t token) {
        const auto heads = static_cast<size_t>(layer_.kv.num_kv_heads);
        slots_[slot] = {k.data() + token * heads * static_cast<size_t>(layer_.kv.head_dim_k),
                        v.data() + token * heads * static_cast<size_t>(layer_.kv.head_dim_v), 0};
    }

    bool is_visible(const Item& item, size_t index, int32_t position) const {
        const QueryToken& token = problem_.work.tokens[index];
        if (position < token.visible_begin || position >= token.visible_end)
            return false;
        const int32_t bit = position - token.new_begin;
        if (item.tree == 0 || bit < 0)
            return true;
        const size_t at =
            index * static_cast<size_t>(problem_.tree_stride) + static_cast<size_t>(bit) / 8;
        return (problem_.tree_mask[at] >> (bit % 8) & 1) != 0;
    }

    void add_item(const Item& item) {
        const WorkList& work = problem_.work;
        for (int32_t p = 0; p < item.num_pieces; ++p) {
            const Piece& piece = work.pieces[static_cast<size_t>(item.first_piece + p)];
            for (int32_t i = 0; i < piece.num_tokens; ++i) {
                const int64_t at = piece.first_slot + i, size = problem_.options.page_size;
                const int64_t page =
                    work.page_table[static_cast<size_t>(piece.table_offset + at / size)];
                Key key = slots_.at(page * size + at % size);
                key.position = piece.position + i;
                for (int32_t t = 0; t < item.num_tokens; ++t) {
                    const auto token = static_cast<size_t>(
                        work.item_tokens[static_cast<size_t>(item.first_token + t)]);
                    if (is_visible(item, token, key.position))
                        keys_[token].push_back(key);
                }
            }
        }
    }

    double score(int64_t token, int64_t head, const Key& key) const {
        const int64_t dim = layer_.kv.head_dim_k;
        const int64_t kv_head = head / layer_.group_size();
        const float* q =
            problem_.q.data() + static_cast<size_t>((token * layer_.num_q_heads + head) * dim);
        double sum = 0;
        for (int64_t d = 0; d < dim; ++d)
            sum += static_cast<double>(q[d]) * static_cast<double>(key.k[kv_head * dim + d]);
        sum *= static_cast<double>(layer_.softmax_scale);
        if (layer_.logit_softcap > 0) {
            const auto cap = static_cast<double>(layer_.logit_softcap);
            sum = cap * std::tanh(sum / cap);
        }
        if (layer_.uses_alibi) {
            const int32_t position = problem_.work.tokens[static_cast<size_t>(token)].position;
            sum -= static_cast<double>(problem_.slopes[static_cast<size_t>(head)]) *
                   std::abs(key.position - position);
        }
        return sum;
    }

    void attend(int64_t token, int64_t head, double* out, double& lse) const {
        const auto& keys = keys_[static_cast<size_t>(token)];
        double top = -std::numeric_limits<double>::infinity();
        std::vector<double> scores;
        for (const Key& key : keys)
            scores.push_back(score(token, head, key));
        for (const double s : scores)
            top = std::max(top, s);
        if (layer_.uses_sinks)
            top = std::max(top, static_cast<double>(problem_.sinks[static_cast<size_t>(head)]));
        if (std::isinf(top))
            return;
        double total = 0;
        if (layer_.uses_sinks)
            total = std::exp(static_cast<double>(problem_.sinks[static_cast<size_t>(head)]) - top);
        const int64_t dim = layer_.kv.head_dim_v, kv_head = head / layer_.group_size();
        for (size_t i = 0; i < keys.size(); ++i) {
            const double weight = std::exp(scores[i] - top);
            total += weight;
            for (int64_t d = 0; d < dim; ++d)
                out[d] += weight * static_cast<double>(keys[i].v[kv_head * dim + d]);
        }
        for (int64_t d = 0; d < dim; ++d)
            out[d] /= total;
        lse = top + std::log(total);
    }

    const Problem& problem_;
    const Layer& layer_;
    std::map<int64_t, Key> slots_;
    std::vector<std::vector<Key>> keys_;  // of each token
};

}  // namespace

Expected expected_of(const Problem& problem) {
    return Reference(problem).compute();
}

}  // namespace relayattn::test
