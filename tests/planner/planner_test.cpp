#include "impl/core/plan/planner.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "planner/coverage.h"

namespace relayattn::test {
namespace {

struct Step {
    Forest forest;
    WorkList work;
    int64_t page_size = 16;
};

class Draw {
  public:
    explicit Draw(uint32_t seed) : random_(seed) {}

    int32_t between(int32_t least, int32_t most) {
        return std::uniform_int_distribution<int32_t>(least, most)(random_);
    }
    bool one_in(int32_t n) { return between(1, n) == 1; }

    // A run of `length` tokens on fresh pages, entered anywhere in its first page.
    int32_t add_run(Step& step, int32_t parent, int32_t position, int32_t length) {
        const auto page_size = static_cast<int32_t>(step.page_size);
        const int32_t slot = between(0, page_size - 1);
        const auto offset = static_cast<int32_t>(step.work.page_table.size());
        for (int32_t p = 0; p < (slot + length + page_size - 1) / page_size; ++p)
            step.work.page_table.push_back(next_page_++ * 7 % 100003);
        step.forest.runs.push_back({parent, offset, slot, length, position});
        return static_cast<int32_t>(step.forest.runs.size()) - 1;
    }

    Step step() {
        Step step;
        step.page_size = one_in(3) ? 5 : 16;
        std::vector<int32_t> nodes{-1};
        for (int32_t i = between(0, 5); i > 0; --i) {
            const int32_t parent =
                nodes[static_cast<size_t>(between(0, static_cast<int32_t>(nodes.size()) - 1))];
            nodes.push_back(add_run(step, parent, end_of(step, parent), between(1, 300)));
        }
        for (int32_t i = between(1, 12); i > 0; --i)
            add_row(step,
                    nodes[static_cast<size_t>(between(0, static_cast<int32_t>(nodes.size()) - 1))]);
        return step;
    }

  private:
    static int32_t end_of(const Step& step, int32_t run) {
        if (run < 0)
            return 0;
        const Run& at = step.forest.runs[static_cast<size_t>(run)];
        return at.position + at.length;
    }

    // A run that only one row sees may as well be its tail.
    static void make_tail(Step& step, Row& row) {
        const Run& last = step.forest.runs.back();
        row.run = last.parent;
        row.tail = {last.table_offset, last.first_slot, last.length, last.position};
        step.forest.runs.pop_back();
    }

    void add_row(Step& step, int32_t node) {
        const int32_t q_len = one_in(4) ? between(0, 40) : 1;
        const int32_t own = between(0, 90);
        const int32_t start = end_of(step, node) + own;
        const int32_t length = own + q_len;
        Row row{node, static_cast<int32_t>(step.work.tokens.size()), q_len};
        if (length > 0) {
            row.run = add_run(step, node, end_of(step, node), length);
            if (one_in(2))
                make_tail(step, row);
        }
        const int32_t window = one_in(4) ? between(1, 200) : 1 << 30;
        step.forest.rows.push_back(row);
        for (int32_t j = 0; j < q_len; ++j) {
            const int32_t position = start + j;
            step.work.tokens.push_back(
                {position, std::max(0, position - window + 1), position + 1, start, 0, 0});
        }
    }

