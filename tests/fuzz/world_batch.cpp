// The batch calls of the fuzzed world.
#include <algorithm>

#include "world.h"

namespace relayattn::fuzz {
namespace {

constexpr int64_t most_new_tokens = 24;
constexpr int64_t most_listed = 6;

}  // namespace

void World::create_batch() {
    ra_batch& place = slot(batches_);
    ra_batch_release(place);
    ra_plan_options options;
    ra_plan_options_init(&options, sizeof options);
    options.mode = reader_.choice(2);
    options.flags = reader_.one_in(16)
                        ? reader_.choice(31)
                        : static_cast<int32_t>(reader_.below(4)) * RA_PLAN_BATCH_INVARIANT;
    if (reader_.one_in(8)) {
        options.max_rows = reader_.count(6);
        options.max_tokens = reader_.count(60);
        options.max_runs = reader_.count(20);
        options.max_kv_tokens = reader_.count(200);
    }
    int64_t scratch = 0, metadata = 0;
    check(ra_batch_memory(cache_, &options, &scratch, &metadata));
    check(ra_batch_create(cache_, &options, &place));
}

void World::begin() {
    begin(pick(batches_));
}

ra_status World::begin(ra_batch batch) {
    std::array<ra_sequence, most_listed> sequences{};
    std::array<int64_t, most_listed> q_lens{}, flags{};
    std::array<int64_t, 6> spans{};
    ra_batch_input input{};
    input.struct_size = sizeof input;
    input.num_sequences = reader_.one_in(30) ? reader_.count(6) : reader_.below(5);
    if (input.num_sequences > most_listed)
        input.num_sequences = -1;  // a count beyond our own list would be a lie
    input.num_q_lens = reader_.one_in(30) ? reader_.below(6) : input.num_sequences;
    for (int64_t i = 0; i < input.num_sequences; ++i) {
        const auto row = static_cast<size_t>(i);
        sequences[row] = reader_.one_in(10) ? pick(sequences_) : sequences_[row % slots];
        q_lens[row] = reader_.one_in(2) ? 1 : reader_.count(most_new_tokens);
        flags[row] = reader_.one_in(4) ? reader_.below(5) : 0;
    }
    input.sequences = sequences.data();
    input.q_lens = q_lens.data();
    if (reader_.one_in(3)) {
        input.row_flags = flags.data();
        input.num_row_flags = input.num_sequences;
    }
    if (reader_.one_in(4)) {
        input.tree_mask = memory_.mask.data();
        input.tree_stride = reader_.below(8);
        for (size_t i = 0; i < 16; ++i)
            memory_.mask[i] = reader_.byte();
    } else if (reader_.one_in(4)) {
        input.spans = spans.data();
        input.num_spans = reader_.below(3);
        for (int64_t& number : spans)
            number = reader_.count(6);
    }
    input.padded_tokens = reader_.one_in(8) ? reader_.count(4) : 0;
    int64_t pages = 0;
    check(ra_batch_pages_needed(batch, &input, reader_.count(num_groups_), &pages));
    const ra_status status = ra_batch_begin(batch, &input, nullptr);
    check(status);
    return status;
}

// Calls in the order that makes sense.
void World::step() {
    const ra_batch batch = pick(batches_);
    if (begin(batch) != RA_OK)
        return;
    for (int64_t layer = 0; layer < num_layers_; ++layer) {
        const auto args = draw_attend(layer);
        check(ra_batch_attend(batch, layer, &args, nullptr));
    }
    if (reader_.one_in(4))
        check(ra_batch_abort(batch, nullptr));
    else if (!reader_.one_in(4))
        check(ra_batch_commit(batch, nullptr, 0, nullptr, 0, nullptr));
}

void World::begin_dummy() {
    check(ra_batch_begin_dummy(pick(batches_), reader_.count(5), reader_.count(8),
                               reader_.count(100), nullptr));
}

ra_attend_args World::draw_attend(int64_t layer) {
    ra_layer_options known{};
    if (layer >= 0 && layer < num_layers_)
        known = layers_[static_cast<size_t>(layer)];
    ra_attend_args args{};
    args.struct_size = sizeof args;
    if (!reader_.one_in(16)) {
        args.q = view(memory_.in);
        args.out = view(memory_.out);
    }
    if ((known.kv_layer < 0) != reader_.one_in(16)) {
        args.k = view(memory_.in);
        args.v = view(memory_.in);
    }
    if (reader_.one_in(2))
        args.lse = memory_.lse.data();
    args.lse_token_stride = reader_.one_in(4) ? reader_.below(100) : 0;
    args.lse_head_stride = reader_.one_in(4) ? reader_.below(100) : 0;
    if ((known.uses_sinks != 0) != reader_.one_in(32))
        args.sink_logits = memory_.floats.data();
    if ((known.uses_alibi != 0) != reader_.one_in(32))
        args.alibi_slopes = memory_.floats.data();
    args.softmax_scale = static_cast<float>(reader_.below(3));
    args.logit_softcap = reader_.one_in(16) ? -1.0F : static_cast<float>(reader_.below(3));
    return args;
}

void World::attend() {
    const int64_t layer = reader_.count(num_layers_);
    const auto args = draw_attend(layer);
    check(ra_batch_attend(pick(batches_), layer, &args, nullptr));
}

void World::attend_worker() {
    const int64_t layer = reader_.count(num_layers_);
    auto args = draw_attend(layer);
    if (!reader_.one_in(8))
        args.k = args.v = {};
    const int64_t workers = 1 + reader_.below(3);
    check(ra_batch_attend_worker(pick(batches_), layer, &args, reader_.count(2), workers));
}

void World::commit() {
    std::array<int64_t, most_listed> kept{};
    std::array<int64_t, 16> index{};
    const ra_batch batch = pick(batches_);
    if (reader_.one_in(2)) {
        check(ra_batch_commit(batch, nullptr, 0, nullptr, 0, nullptr));
        return;
    }
    const int64_t num_kept = reader_.below(5);
    for (int64_t& count : kept)
        count = reader_.one_in(3) ? reader_.count(8) : 1;
    const bool path = reader_.one_in(2);
    int64_t num_index = 0;
    for (int64_t i = 0; i < num_kept; ++i)
        num_index += std::clamp<int64_t>(kept[static_cast<size_t>(i)], 0, 16);
    num_index = std::min<int64_t>(num_index, static_cast<int64_t>(index.size()));
    for (int64_t& number : index)
        number = reader_.count(8);
    check(ra_batch_commit(batch, kept.data(), num_kept, path ? index.data() : nullptr,
                          path ? num_index : 0, nullptr));
}

void World::abort() {
    check(ra_batch_abort(pick(batches_), nullptr));
}

void World::query() {
    int64_t value = 0;
    check(ra_batch_query(pick(batches_), reader_.count(num_groups_), reader_.choice(8), &value));
}

void World::release_batch() {
    ra_batch_release(pick(batches_));
}

}  // namespace relayattn::fuzz
