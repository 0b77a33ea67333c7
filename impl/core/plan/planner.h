// Makes one step's work list: which runs are read once for all (relay), which once per sequence
// (flat), and how both are cut into items that fill the device.
//
//   forest     root ──┬── a ── s1, s2        relayed chains: one group of items each over all
//   tokens
//                     └── b ── s3            below; the rest of a row's chain: one group of its own
//
// A chain of runs with the same sequences below is one group: forks and splits cost no items. Query
// tokens are laid out in tree order, so every group's tokens are one range of item_tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "impl/core/plan/cost_model.h"
#include "impl/core/plan/forest.h"
#include "impl/core/plan/work_list.h"

namespace relayattn {

struct PlannerOptions {
    DeviceFigures figures;
    CostShape shape;
    int64_t page_size = 1;
    PlanMode mode = PlanMode::automatic;
    bool batch_invariant = false;
    int64_t max_partials = 0;  // cut no finer than this allows; 0 = no limit
};

class Planner {
  public:
    // Fills items, pieces, item_tokens and everything about partials. tokens' order is the rows'.
    PlanSummary plan(const Forest& forest, const PlannerOptions& options, WorkList& work);

  private:
    struct Branch {  // what lies below a run
        int32_t sequences;
        int32_t tokens;
        int32_t first_token;   // in item_tokens
        int32_t chain;         // index of the chain's first run
        int32_t chain_length;  // KV tokens; at the chain's first run
        bool relayed;          // at the chain's first run
        bool under_relay;      // some ancestor chain is relayed
    };
    struct Group {
        int32_t first_piece;  // in group_pieces_
        int32_t num_pieces;
        int32_t first_token;
        int32_t num_tokens;
        int32_t kv_tokens;
    };
    struct Range {
        int64_t begin, end;  // positions
    };

    void count_branches();
    void order_tokens(WorkList& work);
    void choose_relays();
    void find_groups();
    void add_piece(const Run& run);
    double total_ns() const;
    void emit_all(WorkList& work, double target_ns);
    void emit_group(const Group& group, WorkList& work, double target_ns);
    void emit_tile(const Group& group, int32_t first, int32_t count, WorkList& work,
                   double target_ns);
    void emit_item(const Group& group, int32_t first, int32_t count, Range kv, Range all_see,
                   WorkList& work);
    int64_t chunk_length(int64_t kv_tokens, int64_t rows, double target_ns) const;
    void assign_partials(WorkList& work);
    void order_items(WorkList& work);

    const Forest* forest_ = nullptr;
    PlannerOptions options_;
    std::vector<Branch> branches_;  // per run
    std::vector<int32_t> cursor_;
    std::vector<int32_t> row_first_;  // per row: its first token in item_tokens
    std::vector<Group> groups_;
    std::vector<Piece> group_pieces_;
    std::vector<int32_t> partials_of_;  // per token
    std::vector<Item> sorted_;
    std::vector<uint16_t> bucket_of_;  // per item
    std::vector<int32_t> buckets_;
    UnitCost unit_;
    int32_t tile_tokens_ = 1;  // most query tokens of an item
    bool has_tree_ = false;
};

}  // namespace relayattn
