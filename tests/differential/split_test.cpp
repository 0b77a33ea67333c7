// Attention over the whole equals its parts, computed apart and merged.
#include <doctest/doctest.h>

#include "compare.h"
#include "mirror_step.h"

namespace relayattn::test {
namespace {

constexpr int64_t heads = 4, dim = 40, length = 97;

struct State {
    StridedArray out{{1, heads, dim, RA_F32}, Layout::dense};
    LseArray lse{1, heads, Layout::dense};
};

LayerSpec the_layer() {
    LayerSpec layer;
    layer.q_heads = heads;
    layer.dim_k = layer.dim_v = dim;
    return layer;
}

// The query over tokens [begin, end) of the prefix alone, as a sequence of its own.
State attend_part(Mirror& mirror, ra_batch batch, const MirrorPrefix& whole, int64_t begin,
                  int64_t end, const std::vector<float>& q) {
    State state;
    MirrorPrefix part;
    if (end > begin) {
        ok(ra_prefix_create(mirror.cache(), nullptr, end - begin, part.handle.out()));
        part.tokens.assign(whole.tokens.begin() + begin, whole.tokens.begin() + end);
        mirror.write_everything(part);
        ok(ra_prefix_seal(part.handle, nullptr));
    }
    Sequence sequence;
    ok(ra_sequence_attach(mirror.cache(), part.handle, sequence.out()));
    const ra_sequence row = sequence;
    const int64_t q_len = 1, flags = RA_ROW_NEW_ABSENT;
    auto input = batch_input();
    input.sequences = &row;
    input.q_lens = &q_len;
    input.row_flags = &flags;
    input.num_sequences = input.num_q_lens = input.num_row_flags = 1;
    ok(ra_batch_begin(batch, &input, nullptr));
    StridedArray queries({1, heads, dim, RA_F32}, Layout::dense);
    queries.write(q);
    auto args = attend_args();
    args.q = queries.view();
    args.out = state.out.view();
    args.lse = state.lse.data();
    ok(ra_batch_attend(batch, 0, &args, nullptr));
    ok(ra_batch_commit(batch, nullptr, 0, nullptr, 0, nullptr));
    return state;
}

State merge_states(ra_context context, const State& a, const State& b) {
    State whole;
    auto args = merge_args();
    args.num_tokens = 1;
    args.num_heads = heads;
    args.head_dim = dim;
    args.in_dtype = args.out_dtype = RA_F32;
    args.a = a.out.view();
    args.b = b.out.view();
    args.out = whole.out.view();
    args.a_lse = a.lse.data();
    args.b_lse = b.lse.data();
    args.out_lse = whole.lse.data();
    ok(ra_merge_state(context, &args, nullptr));
    return whole;
}

std::vector<double> wide(const std::vector<float>& values) {
    return {values.begin(), values.end()};
}

void check_close(const State& got, const State& want) {
    const auto off = compare_outputs(got.out.read(), wide(want.out.read()), RA_F32, {});
    CHECK(off.text == "");
    CHECK(compare_lse(got.lse.read(), wide(want.lse.read())).text == "");
}

}  // namespace

TEST_CASE("any split into two parts, merged, equals the whole") {
    Mirror mirror({{the_layer()}, 16, 1024, 0, 1}, 3);
    const auto batch = mirror.batch();
    const auto prefix = mirror.prefix(nullptr, length);
    const auto q = mirror.values(heads * dim, RA_F32);
    const auto whole = attend_part(mirror, batch, prefix, 0, length, q);
    for (int64_t cut : {0, 1, 15, 16, 17, 50, 96, 97}) {
        CAPTURE(cut);
        const auto first = attend_part(mirror, batch, prefix, 0, cut, q);
        const auto second = attend_part(mirror, batch, prefix, cut, length, q);
        check_close(merge_states(mirror.context(), first, second), whole);
        check_close(merge_states(mirror.context(), second, first), whole);
    }
}

TEST_CASE("three parts merge to the whole in either association") {
    Mirror mirror({{the_layer()}, 5, 1024, 0, 1}, 4);
    const auto batch = mirror.batch();
    const auto prefix = mirror.prefix(nullptr, length);
    const auto q = mirror.values(heads * dim, RA_F32);
    const auto whole = attend_part(mirror, batch, prefix, 0, length, q);
    const auto a = attend_part(mirror, batch, prefix, 0, 13, q);
    const auto b = attend_part(mirror, batch, prefix, 13, 60, q);
    const auto c = attend_part(mirror, batch, prefix, 60, length, q);
    const ra_context context = mirror.context();
    check_close(merge_states(context, merge_states(context, a, b), c), whole);
    check_close(merge_states(context, a, merge_states(context, b, c)), whole);
}

TEST_CASE("relay equals flat equals automatic, for one sequence and for many") {
    LayerSpec layer = the_layer();
    layer.q_heads = 14;
    Mirror mirror({{layer}, 16, 4096, 0, 2}, 5);
    const auto root = mirror.prefix(nullptr, 200);
    const auto child = mirror.prefix(&root, 45);
    std::vector<MirrorSequence> sequences;
    for (int i = 0; i < 24; ++i)
        sequences.push_back(mirror.attach(i % 3 == 0 ? &root : &child));
    std::vector<MirrorSequence*> all, one = {&sequences[0]};
    for (auto& sequence : sequences)
        all.push_back(&sequence);
    for (const auto& rows : {one, all}) {
        StepSpec spec = plain_step(rows);
        for (int32_t mode : modes) {  // each mode checks itself against float64 as well
            const auto batch = mirror.batch({mode, 0});
            MirrorStep step(mirror, spec);
            ok(step.begin(batch));
            step.attend(0);
            spec.rows = step.spec().rows;
            ok(step.abort());
        }
    }
}

TEST_CASE("what was asked for is what the plan reports") {
    Mirror mirror({{the_layer()}, 16, 4096, 0, 1}, 6);
    const auto root = mirror.prefix(nullptr, 512);
    std::vector<MirrorSequence> sequences;
    std::vector<MirrorSequence*> all;
    for (int i = 0; i < 16; ++i)
        sequences.push_back(mirror.attach(&root));
    for (auto& sequence : sequences)
        all.push_back(&sequence);
    int64_t bytes[2] = {};
    for (int32_t mode : {RA_MODE_FLAT, RA_MODE_RELAY}) {
        const auto batch = mirror.batch({mode, 0});
        run_step(mirror, batch, plain_step(all));
        int64_t relay_runs = -1;
        ok(ra_batch_query(batch, 0, RA_PLAN_INFO_RELAY_RUNS, &relay_runs));
        CHECK((relay_runs > 0) == (mode == RA_MODE_RELAY));
        ok(ra_batch_query(batch, 0, RA_PLAN_INFO_KV_BYTES, &bytes[mode == RA_MODE_RELAY ? 1 : 0]));
    }
    CHECK(bytes[0] >= 10 * bytes[1]);  // 16 readings of the prefix against one
}

}  // namespace relayattn::test
