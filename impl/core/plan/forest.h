// What the planner is given: the tree of KV runs, and the rows that look at it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "impl/core/plan/work_list.h"

namespace relayattn {

// Consecutive tokens of one node.
struct Run {
    int32_t parent;  // an earlier run, -1 = root
    int32_t table_offset;
    int32_t first_slot;
    int32_t length;
    int32_t position;  // of its first token
};

// The new tokens of one sequence, and the KV that only it sees: its own tail, which costs the
// planner less than a run does.
struct Row {
    int32_t run;  // the last run of its chain, -1 = none
    int32_t first_token;
    int32_t num_tokens;
    Piece tail{};  // goes on from that run; num_tokens 0 = nothing does
};

// The caller has filled table, tokens, slots and padding of `work`; the planner adds the rest.
struct Forest {
    std::vector<Run> runs;  // parents before children
    std::vector<Row> rows;

    void clear() {
        runs.clear();
        rows.clear();
    }
};

enum class PlanMode : int32_t { automatic = 0, flat = 1, relay = 2 };

// What one plan costs and does, for ra_batch_query and for tests.
struct PlanSummary {
    int64_t items = 0;
    int64_t runs = 0;
    int64_t relay_runs = 0;
    int64_t partials = 0;
    int64_t kv_bytes = 0;
    int64_t predicted_ns = 0;
};

}  // namespace relayattn
