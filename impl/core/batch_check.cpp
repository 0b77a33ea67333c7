// What a batch is asked to do, checked before anything changes.
#include <algorithm>

#include "impl/core/batch.h"

namespace relayattn {
namespace {

constexpr int64_t k_most_tokens = (int64_t{1} << 31) - 1;
constexpr int64_t k_row_flags = row_noncausal | row_new_absent;

}  // namespace

Result<void> Batch::check_bounds(int64_t rows, int64_t tokens) const {
    if (options_.max_rows > 0 && rows > options_.max_rows)
        return error(Code::argument, "num_sequences is ", rows, "; the batch's max_rows is ",
                     options_.max_rows);
    if (options_.max_tokens > 0 && tokens > options_.max_tokens)
        return error(Code::argument, "the step has ", tokens,
                     " tokens, padded ones included; the batch's max_tokens is ",
                     options_.max_tokens);
    return {};
}

// What an attend needs of the step: K, V of new tokens, and somewhere to read and write. With q and
// out both null only k, v are appended, for callers who then attend by threads of their own.
Result<void> Batch::check_call(const AttendCall& call, bool kv_in_pages) const {
    const bool appends = num_appended_ > 0 && call.layer->kv_layer < 0;
    if (appends && !kv_in_pages && call.k.data == nullptr)
        return error(Code::argument, "k.data is null; the step appends ", num_appended_,
                     " tokens, so k and v must hold them");
    if (call.q.data == nullptr && call.out.data == nullptr && call.k.data != nullptr)
        return {};
    if (num_out_rows_ > 0 && (call.q.data == nullptr || call.out.data == nullptr))
        return error(Code::argument, call.q.data == nullptr ? "q" : "out",
                     ".data is null; it must hold ", num_out_rows_, " tokens");
    return {};
}

Error Batch::row_error(const BatchInput& input, size_t i, bool stands_twice) {
    if (input.sequences[i] == nullptr)
        return error(Code::argument, "sequences[", i, "] belongs to another cache");
    const Sequence& sequence = *input.sequences[i];
    if (sequence.in_batch())
        return error(Code::busy, "sequences[", i, "] is in an open batch");
    if (stands_twice)
        return error(Code::argument, "sequences[", i, "] stands in the batch twice");
    const int64_t most = k_most_tokens - sequence.end();
    if (input.q_lens[i] < 0 || input.q_lens[i] > most)
        return error(Code::argument, "q_lens[", i, "] is ", input.q_lens[i],
                     "; it must be from 0 to ", most);
    return error(Code::argument, "row_flags[", i, "] is ", input.flags(i),
                 "; only RA_ROW_NONCAUSAL and RA_ROW_NEW_ABSENT are known");
}

Result<void> Batch::check(const BatchInput& input) const {
    constexpr int64_t most = k_most_tokens;
    const auto rows = static_cast<int64_t>(input.sequences.size());
    const uint64_t id = next_mark();
    if (input.padded_tokens < 0 || input.padded_tokens > most)
        return error(Code::argument, "padded_tokens is ", input.padded_tokens,
                     "; it must be from 0 to ", most);
    int64_t tokens = input.padded_tokens;
    const int64_t* const q_lens = input.q_lens.data();
    const int64_t* const flags = input.row_flags.empty() ? nullptr : input.row_flags.data();
    for (int64_t i = 0; i < rows; ++i) {
        Sequence* const sequence = input.sequences[static_cast<size_t>(i)];
        const bool is_free = sequence != nullptr && !sequence->in_batch();
        const bool is_first = is_free && sequence->mark(id);
        if (!is_first || q_lens[i] < 0 || q_lens[i] > most - sequence->end() ||
            (flags != nullptr && (flags[i] & ~k_row_flags) != 0))
            return row_error(input, static_cast<size_t>(i), is_free && !is_first);
        tokens += q_lens[i];
    }
    if (tokens > most)
        return error(Code::argument, "the step has more than ", most, " tokens");
    if (input.tree_mask != nullptr) {
        if (!options_.tree)
            return error(Code::argument,
                         "tree_mask is given, but the batch was created without RA_PLAN_TREE");
        const int64_t longest =
            rows == 0 ? 0 : *std::max_element(input.q_lens.begin(), input.q_lens.end());
        if (input.tree_stride < (longest + 7) / 8)
            return error(Code::argument, "tree_stride is ", input.tree_stride,
                         "; the longest q_len, ", longest, ", needs at least ", (longest + 7) / 8,
                         " bytes");
    }
    if (Result<void> ok = check_spans(input); !ok)
        return ok;
    return check_bounds(rows, tokens);
}

Result<void> Batch::check_spans(const BatchInput& input) const {
    const size_t count = input.spans.size() / 3;
    if (count > 0 && input.tree_mask != nullptr)
        return error(Code::argument, "spans and tree_mask are both given; use one of them");
    struct Span {
        int64_t row, begin, end;
    };
    std::vector<Span> spans(count);
    for (size_t i = 0; i < count; ++i) {
        const Span span{input.spans[3 * i], input.spans[3 * i + 1], input.spans[3 * i + 2]};
        if (span.row < 0 || span.row >= static_cast<int64_t>(input.sequences.size()))
            return error(Code::argument, "spans[", i, "] names row ", span.row,
                         "; it must be from 0 to ",
                         static_cast<int64_t>(input.sequences.size()) - 1);
        const auto row = static_cast<size_t>(span.row);
        if (span.begin < 0 || span.begin >= span.end || span.end > input.q_lens[row])
            return error(Code::argument, "spans[", i, "] is [", span.begin, ", ", span.end,
                         "); it must be a part of its row's ", input.q_lens[row], " new tokens");
        if (input.flags(row) != 0)
            return error(Code::argument, "spans[", i, "] names row ", span.row,
                         ", which is non-causal or lacks its new tokens");
        spans[i] = span;
    }
    std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) {
        return a.row != b.row ? a.row < b.row : a.begin < b.begin;
    });
    for (size_t i = 1; i < count; ++i) {
        if (spans[i].row == spans[i - 1].row && spans[i].begin < spans[i - 1].end)
            return error(Code::argument, "spans of row ", spans[i].row, " overlap at new token ",
                         spans[i].begin);
    }
    return {};
}

