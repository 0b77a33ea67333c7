// Handles that are null, stale, foreign, of another kind or never were; and any order of release.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

template <class Handle>
Handle as(const void* token) {
    return static_cast<Handle>(const_cast<void*>(token));
}

struct Call {
    const char* name;
    std::function<ra_status(void*)> with;
};

std::vector<Call> context_calls() {
    return {{"ra_context_query",
             [](void* h) {
                 int64_t value = 0;
                 return ra_context_query(as<ra_context>(h), RA_CONTEXT_INFO_BACKEND, &value);
             }},
            {"ra_context_set_log",
             [](void* h) { return ra_context_set_log(as<ra_context>(h), nullptr, nullptr); }},
            {"ra_merge_state", [](void* h) {
                 const auto args = merge_args();
                 return ra_merge_state(as<ra_context>(h), &args, nullptr);
             }}};
}

std::vector<Call> model_calls(const Fixture& f) {
    static const auto layer = options_of(LayerSpec{});
    static const auto options = cache_options();
    return {{"ra_model_set_layers",
             [](void* h) { return ra_model_set_layers(as<ra_model>(h), 0, 1, &layer); }},
            {"ra_model_layer_group",
             [](void* h) {
                 int64_t group = 0;
                 return ra_model_layer_group(as<ra_model>(h), 0, &group);
             }},
            {"ra_context_supports",
             [&](void* h) { return ra_context_supports(f.context, as<ra_model>(h), 16, 0); }},
            {"ra_cache_memory",
             [&](void* h) {
                 int64_t bytes = 0;
                 return ra_cache_memory(f.context, as<ra_model>(h), &options, &bytes);
             }},
            {"ra_cache_create", [&](void* h) {
                 Cache out;
                 return ra_cache_create(f.context, as<ra_model>(h), &options, out.out());
             }}};
}

std::vector<Call> cache_calls() {
    static const auto options = plan_options();
    return {{"ra_cache_pages",
             [](void* h) {
                 int64_t total = 0, free = 0;
                 return ra_cache_pages(as<ra_cache>(h), 0, &total, &free);
             }},
            {"ra_cache_layer",
             [](void* h) {
                 ra_page_layout layout{};
                 ra_layer_memory memory{};
                 layout.struct_size = sizeof layout;
                 memory.struct_size = sizeof memory;
                 return ra_cache_layer(as<ra_cache>(h), 0, &layout, &memory);
             }},
            {"ra_prefix_create",
             [](void* h) {
                 Prefix out;
                 return ra_prefix_create(as<ra_cache>(h), nullptr, 1, out.out());
             }},
            {"ra_sequence_attach",
             [](void* h) {
                 Sequence out;
                 return ra_sequence_attach(as<ra_cache>(h), nullptr, out.out());
             }},
            {"ra_batch_memory",
             [](void* h) {
                 int64_t scratch = 0, metadata = 0;
                 return ra_batch_memory(as<ra_cache>(h), &options, &scratch, &metadata);
             }},
            {"ra_batch_create", [](void* h) {
                 Batch out;
                 return ra_batch_create(as<ra_cache>(h), &options, out.out());
             }}};
}

std::vector<Call> prefix_calls() {
    return {{"ra_prefix_write",
             [](void* h) {
                 const auto kv = kv_args();
                 return ra_prefix_write(as<ra_prefix>(h), 0, 0, &kv, nullptr);
             }},
            {"ra_prefix_read",
             [](void* h) {
                 const auto kv = kv_args();
                 return ra_prefix_read(as<ra_prefix>(h), 0, 0, &kv, nullptr);
             }},
            {"ra_prefix_seal", [](void* h) { return ra_prefix_seal(as<ra_prefix>(h), nullptr); }},
            {"ra_prefix_split",
             [](void* h) {
                 Prefix out;
                 return ra_prefix_split(as<ra_prefix>(h), 1, out.out());
             }},
            {"ra_prefix_length", [](void* h) {
                 int64_t own = 0, total = 0;
                 return ra_prefix_length(as<ra_prefix>(h), &own, &total);
             }}};
}

