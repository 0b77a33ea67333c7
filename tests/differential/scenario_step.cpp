#include <algorithm>

#include "scenario.h"

namespace relayattn::test {
namespace {

std::string describe(const MirrorStep& step, size_t batch) {
    std::string text = "begin batch " + std::to_string(batch) + ":";
    const auto& input = step.input();
    for (int64_t i = 0; i < input.num_sequences; ++i) {
        const StepRow& row = step.row(static_cast<size_t>(i));
        text += ' ' + std::to_string(row.sequence->tokens.size()) + '+' + std::to_string(row.q_len);
        if (row.flags != 0)
            text += row.flags == RA_ROW_NONCAUSAL ? "n" : "a";
        for (const Span& span : row.spans)
            text += '[' + std::to_string(span.begin) + ',' + std::to_string(span.end) + ')';
    }
    if (input.tree_mask != nullptr)
        text += " tree";
    return text + " padded " + std::to_string(input.padded_tokens);
}

bool enough(const std::vector<int64_t>& needed, const std::vector<int64_t>& free) {
    for (size_t group = 0; group < needed.size(); ++group)
        if (needed[group] > free[group])
            return false;
    return true;
}

}  // namespace

Scenario::OpenStep Scenario::open(size_t batch, StepSpec spec) {
    OpenStep open{batch, std::make_unique<MirrorStep>(mirror_, std::move(spec))};
    const bool fits = enough(open.step->pages_needed(batches_[batch]), mirror_.free_pages());
    const ra_status status = open.step->begin(batches_[batch]);
    tell(describe(*open.step, batch) + ": " + ra_status_name(status));
    expect(status == (fits ? RA_OK : RA_ERROR_PAGES),
           "ra_batch_begin: " + std::string(ra_status_name(status)) + ", " + last_error());
    if (status != RA_OK) {
        open.step.reset();
        return open;
    }
    for (int64_t i = 0; i < open.step->input().num_sequences; ++i)
        busy_.push_back(open.step->row(static_cast<size_t>(i)).sequence);
    return open;
}

void Scenario::step() {
    const size_t batch = any_batch();
    auto first = open(batch, draw_step(random_, plans_[batch], idle_sequences()));
    if (first.step == nullptr)
        return release_one();
    if (random_.chance(20))
        compare_with_each_row_alone(first);
    OpenStep second;
    if (batches_.size() > 1 && random_.chance(25)) {
        const size_t other = (batch + 1) % batches_.size();
        second = open(other, draw_step(random_, plans_[other], idle_sequences()));
    }
    meddle(first);
    attend(first);
    if (second.step != nullptr) {
        attend(second);
        close(second);
    }
    close(first);
    busy_.clear();
    dying_.clear();
}

// The same sequences in the same order, a token at a time: what a plan may go on from. Now and then
// a step is aborted, runs in another batch, or follows something else that happened.
void Scenario::decode_on() {
    auto rows = idle_sequences();
    random_.shuffle(rows);
    rows.resize(std::min(rows.size(), static_cast<size_t>(random_.integer(1, 6))));
    size_t batch = any_batch();
    for (int64_t i = random_.integer(2, 16); i > 0; --i) {
        if (random_.chance(15))
            batch = any_batch();
        auto step = open(batch, plain_step(rows));
        if (step.step == nullptr)
            return release_one();
        attend(step);
        close(step);
        busy_.clear();
        if (random_.chance(10))
            truncate_one();
        if (random_.chance(10))
            fork_one();
        if (random_.chance(5))
            split_one();
        if (random_.chance(5))
            freeze_one();
    }
}

size_t Scenario::any_batch() {
    return static_cast<size_t>(random_.integer(0, static_cast<int64_t>(batches_.size()) - 1));
}

// Other objects move on while the batch is open; its outputs must not notice.
void Scenario::meddle(const OpenStep& open) {
    if (random_.chance(30))
        expect_busy(open);
    if (random_.chance(20))
        split_one();
    if (random_.chance(20))
        fork_one();
    if (random_.chance(15))
        truncate_one();
    if (random_.chance(15))
        release_one();
    if (random_.chance(10))
        add_sequence();
}

void Scenario::expect_busy(const OpenStep& open) {
    if (open.step->input().num_sequences == 0)
        return;
    const MirrorSequence& sequence = *open.step->row(0).sequence;
    Sequence twin;
    Prefix prefix;
    expect(ra_sequence_fork(sequence.handle, twin.out()) == RA_ERROR_BUSY, "fork is not busy");
    expect(ra_sequence_truncate(sequence.handle, 0) == RA_ERROR_BUSY, "truncate is not busy");
    expect(ra_prefix_from_sequence(sequence.handle, -1, prefix.out()) == RA_ERROR_BUSY,
           "from_sequence is not busy");
    expect(ra_batch_begin(batches_[open.batch], &open.step->input(), nullptr) == RA_ERROR_STATE,
           "a second begin is no state error");
}

void Scenario::attend(OpenStep& open) {
    MirrorStep& step = *open.step;
    ++steps_;
    if (backend_under_test() == RA_BACKEND_CPU && random_.chance(15))
        return attend_with_workers(step);
    step.attend_every_layer();
    const int64_t again = random_.integer(0, mirror_.num_layers() - 1);
    if (!mirror_.layer(again).unset && random_.chance(15))
        step.attend(again);
}

void Scenario::attend_with_workers(MirrorStep& step) {
    const int64_t workers = random_.integer(1, 3);
    tell(std::to_string(workers) + " workers");
    for (int64_t layer = 0; layer < mirror_.num_layers(); ++layer) {
        if (mirror_.layer(layer).unset)
            continue;
        if (mirror_.layer(layer).owns_kv() && step.appends())
            step.append(layer);
        step.attend_with_workers(layer, workers);
    }
}

// A batch-invariant plan: the same rows, one by one, give the same bits.
void Scenario::compare_with_each_row_alone(OpenStep& open) {
    if ((plans_[open.batch].flags & RA_PLAN_BATCH_INVARIANT) == 0)
        return;
    tell("abort, each row alone, begin again");
    const ra_batch batch = batches_[open.batch];
    MirrorStep& together = *open.step;
    together.attend_every_layer();
    ok(together.abort());
    for (int64_t i = 0; i < together.input().num_sequences; ++i) {
        const auto index = static_cast<size_t>(i);
        StepSpec spec = together.spec();
        spec.rows = {together.row(index)};
        spec.padded = 0;
        MirrorStep alone(mirror_, spec);
        ok(alone.begin(batch));
        alone.attend_every_layer();
        for (int64_t layer = 0; layer < mirror_.num_layers(); ++layer)
            if (!mirror_.layer(layer).unset)
                expect(alone.result_bytes(layer, 0) == together.result_bytes(layer, index),
                       "row " + std::to_string(i) + " of layer " + std::to_string(layer) +
                           " alone has other bits than in the batch");
        ok(alone.abort());
    }
    ok(together.begin(batch));
}

void Scenario::close(OpenStep& open) {
    MirrorStep& step = *open.step;
    if (random_.chance(15)) {
        tell("abort batch " + std::to_string(open.batch));
        return ok(step.abort());
    }
    if (random_.chance(50)) {
        tell("commit batch " + std::to_string(open.batch));
        return ok(step.commit());
    }
    std::vector<int64_t> kept, index;
    for (int64_t i = 0; i < step.input().num_sequences; ++i) {
        const StepRow& row = step.row(static_cast<size_t>(i));
        const bool absent = (row.flags & RA_ROW_NEW_ABSENT) != 0;
        kept.push_back(0);
        for (int64_t j = 0; j < row.q_len && !absent; ++j)
            if (random_.chance(70)) {
                ++kept.back();
                index.push_back(j);
            }
    }
    const bool path = random_.chance(50);
    tell(std::string("commit a ") + (path ? "path" : "part") + " of batch " +
         std::to_string(open.batch));
    ok(path ? step.commit(kept, index) : step.commit(kept));
}

}  // namespace relayattn::test