Result<void> Batch::check_kept(std::span<const int64_t> kept, bool keep_all,
                               std::span<const int64_t> index, bool has_index) const {
    if (keep_all) {
        if (has_index)
            return error(Code::argument, "index is given without kept");
        return {};
    }
    if (kept.size() != step_.rows.size())
        return error(Code::argument, "num_kept is ", kept.size(), "; the step has ",
                     step_.rows.size(), " sequences");
    size_t total = 0;
    for (size_t i = 0; i < step_.rows.size(); ++i) {
        if (kept[i] < 0 || kept[i] > step_.rows[i].appended())
            return error(Code::argument, "kept[", i, "] is ", kept[i], "; it must be from 0 to ",
                         step_.rows[i].appended());
        total += static_cast<size_t>(kept[i]);
    }
    if (!has_index)
        return {};
    if (index.size() != total)
        return error(Code::argument, "num_index is ", index.size(), "; kept adds up to ", total);
    size_t next = 0;
    for (size_t i = 0; i < step_.rows.size(); ++i) {
        int64_t last = -1;
        for (int64_t j = 0; j < kept[i]; ++j, ++next) {
            if (index[next] <= last || index[next] >= step_.rows[i].appended())
                return error(Code::argument, "index[", next, "] is ", index[next],
                             "; the indices of sequence ", i, " must ascend from 0 to ",
                             step_.rows[i].appended() - 1);
            last = index[next];
        }
    }
    return {};
}

}  // namespace relayattn