    std::mt19937 random_;
    int32_t next_page_ = 0;
};

PlannerOptions options_for(const Step& step, PlanMode mode) {
    PlannerOptions options;
    options.shape = {{2, 64, 64, Dtype::bf16}, 4};
    options.page_size = step.page_size;
    options.mode = mode;
    options.figures.num_workers = 7;
    options.figures.tile_rows = 32;
    options.figures.chunk_granule = 16;
    options.figures.min_chunk = 32;
    options.figures.invariant_chunk = 64;
    return options;
}

// Every visible key reaches every token through exactly one item; outputs and partials add up.
void check_coverage(const Step& step) {
    const std::vector<TokenCoverage> seen = follow(step.work, step.page_size);
    std::vector<int> partial_users(static_cast<size_t>(step.work.num_partials), 0);
    for (const Row& row : step.forest.rows) {
        const auto chain = chain_slots(step.forest, step.work, row, step.page_size);
        for (int32_t t = 0; t < row.num_tokens; ++t) {
            const auto index = static_cast<size_t>(row.first_token + t);
            const QueryToken& token = step.work.tokens[index];
            const TokenCoverage& coverage = seen[index];
            for (int32_t p = token.visible_begin; p < token.visible_end; ++p) {
                const auto found = coverage.slots.find(p);
                REQUIRE(found != coverage.slots.end());
                REQUIRE(found->second.size() == 1);
                REQUIRE(found->second.front() == chain.at(p));
            }
            CHECK(coverage.hidden == 0);
            if (token.num_partials < 0) {
                CHECK(coverage.items == 1);
                CHECK(coverage.direct_items == 1);
            } else {
                CHECK(coverage.direct_items == 0);
                CHECK(coverage.items == token.num_partials);
            }
            for (const int32_t partial : coverage.partials)
                ++partial_users[static_cast<size_t>(partial)];
        }
    }
    for (const int users : partial_users)
        REQUIRE(users == 1);
}

bool same(const WorkList& a, const WorkList& b) {
    const auto equal = [](const auto& x, const auto& y) {
        return x.size() == y.size() &&
               (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(x[0])) == 0);
    };
    return equal(a.items, b.items) && a.num_many == b.num_many && equal(a.pieces, b.pieces) &&
           equal(a.item_tokens, b.item_tokens) && equal(a.tokens, b.tokens) &&
           equal(a.partial_index, b.partial_index) && equal(a.merged_tokens, b.merged_tokens) &&
           a.num_partials == b.num_partials;
}

constexpr PlanMode all_modes[] = {PlanMode::automatic, PlanMode::flat, PlanMode::relay};

}  // namespace

TEST_CASE("every visible key reaches every token through exactly one item") {
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        for (const PlanMode mode : all_modes) {
            for (const bool invariant : {false, true}) {
                Step step = Draw(seed).step();
                PlannerOptions options = options_for(step, mode);
                options.batch_invariant = invariant;
                Planner().plan(step.forest, options, step.work);
                check_coverage(step);
            }
        }
    }
}

TEST_CASE("a planner that made other plans makes the same as a new one") {
    Planner used;
    WorkList work;
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        Step step = Draw(seed).step();
        const PlannerOptions options = options_for(step, all_modes[seed % 3]);
        work.tokens = step.work.tokens;  // the rest holds what the last plan left
        used.plan(step.forest, options, work);
        Planner().plan(step.forest, options, step.work);
        CHECK(same(work, step.work));
    }
}

TEST_CASE("a tail costs and counts as the run that it could be") {
    for (const PlanMode mode : all_modes) {
        Step runs;
        Draw draw(17);
        const int32_t node = draw.add_run(runs, -1, 0, 700);
        for (int32_t i = 0; i < 9; ++i) {
            const int32_t tail = draw.add_run(runs, node, 700, 20 + 30 * i);
            runs.forest.rows.push_back({tail, i, 1});
            runs.work.tokens.push_back({719 + 30 * i, 0, 720 + 30 * i, 719 + 30 * i, 0, 0});
        }
        Step tails = runs;
        for (Row& row : tails.forest.rows) {
            const Run& run = runs.forest.runs[static_cast<size_t>(row.run)];
            row.run = node;
            row.tail = {run.table_offset, run.first_slot, run.length, run.position};
        }
        tails.forest.runs.resize(1);
        const PlannerOptions options = options_for(runs, mode);
        const PlanSummary a = Planner().plan(runs.forest, options, runs.work);
        const PlanSummary b = Planner().plan(tails.forest, options, tails.work);
        CHECK(same(runs.work, tails.work));
        CHECK(a.items == b.items);
        CHECK(a.runs == b.runs);
        CHECK(a.relay_runs == b.relay_runs);
        CHECK(a.partials == b.partials);
        CHECK(a.kv_bytes == b.kv_bytes);
        CHECK(a.predicted_ns == b.predicted_ns);
    }
}

