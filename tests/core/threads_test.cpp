// The caller's threads: workers of one attend, and many threads on one cache.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "mirror_step.h"

namespace relayattn::test {
namespace {

// Runs the body on `count` threads at once and waits for them.
template <class Body>
void in_parallel(int count, Body&& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back(body, i);
    for (std::thread& thread : threads)
        thread.join();
}

}  // namespace

TEST_CASE("workers of the caller share a layer, in any number") {
    if (backend_under_test() != RA_BACKEND_CPU)
        return;
    LayerSpec owner, reader;
    owner.q_heads = 8;
    reader = owner;
    reader.kv_layer = 0;
    for (int64_t workers : {1, 2, 3, 7})
        for (int32_t mode : modes) {
            CAPTURE(workers);
            CAPTURE(mode);
            Mirror mirror({{owner, reader}, 16, 2048, 0, 1}, 1);
            const auto root = mirror.prefix(nullptr, 150);
            std::vector<MirrorSequence> sequences;
            std::vector<MirrorSequence*> all;
            for (int i = 0; i < 12; ++i)
                sequences.push_back(mirror.attach(&root));
            for (auto& sequence : sequences)
                all.push_back(&sequence);
            const auto batch = mirror.batch({mode, 0});
            for (int round = 0; round < 2; ++round) {
                MirrorStep step(mirror, plain_step(all, 1 + round));
                ok(step.begin(batch));
                step.append(0);
                step.attend_with_workers(0, workers);
                step.attend_with_workers(1, workers);
                ok(step.commit());
            }
        }
}

TEST_CASE("workers serve rows that append nothing, on a layer with KV of its own") {
    if (backend_under_test() != RA_BACKEND_CPU)
        return;
    Mirror mirror({{LayerSpec{}}, 16, 512, 0, 1}, 2);
    const auto root = mirror.prefix(nullptr, 50);
    auto a = mirror.attach(&root), b = mirror.attach(&root);
    auto spec = plain_step({&a, &b}, 2);
    for (auto& row : spec.rows)
        row.flags = RA_ROW_NEW_ABSENT;
    MirrorStep step(mirror, spec);
    const auto batch = mirror.batch();
    ok(step.begin(batch));
    step.attend_with_workers(0, 2);
    ok(step.commit());
}

TEST_CASE("sequences of one cache live on several threads at once") {
    LayerSpec layer;
    Mirror shared({{layer}, 16, 4096, 0, 1}, 3);
    const auto root = shared.prefix(nullptr, 40);
    std::atomic<int> failures{0};
    in_parallel(3, [&](int thread) {
        for (int round = 0; round < 40; ++round) {
            Sequence sequence, fork;
            Prefix child;
            failures += ra_sequence_attach(shared.cache(), root.handle, sequence.out()) != RA_OK;
            failures += ra_sequence_fork(sequence, fork.out()) != RA_OK;
            failures += ra_sequence_truncate(fork, 1 + (round + thread) % 40) != RA_OK;
            failures += ra_prefix_from_sequence(fork, -1, child.out()) != RA_OK;
            int64_t length = 0, min = 0, own = 0, total = 0;
            failures += ra_sequence_length(sequence, &length, &min) != RA_OK || length != 40;
            failures += ra_prefix_length(child, &own, &total) != RA_OK;
            failures += total != 1 + (round + thread) % 40;
        }
    });
    CHECK(failures == 0);
    auto sequence = shared.attach(&root);
    run_step(shared, shared.batch(), plain_step({&sequence}, 3));
    sequence.handle.reset();
    CHECK(shared.free_pages()[0] == shared.total_pages()[0] - 3);
}

TEST_CASE("batches of one cache step on several threads at once") {
    Mirror shared({{LayerSpec{}}, 16, 4096, 0, 2}, 4);
    const auto root = shared.prefix(nullptr, 40);
    const std::vector<float> values = shared.values(4 * 32, RA_F32);
    const int64_t free_before = shared.free_pages()[0];
    std::vector<std::vector<float>> outputs(3);
    std::atomic<int> failures{0};
    in_parallel(3, [&](int thread) {
        Batch batch;
        Sequence sequence;
        const auto options = plan_options();
        failures += ra_batch_create(shared.cache(), &options, batch.out()) != RA_OK;
        failures += ra_sequence_attach(shared.cache(), root.handle, sequence.out()) != RA_OK;
        StridedArray q({1, 4, 32, RA_F32}, Layout::dense), out({1, 4, 32, RA_F32}, Layout::dense);
        StridedArray kv({1, 2, 32, RA_F32}, Layout::dense);
        q.write(values);
        kv.write(values);
        auto args = attend_args();
        args.q = q.view();
        args.out = out.view();
        args.k = args.v = kv.view();
        const ra_sequence row = sequence;
        const int64_t one = 1;
        auto input = batch_input();
        input.sequences = &row;
        input.q_lens = &one;
        input.num_sequences = input.num_q_lens = 1;
        for (int step = 0; step < 40; ++step) {
            failures += ra_batch_begin(batch, &input, nullptr) != RA_OK;
            failures += ra_batch_attend(batch, 0, &args, nullptr) != RA_OK;
            failures += ra_batch_commit(batch, nullptr, 0, nullptr, 0, nullptr) != RA_OK;
        }
        outputs[static_cast<size_t>(thread)] = out.read();
    });
    CHECK(failures == 0);
    CHECK(outputs[0] == outputs[1]);
    CHECK(outputs[0] == outputs[2]);
    CHECK(shared.free_pages()[0] == free_before);
}

TEST_CASE("a handle may be given up at any moment of a step that its sequence is in") {
    Mirror shared({{LayerSpec{}}, 16, 4096, 0, 2}, 5);
    const auto root = shared.prefix(nullptr, 40);
    const int64_t free_before = shared.free_pages()[0];
    constexpr size_t rows = 8;
    std::atomic<int> failures{0}, steps{0};
    for (int round = 0; round < 300; ++round) {
        std::vector<Sequence> sequences(rows);
        std::vector<ra_sequence> handles;
        for (Sequence& sequence : sequences) {
            ok(ra_sequence_attach(shared.cache(), root.handle, sequence.out()));
            handles.push_back(sequence);
        }
        const std::vector<int64_t> one_each(rows, 1);
        auto input = batch_input();
        input.sequences = handles.data();
        input.q_lens = one_each.data();
        input.num_sequences = input.num_q_lens = rows;
        const Batch batch = shared.batch();
        in_parallel(2, [&](int thread) {
            if (thread == 1) {
                for (Sequence& sequence : sequences)
                    sequence.reset();
                return;
            }
            const ra_status begun = ra_batch_begin(batch, &input, nullptr);
            failures += begun != RA_OK && begun != RA_ERROR_HANDLE;
            if (begun != RA_OK)
                return;
            ++steps;
            failures += ra_batch_commit(batch, nullptr, 0, nullptr, 0, nullptr) != RA_OK;
        });
        CHECK(shared.free_pages()[0] == free_before);
    }
    CHECK(failures == 0);
    CHECK(steps > 0);  // some were faster than the release
}

}  // namespace relayattn::test