std::vector<Call> sequence_calls(const Fixture& f) {
    return {{"ra_prefix_from_sequence",
             [](void* h) {
                 Prefix out;
                 return ra_prefix_from_sequence(as<ra_sequence>(h), -1, out.out());
             }},
            {"ra_sequence_fork",
             [](void* h) {
                 Sequence out;
                 return ra_sequence_fork(as<ra_sequence>(h), out.out());
             }},
            {"ra_sequence_truncate",
             [](void* h) { return ra_sequence_truncate(as<ra_sequence>(h), 0); }},
            {"ra_sequence_length",
             [](void* h) {
                 int64_t length = 0, min = 0;
                 return ra_sequence_length(as<ra_sequence>(h), &length, &min);
             }},
            {"ra_sequence_pages",
             [](void* h) {
                 int64_t count = 0;
                 return ra_sequence_pages(as<ra_sequence>(h), 0, nullptr, 0, &count);
             }},
            {"ra_batch_begin",
             [&](void* h) {
                 Input input({as<ra_sequence>(h)});
                 return ra_batch_begin(f.batch, &input.fields, nullptr);
             }},
            {"ra_batch_pages_needed", [&](void* h) {
                 Input input({as<ra_sequence>(h)});
                 int64_t pages = 0;
                 return ra_batch_pages_needed(f.batch, &input.fields, 0, &pages);
             }}};
}

std::vector<Call> batch_calls() {
    static const auto input = batch_input();
    static const auto args = attend_args();
    return {
        {"ra_batch_pages_needed",
         [](void* h) {
             int64_t pages = 0;
             return ra_batch_pages_needed(as<ra_batch>(h), &input, 0, &pages);
         }},
        {"ra_batch_begin",
         [](void* h) { return ra_batch_begin(as<ra_batch>(h), &input, nullptr); }},
        {"ra_batch_begin_dummy",
         [](void* h) { return ra_batch_begin_dummy(as<ra_batch>(h), 1, 1, 1, nullptr); }},
        {"ra_batch_attend",
         [](void* h) { return ra_batch_attend(as<ra_batch>(h), 0, &args, nullptr); }},
        {"ra_batch_attend_worker",
         [](void* h) { return ra_batch_attend_worker(as<ra_batch>(h), 0, &args, 0, 1); }},
        {"ra_batch_commit",
         [](void* h) { return ra_batch_commit(as<ra_batch>(h), nullptr, 0, nullptr, 0, nullptr); }},
        {"ra_batch_abort", [](void* h) { return ra_batch_abort(as<ra_batch>(h), nullptr); }},
        {"ra_batch_query", [](void* h) {
             int64_t value = 0;
             return ra_batch_query(as<ra_batch>(h), 0, RA_PLAN_INFO_ITEMS, &value);
         }}};
}

void check_calls(const std::vector<Call>& calls, const std::vector<void*>& bad) {
    for (const Call& call : calls)
        for (void* handle : bad) {
            CAPTURE(handle);
            check_refused(call.with(handle), RA_ERROR_HANDLE, {call.name});
        }
}

// Handles of every kind but one, stale ones, and numbers that never were handles.
std::vector<void*> bad_handles(const Fixture& fixture, void* alike, void* stale) {
    static int stack_object = 0;
    std::vector<void*> bad = {nullptr, stale, &stack_object, reinterpret_cast<void*>(uintptr_t{1}),
                              reinterpret_cast<void*>(UINTPTR_MAX)};
    for (void* handle :
         std::vector<void*>{fixture.context.get(), fixture.model.get(), fixture.cache.get(),
                            fixture.prefix.get(), fixture.sequence.get(), fixture.batch.get()})
        if (handle != alike)
            bad.push_back(handle);
    return bad;
}

}  // namespace

TEST_CASE("calls refuse every handle that is not a live one of their kind") {
    Fixture fixture;
    Fixture gone;
    void* stale[] = {gone.context.get(), gone.model.get(),    gone.cache.get(),
                     gone.prefix.get(),  gone.sequence.get(), gone.batch.get()};
    gone.batch.reset();
    gone.sequence.reset();
    gone.prefix.reset();
    gone.cache.reset();
    gone.model.reset();
    gone.context.reset();
    check_calls(context_calls(), bad_handles(fixture, fixture.context, stale[0]));
    check_calls(model_calls(fixture), bad_handles(fixture, fixture.model, stale[1]));
    check_calls(cache_calls(), bad_handles(fixture, fixture.cache, stale[2]));
    check_calls(prefix_calls(), bad_handles(fixture, fixture.prefix, stale[3]));
    check_calls(sequence_calls(fixture), bad_handles(fixture, fixture.sequence, stale[4]));
    check_calls(batch_calls(), bad_handles(fixture, fixture.batch, stale[5]));
    CHECK(ra_prefix_seal(fixture.prefix, nullptr) == RA_ERROR_STATE);  // and all are well
    CHECK(length_of(fixture.sequence) == 8);
}