TEST_CASE("a plan never exceeds its partials, and still covers every key") {
    for (uint32_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        Step step = Draw(seed).step();
        PlannerOptions options = options_for(step, PlanMode::relay);
        options.max_partials = 1 + seed % 20;
        const PlanSummary summary = Planner().plan(step.forest, options, step.work);
        CHECK(summary.partials <= options.max_partials);
        check_coverage(step);
    }
}

TEST_CASE("many-row items come first, and each part longest first") {
    for (uint32_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        Step step = Draw(seed).step();
        const PlannerOptions options = options_for(step, PlanMode::relay);
        Planner().plan(step.forest, options, step.work);
        int64_t last = 0;
        for (size_t i = 0; i < step.work.items.size(); ++i) {
            const Item& item = step.work.items[i];
            const int64_t rows = item.num_tokens * options.shape.rows_per_token;
            const bool many = static_cast<int32_t>(i) < step.work.num_many;
            CHECK(many == (rows > options.figures.few_rows));
            CHECK(rows <= options.figures.tile_rows);
            const bool starts = i == 0 || static_cast<int32_t>(i) == step.work.num_many;
            // The order is by coarse buckets: a fifth out of order is within one.
            if (!many && !starts)
                CHECK(static_cast<double>(item.num_kv_tokens) <= 1.2 * static_cast<double>(last));
            last = item.num_kv_tokens;
        }
    }
}

TEST_CASE("one sequence plans the same work in every mode") {
    for (const int32_t prefix : {1, 64, 4096}) {
        Step step;
        Draw draw(7);
        const int32_t node = draw.add_run(step, -1, 0, prefix);
        const int32_t tail = draw.add_run(step, node, prefix, 10);
        step.forest.rows.push_back({tail, 0, 1});
        step.work.tokens.push_back({prefix + 9, 0, prefix + 10, prefix + 9, 0, 0});
        const auto items_in = [&](PlanMode mode) {
            Step copy = step;
            const PlanSummary summary =
                Planner().plan(copy.forest, options_for(copy, mode), copy.work);
            CHECK(summary.relay_runs == 0);
            return summary.items;
        };
        CHECK(items_in(PlanMode::automatic) == items_in(PlanMode::flat));
        CHECK(items_in(PlanMode::automatic) == items_in(PlanMode::relay));
    }
}

TEST_CASE("a long shared prefix is relayed, a single shared token is not") {
    const auto relay_runs = [](int32_t prefix) {
        Step step;
        Draw draw(11);
        const int32_t node = draw.add_run(step, -1, 0, prefix);
        for (int32_t i = 0; i < 8; ++i) {
            const int32_t tail = draw.add_run(step, node, prefix, 20);
            step.forest.rows.push_back({tail, i, 1});
            step.work.tokens.push_back({prefix + 19, 0, prefix + 20, prefix + 19, 0, 0});
        }
        return Planner()
            .plan(step.forest, options_for(step, PlanMode::automatic), step.work)
            .relay_runs;
    };
    CHECK(relay_runs(4096) == 1);
    CHECK(relay_runs(1) == 0);
}

TEST_CASE("a chain of forks with the same sequences below makes no more items than one run") {
    const auto items_of = [](int32_t pieces) {
        Step step;
        Draw draw(13);
        int32_t node = -1;
        for (int32_t i = 0; i < pieces; ++i)
            node = draw.add_run(step, node, i * (960 / pieces), 960 / pieces);
        for (int32_t i = 0; i < 6; ++i) {
            const int32_t tail = draw.add_run(step, node, 960, 20);
            step.forest.rows.push_back({tail, i, 1});
            step.work.tokens.push_back({979, 0, 980, 979, 0, 0});
        }
        const PlanSummary summary =
            Planner().plan(step.forest, options_for(step, PlanMode::relay), step.work);
        check_coverage(step);
        return summary.items;
    };
    CHECK(items_of(60) == items_of(1));
}

}  // namespace relayattn::test
