// Every allocation of a scenario fails once: the call that meets it says so and changes nothing,
// the same call then succeeds, and the scenario ends with the right outputs.
#include "faults.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "mirror_step.h"

namespace relayattn::test {
namespace {

// Runs calls until the one allocation that is to fail has been met.
class Faulty {
  public:
    explicit Faulty(int64_t nth) : left_(nth) {}

    // `unchanged` describes the state that a failing call must leave alone.
    void call(const std::string& name, const std::function<ra_status()>& function,
              const std::function<std::vector<int64_t>()>& state = {}) {
        if (met_)
            return ok(function());
        const auto before = state ? state() : std::vector<int64_t>{};
        faults::fail_allocation(left_);
        const ra_status status = function();
        const auto count = faults::disarm();
        left_ -= count.allocations;
        met_ = count.refused;
        if (status == RA_OK)
            return;
        INFO(name);
        REQUIRE(met_);
        CHECK(std::string(ra_status_name(status)) == "RA_ERROR_MEMORY");
        CHECK(last_error().find(name) != std::string::npos);
        if (state)
            CHECK(state() == before);
        ok(function());
    }

    bool met() const { return met_; }

  private:
    int64_t left_;
    bool met_ = false;
};

LayerSpec windowed_layer() {
    LayerSpec layer;
    layer.window_kind = RA_WINDOW_SLIDING;
    layer.window = 12;
    return layer;
}

// Building a context, a model and a cache.
bool build_with_fault(int64_t nth) {
    Faulty faulty(nth);
    auto options = context_options();
    options.backend = RA_BACKEND_CPU;
    options.num_threads = 2;
    Context context;
    Model model;
    Cache cache;
    Batch batch;
    faulty.call("ra_context_create", [&] { return ra_context_create(&options, context.out()); });
    faulty.call("ra_model_create", [&] { return ra_model_create(2, model.out()); });
    const auto full = options_of(LayerSpec{}), window = options_of(windowed_layer());
    faulty.call("ra_model_set_layers", [&] { return ra_model_set_layers(model, 0, 1, &full); });
    faulty.call("ra_model_set_layers", [&] { return ra_model_set_layers(model, 1, 1, &window); });
    auto sizes = cache_options();
    sizes.capacity_tokens = 256;
    int64_t bytes = 0, scratch = 0, metadata = 0;
    faulty.call("ra_context_supports", [&] { return ra_context_supports(context, model, 16, 0); });
    faulty.call("ra_cache_memory", [&] { return ra_cache_memory(context, model, &sizes, &bytes); });
    faulty.call("ra_cache_create",
                [&] { return ra_cache_create(context, model, &sizes, cache.out()); });
    const auto plan = plan_options();
    faulty.call("ra_batch_memory",
                [&] { return ra_batch_memory(cache, &plan, &scratch, &metadata); });
    faulty.call("ra_batch_create", [&] { return ra_batch_create(cache, &plan, batch.out()); });
    CHECK(free_pages(cache, 0) == total_pages(cache, 0));
    return faulty.met();
}

// A prefix, a child, forks, a split, steps with commit and abort on two layer groups.
class Life {
  public:
    explicit Life(int64_t nth)
        : faulty_(nth), mirror_({{LayerSpec{}, windowed_layer()}, 16, 512, 0, 1}, 1) {}

    bool run() {
        make_prefixes();
        batch_ = mirror_.batch({RA_MODE_AUTO, RA_PLAN_TREE});
        attach(a_, child_);
        attach(b_, root_);
        step({&a_, &b_}, 5, false);
        call("ra_sequence_fork", [&] { return ra_sequence_fork(a_.handle, c_.handle.out()); });
        c_.tokens = a_.tokens;
        step({&a_, &b_, &c_}, 2, true);
        truncate(b_, b_.tokens.size() - 1);
        split();
        freeze();
        step({&a_, &b_, &c_}, 1, false);
        step({&a_, &b_, &c_}, 1, false);  // goes on from the last plan
        look();
        run_step(mirror_, batch_, plain_step({&a_, &b_, &c_}));
        release_everything();
        return faulty_.met();
    }

