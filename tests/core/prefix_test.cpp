// Prefixes: write, seal, read, split, freeze, and what lives below them.
#include <doctest/doctest.h>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

const CacheSpec usual = {{LayerSpec{}}, 16, 1024, 0, 1};

void decode(Mirror& mirror, MirrorSequence& sequence, int64_t q_len = 1) {
    run_step(mirror, mirror.batch(), plain_step({&sequence}, q_len));
}

}  // namespace

TEST_CASE("a prefix takes its pages at once and gives them back on release") {
    Mirror mirror(usual, 1);
    const auto before = mirror.free_pages();
    auto prefix = mirror.open_prefix(nullptr, 33);
    CHECK(mirror.free_pages()[0] == before[0] - 3);
    prefix.handle.reset();
    CHECK(mirror.free_pages() == before);
}

TEST_CASE("what was written is what is read, open or sealed, in any dtype and page size") {
    for (int64_t page_size : page_sizes)
        for (int32_t dtype : {RA_F32, RA_F16, RA_BF16}) {
            CAPTURE(page_size);
            CAPTURE(dtype);
            LayerSpec layer;
            layer.kv = dtype;
            layer.dim_v = 40;
            Mirror mirror({{layer}, page_size, 1024, 0, 1}, 2);
            const auto root = mirror.prefix(nullptr, 21);
            auto child = mirror.open_prefix(&root, 70);
            mirror.write_everything(child);
            CHECK(mirror.read_back(child, 0, 0, 70) == RA_OK);
            ok(ra_prefix_seal(child.handle, nullptr));
            CHECK(mirror.read_back(child, 0, 0, 70) == RA_OK);
            CHECK(mirror.read_back(child, 0, 69, 1) == RA_OK);
            CHECK(mirror.read_back(child, 0, 13, 40) == RA_OK);
            CHECK(mirror.read_back(root, 0, 0, 21) == RA_OK);
        }
}

TEST_CASE("an open prefix may be written again; the last writing counts") {
    Mirror mirror(usual, 3);
    auto prefix = mirror.open_prefix(nullptr, 20);
    mirror.write_everything(prefix);
    prefix.tokens[7] = mirror.new_token();
    mirror.write(prefix, 0, 7, 1);
    CHECK(mirror.read_back(prefix, 0, 0, 20) == RA_OK);
    ok(ra_prefix_seal(prefix.handle, nullptr));
    auto sequence = mirror.attach(&prefix);
    decode(mirror, sequence);
}

TEST_CASE("open and sealed prefixes refuse what does not suit them") {
    Mirror mirror(usual, 4);
    const auto open = mirror.open_prefix(nullptr, 20);
    Sequence sequence;
    Prefix child, head;
    CHECK(ra_sequence_attach(mirror.cache(), open.handle, sequence.out()) == RA_ERROR_STATE);
    CHECK(ra_prefix_create(mirror.cache(), open.handle, 5, child.out()) == RA_ERROR_STATE);
    CHECK(ra_prefix_split(open.handle, 5, head.out()) == RA_ERROR_STATE);
    ok(ra_prefix_seal(open.handle, nullptr));
    CHECK(ra_prefix_seal(open.handle, nullptr) == RA_ERROR_STATE);
    StridedArray k({1, 2, 32, RA_F32}, Layout::dense), v({1, 2, 32, RA_F32}, Layout::dense);
    auto kv = kv_args();
    kv.k = k.view();
    kv.v = v.view();
    kv.num_tokens = 1;
    CHECK(ra_prefix_write(open.handle, 0, 0, &kv, nullptr) == RA_ERROR_STATE);
}

TEST_CASE("a split at any token changes no output and takes no page") {
    for (int64_t page_size : page_sizes)
        for (int64_t at : {1, 4, 15, 16, 17, 31, 39}) {
            CAPTURE(page_size);
            CAPTURE(at);
            Mirror mirror({{LayerSpec{}}, page_size, 1024, 0, 1}, 5);
            auto prefix = mirror.prefix(nullptr, 40);
            const auto child = mirror.prefix(&prefix, 9);
            auto before = mirror.attach(&prefix);
            auto below = mirror.attach(&child);
            decode(mirror, before, 3);
            const auto free = mirror.free_pages();
            const auto head = mirror.split(prefix, at);
            CHECK(mirror.free_pages() == free);
            auto at_head = mirror.attach(&head);
            auto at_rest = mirror.attach(&prefix);
            const auto sibling = mirror.prefix(&head, 6);
            auto at_sibling = mirror.attach(&sibling);
            for (int32_t mode : modes)
                run_step(mirror, mirror.batch({mode, 0}),
                         plain_step({&before, &below, &at_head, &at_rest, &at_sibling}));
            CHECK(mirror.read_back(head, 0, 0, at) == RA_OK);
            CHECK(mirror.read_back(prefix, 0, 0, 40 - at) == RA_OK);
        }
}