TEST_CASE("release takes null, stale, foreign and twice, and does nothing") {
    Fixture fixture;
    Sequence extra;
    ok(ra_sequence_fork(fixture.sequence, extra.out()));
    const ra_sequence stale = extra;
    extra.reset();
    ra_sequence_release(stale);
    ra_sequence_release(nullptr);
    static int not_a_handle = 0;
    for (void* bad : {static_cast<void*>(&not_a_handle), static_cast<void*>(stale),
                      reinterpret_cast<void*>(UINTPTR_MAX)}) {
        ra_context_release(as<ra_context>(bad));
        ra_model_release(as<ra_model>(bad));
        ra_cache_release(as<ra_cache>(bad));
        ra_prefix_release(as<ra_prefix>(bad));
        ra_sequence_release(as<ra_sequence>(bad));
        ra_batch_release(as<ra_batch>(bad));
    }
    ra_prefix_release(as<ra_prefix>(fixture.cache.get()));  // alive, but no prefix
    ra_cache_release(as<ra_cache>(fixture.prefix.get()));
    CHECK(length_of(fixture.sequence) == 8);
    CHECK(free_pages(fixture.cache, 0) == 15);
}

TEST_CASE("a handle is not given out again soon after its release") {
    Fixture fixture;
    std::vector<ra_sequence> old;
    for (int i = 0; i < 200; ++i) {
        Sequence sequence;
        ok(ra_sequence_attach(fixture.cache, fixture.prefix, sequence.out()));
        old.push_back(sequence);
    }
    Sequence live;
    ok(ra_sequence_attach(fixture.cache, fixture.prefix, live.out()));
    for (ra_sequence stale : old) {
        int64_t length = 0, min = 0;
        CHECK(ra_sequence_length(stale, &length, &min) == RA_ERROR_HANDLE);
    }
}

TEST_CASE("objects keep what they need: every order of release is safe") {
    std::vector<int> order = {0, 1, 2, 3, 4, 5};
    do {
        Fixture fixture;
        Input input({fixture.sequence});
        ok(ra_batch_begin(fixture.batch, &input.fields, nullptr));
        const std::function<void()> releases[] = {
            [&] { fixture.context.reset(); },  [&] { fixture.model.reset(); },
            [&] { fixture.cache.reset(); },    [&] { fixture.prefix.reset(); },
            [&] { fixture.sequence.reset(); }, [&] { fixture.batch.reset(); }};
        for (int which : order)
            releases[which]();
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("an open batch works on when everything else has been released") {
    Fixture fixture;
    Input input({fixture.sequence});
    ok(ra_batch_begin(fixture.batch, &input.fields, nullptr));
    fixture.context.reset();
    fixture.model.reset();
    fixture.prefix.reset();
    fixture.sequence.reset();
    fixture.cache.reset();
    AttendArrays arrays;
    ok(ra_batch_attend(fixture.batch, 0, &arrays.args, nullptr));
    ok(ra_batch_commit(fixture.batch, nullptr, 0, nullptr, 0, nullptr));
}

TEST_CASE("a handle released twice at once, and used while it is released, is refused or served") {
    for (int round = 0; round < 50; ++round) {
        Fixture fixture;
        const ra_sequence victim = fixture.sequence;
        std::atomic<int> strange{0};
        const auto abuse = [&] {
            for (int i = 0; i < 20; ++i) {
                int64_t length = 0, min = 0;
                const ra_status status = ra_sequence_length(victim, &length, &min);
                strange += status != RA_OK && status != RA_ERROR_HANDLE;
                Sequence twin;
                const ra_status forked = ra_sequence_fork(victim, twin.out());
                strange += forked != RA_OK && forked != RA_ERROR_HANDLE;
                if (i == 10)
                    ra_sequence_release(victim);
            }
        };
        std::thread first(abuse), second(abuse), third(abuse);
        first.join();
        second.join();
        third.join();
        CHECK(strange == 0);
        fixture.prefix.reset();
        CHECK(free_pages(fixture.cache, 0) == 16);
    }
}

TEST_CASE("one batch used from two threads at once answers busy or serves, and stays whole") {
    Fixture fixture;
    std::atomic<int> strange{0}, committed{0};
    const auto use = [&] {
        Input input({fixture.sequence});
        AttendArrays arrays;
        for (int i = 0; i < 200; ++i) {
            for (const ra_status status :
                 {ra_batch_begin(fixture.batch, &input.fields, nullptr),
                  ra_batch_attend(fixture.batch, 0, &arrays.args, nullptr)})
                strange += status != RA_OK && status != RA_ERROR_BUSY && status != RA_ERROR_STATE;
            const ra_status status = ra_batch_abort(fixture.batch, nullptr);
            strange += status != RA_OK && status != RA_ERROR_BUSY && status != RA_ERROR_STATE;
            committed += status == RA_OK;
        }
    };
    std::thread first(use), second(use);
    first.join();
    second.join();
    CHECK(strange == 0);
    CHECK(committed > 0);
    ra_batch_abort(fixture.batch, nullptr);
    CHECK(length_of(fixture.sequence) == 8);
    CHECK(free_pages(fixture.cache, 0) == 15);
}

}  // namespace relayattn::test