  private:
    void call(const std::string& name, const std::function<ra_status()>& function) {
        faulty_.call(name, function, [this] { return state(); });
    }

    // Lengths of everything that lives, and the free pages.
    std::vector<int64_t> state() const {
        auto numbers = mirror_.free_pages();
        for (const MirrorSequence* sequence : {&a_, &b_, &c_})
            if (sequence->handle != nullptr) {
                numbers.push_back(length_of(sequence->handle));
                numbers.push_back(min_length_of(sequence->handle));
            }
        for (const MirrorPrefix* prefix : {&root_, &child_})
            if (prefix->handle != nullptr) {
                int64_t own = 0, total = 0;
                ok(ra_prefix_length(prefix->handle, &own, &total));
                numbers.push_back(own);
                numbers.push_back(total);
            }
        return numbers;
    }

    void make_prefix(MirrorPrefix& prefix, const MirrorPrefix* parent, int64_t num_tokens) {
        const ra_prefix above = parent != nullptr ? parent->handle.get() : nullptr;
        call("ra_prefix_create", [&] {
            return ra_prefix_create(mirror_.cache(), above, num_tokens, prefix.handle.out());
        });
        if (parent != nullptr)
            prefix.tokens = parent->tokens;
        for (int64_t i = 0; i < num_tokens; ++i)
            prefix.tokens.push_back(mirror_.new_token());
        for (int64_t layer = 0; layer < mirror_.num_layers(); ++layer)
            write(prefix, layer);
        call("ra_prefix_seal", [&] { return ra_prefix_seal(prefix.handle, nullptr); });
    }

    void write(const MirrorPrefix& prefix, int64_t layer) {
        const int64_t own = mirror_.own_length(prefix);
        StridedArray k({own, 2, 32, RA_F32}, Layout::dense), v({own, 2, 32, RA_F32}, Layout::dense);
        const auto first = static_cast<int64_t>(prefix.tokens.size()) - own;
        std::vector<float> keys, values;
        for (int64_t i = 0; i < own; ++i) {
            const Token& token = *prefix.tokens[static_cast<size_t>(first + i)];
            const auto& key = token.k[static_cast<size_t>(layer)];
            const auto& value = token.v[static_cast<size_t>(layer)];
            keys.insert(keys.end(), key.begin(), key.end());
            values.insert(values.end(), value.begin(), value.end());
        }
        k.write(keys);
        v.write(values);
        auto kv = kv_args();
        kv.k = k.view();
        kv.v = v.view();
        kv.num_tokens = own;
        call("ra_prefix_write",
             [&] { return ra_prefix_write(prefix.handle, layer, 0, &kv, nullptr); });
    }

    void make_prefixes() {
        make_prefix(root_, nullptr, 20);
        make_prefix(child_, &root_, 7);
    }

    void attach(MirrorSequence& sequence, const MirrorPrefix& prefix) {
        call("ra_sequence_attach", [&] {
            return ra_sequence_attach(mirror_.cache(), prefix.handle, sequence.handle.out());
        });
        sequence.tokens = prefix.tokens;
    }

    void step(const std::vector<MirrorSequence*>& rows, int64_t q_len, bool tree) {
        auto spec = plain_step(rows, q_len);
        spec.tree = tree;
        for (bool commits : {false, true}) {
            MirrorStep step(mirror_, spec);
            int64_t pages = 0;
            call("ra_batch_pages_needed",
                 [&] { return ra_batch_pages_needed(batch_, &step.input(), 0, &pages); });
            call("ra_batch_begin", [&] { return ra_batch_begin(batch_, &step.input(), nullptr); });
            step.adopt(batch_);
            step.attend_every_layer();
            if (!commits) {
                call("ra_batch_abort", [&] { return ra_batch_abort(batch_, nullptr); });
                continue;
            }
            std::vector<int64_t> kept(rows.size(), 1), index(rows.size(), q_len - 1);
            const auto num = static_cast<int64_t>(rows.size());
            call("ra_batch_commit", [&] {
                return ra_batch_commit(batch_, kept.data(), num, index.data(), num, nullptr);
            });
            step.keep(kept, index);
        }
    }