TEST_CASE("a prefix can be split again and again, down to single tokens") {
    Mirror mirror(usual, 6);
    auto prefix = mirror.prefix(nullptr, 24);
    std::vector<MirrorPrefix> heads;
    std::vector<MirrorSequence> sequences;
    while (mirror.own_length(prefix) > 1) {
        heads.push_back(mirror.split(prefix, 1));
        sequences.push_back(mirror.attach(&heads.back()));
    }
    sequences.push_back(mirror.attach(&prefix));
    std::vector<MirrorSequence*> all;
    for (auto& sequence : sequences)
        all.push_back(&sequence);
    run_step(mirror, mirror.batch(), plain_step(all, 2));
}

TEST_CASE("a released parent lives on below its children, until the last of them goes") {
    Mirror mirror(usual, 7);
    const auto total = mirror.total_pages();
    auto root = mirror.prefix(nullptr, 40);
    auto child = mirror.prefix(&root, 10);
    auto sequence = mirror.attach(&child);
    root.handle.reset();
    child.handle.reset();
    decode(mirror, sequence, 4);
    decode(mirror, sequence);
    sequence.handle.reset();
    CHECK(mirror.free_pages() == total);
}

TEST_CASE("freezing what a sequence holds makes a prefix, and the sequence goes on below it") {
    for (int64_t count : {-1, 1, 30, 36, 37, 50}) {
        CAPTURE(count);
        Mirror mirror(usual, 8);
        auto root = mirror.prefix(nullptr, 36);
        auto sequence = mirror.attach(&root);
        decode(mirror, sequence, 14);
        const auto frozen = mirror.freeze(sequence, count);
        CHECK(frozen.tokens.size() == static_cast<size_t>(count < 0 ? 50 : count));
        auto other = mirror.attach(&frozen);
        run_step(mirror, mirror.batch(), plain_step({&sequence, &other}, 5));
        auto at_root = mirror.attach(&root);
        run_step(mirror, mirror.batch({RA_MODE_RELAY, 0}),
                 plain_step({&sequence, &other, &at_root}));
        root.handle.reset();
        run_step(mirror, mirror.batch(), plain_step({&sequence, &other, &at_root}));
    }
}

TEST_CASE("freezing takes no page, and freezing twice is the same tokens") {
    Mirror mirror(usual, 9);
    auto sequence = mirror.attach(nullptr);
    decode(mirror, sequence, 45);
    const auto free = mirror.free_pages();
    const auto first = mirror.freeze(sequence, -1);
    const auto second = mirror.freeze(sequence, -1);
    CHECK(mirror.free_pages() == free);
    auto a = mirror.attach(&first);
    auto b = mirror.attach(&second);
    run_step(mirror, mirror.batch(), plain_step({&sequence, &a, &b}));
}

TEST_CASE("an empty sequence cannot be frozen") {
    Mirror mirror(usual, 10);
    const auto sequence = mirror.attach(nullptr);
    Prefix prefix;
    check_refused(ra_prefix_from_sequence(sequence.handle, -1, prefix.out()), RA_ERROR_ARGUMENT,
                  {"ra_prefix_from_sequence"});
}

TEST_CASE("a layer of a prefix may stay unwritten: its tokens exist all the same") {
    CacheSpec spec = usual;
    spec.layers = {LayerSpec{}, LayerSpec{}};
    Mirror mirror(spec, 11);
    auto prefix = mirror.open_prefix(nullptr, 20);
    mirror.write(prefix, 0, 0, 20);
    ok(ra_prefix_seal(prefix.handle, nullptr));
    auto sequence = mirror.attach(&prefix);
    MirrorStep step(mirror, plain_step({&sequence}, 2));
    const auto batch = mirror.batch();
    ok(step.begin(batch));
    step.attend(0);
    ok(step.abort());
}

}  // namespace relayattn::test