    void truncate(MirrorSequence& sequence, size_t length) {
        call("ra_sequence_truncate",
             [&] { return ra_sequence_truncate(sequence.handle, static_cast<int64_t>(length)); });
        sequence.tokens.resize(length);
    }

    void split() {
        Prefix head;
        call("ra_prefix_split", [&] { return ra_prefix_split(child_.handle, 5, head.out()); });
        CHECK(mirror_.own_length(child_) == 2);
    }

    void freeze() {
        Prefix frozen;
        call("ra_prefix_from_sequence",
             [&] { return ra_prefix_from_sequence(a_.handle, -1, frozen.out()); });
    }

    void look() {
        int64_t count = 0;
        std::vector<int32_t> pages(64);
        call("ra_sequence_pages",
             [&] { return ra_sequence_pages(a_.handle, 0, pages.data(), 64, &count); });
        StridedArray k({2, 2, 32, RA_F32}, Layout::dense), v({2, 2, 32, RA_F32}, Layout::dense);
        auto kv = kv_args();
        kv.k = k.view();
        kv.v = v.view();
        kv.num_tokens = 2;
        call("ra_prefix_read", [&] { return ra_prefix_read(child_.handle, 0, 0, &kv, nullptr); });
    }

    void release_everything() {
        for (MirrorSequence* sequence : {&a_, &b_, &c_})
            sequence->handle.reset();
        root_.handle.reset();
        child_.handle.reset();
        CHECK(mirror_.free_pages() == mirror_.total_pages());
    }

    Faulty faulty_;
    Mirror mirror_;
    Batch batch_;
    MirrorPrefix root_, child_;
    MirrorSequence a_, b_, c_;
};

constexpr int64_t enough = 100000;

// Says so where allocations cannot be counted: then there is nothing to test.
bool can_count() {
    if (!faults::reaches_the_library())
        MESSAGE(
            "not tested: the C++ runtime is linked statically, so that allocations of the "
            "library cannot be made to fail");
    return faults::reaches_the_library();
}

}  // namespace

TEST_CASE("building survives the failure of each of its allocations") {
    if (!can_count())
        return;
    int64_t nth = 1;
    while (build_with_fault(nth)) {
        CAPTURE(nth);
        REQUIRE(++nth < enough);
    }
    CHECK(nth > 10);  // the failures did reach the library
}

TEST_CASE("a life of prefixes, forks and steps survives the failure of each of its allocations") {
    if (!can_count())
        return;
    int64_t nth = 1;
    while (Life(nth).run()) {
        CAPTURE(nth);
        REQUIRE(++nth < enough);
    }
    CHECK(nth > 50);
}

TEST_CASE("attend allocates nothing") {
    if (!can_count())
        return;
    Mirror mirror({{LayerSpec{}}, 16, 512, 0, 1}, 2);
    const auto prefix = mirror.prefix(nullptr, 100);
    auto a = mirror.attach(&prefix), b = mirror.attach(&prefix);
    StridedArray q({2, 4, 32, RA_F32}, Layout::dense), out({2, 4, 32, RA_F32}, Layout::dense);
    StridedArray kv({2, 2, 32, RA_F32}, Layout::dense);
    q.write(mirror.values(2 * 4 * 32, RA_F32));
    kv.write(mirror.values(2 * 2 * 32, RA_F32));
    auto args = attend_args();
    args.q = q.view();
    args.out = out.view();
    args.k = args.v = kv.view();
    for (int32_t mode : modes) {
        const auto batch = mirror.batch({mode, 0});
        MirrorStep step(mirror, plain_step({&a, &b}));
        ok(step.begin(batch));
        faults::fail_allocation(enough);
        const ra_status status = ra_batch_attend(batch, 0, &args, nullptr);
        const auto count = faults::disarm();
        ok(status);
        CHECK(count.allocations == 0);
        ok(step.abort());
    }
}

}  // namespace relayattn::test
