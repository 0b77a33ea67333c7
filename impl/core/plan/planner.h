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
    struct Branch {  // a run, and what lies below it
        int32_t sequences;
        int32_t tokens;
        int32_t first_token;   // in item_tokens: first those of the runs below, then the rows' own
        int32_t next_token;    // where the next of these goes
        int32_t chain;         // index of the chain's first run
        int32_t chain_length;  // KV tokens; at the chain's first run
        int32_t chain_end;     // the chain's last run; at the chain's first run
        int32_t own_above;     // nearest run above that is not relayed, -1 = none
        int32_t own_tokens;    // KV tokens, from the root to here, that rows read for themselves
        bool relayed;          // read once for all below, with its whole chain
        bool under_relay;      // some run above is relayed
    };
    struct Group {  // query tokens, and the KV that items bring them
        const Piece* pieces;
        int32_t num_pieces;
        int32_t kv_tokens;
        int32_t first_token;
        int32_t num_tokens;
    };
    struct Range {
        int64_t begin, end;  // positions
    };
    struct Tile {  // query tokens that one item can hold
        int32_t first, count;
        Range seen;     // what any of them sees
        Range all_see;  // what all of them see
    };

    // The tree (planner.cpp).
    // -1: what is above all roots.
    Branch& branch_of(int32_t run) {
        return run < 0 ? branches_.back() : branches_[static_cast<size_t>(run)];
    }
    void count_branches();
    void add_below(int32_t run, int32_t sequences, int64_t tokens);
    void link_chains();
    void choose_relays();
    bool is_relayed(const Branch& head) const;
    double place_rows(WorkList& work);
    double relays_ns() const;
    double group_ns(int64_t kv_tokens, int64_t num_tokens) const;
    PlanSummary summary(const WorkList& work, double total_ns) const;

    // From groups to items (planner_items.cpp).
    void emit_all(WorkList& work, double target_ns);
    void emit_relays(WorkList& work, double target_ns);
    void emit_rows(WorkList& work, double target_ns);
    void add_piece(int32_t run);
    int32_t gather_own(int32_t run);
    void emit_group(const Group& group, WorkList& work, double target_ns);
    void emit_tile(const Group& group, const Tile& tile, WorkList& work, double target_ns);
    void emit_invariant(const Group& group, const Tile& tile, Range kv, WorkList& work);
    inline bool emit_alone(const Row& row, int32_t first, WorkList& work, double target_ns);
    void emit_row(const Row& row, int32_t first, int32_t above_tokens, WorkList& work,
                  double target_ns);
    void emit_whole(const Group& group, const Tile& tile, WorkList& work);
    void emit_part(const Group& group, const Tile& tile, Range kv, WorkList& work);
    void add_item(const Tile& tile, int32_t first_piece, int32_t kv_tokens, WorkList& work);
    Tile tile_of(const WorkList& work, int32_t first, int32_t count) const;
    double few_slowness() const;
    int64_t chunk_length(int64_t kv_tokens, int64_t rows, double target_ns) const;

    // Who merges what, and who goes first (planner_order.cpp).
    void number_partials(WorkList& work);
    void merge_tokens(WorkList& work);
    void index_partials(WorkList& work);
    void order_items(WorkList& work);
    void sort_items(WorkList& work);

    const Forest* forest_ = nullptr;
    PlannerOptions options_;
    std::vector<Branch> branches_;     // per run, and one above all roots
    std::vector<int32_t> row_first_;   // per row: its first token in item_tokens, -1 = sees nothing
    std::vector<Piece> group_pieces_;  // of the group that items are made of
    std::vector<int32_t> partials_of_;  // per token
    std::vector<Item> sorted_;
    std::vector<uint16_t> buckets_of_;  // per item
    std::vector<int32_t> buckets_;
    UnitCost unit_;
    int32_t tile_tokens_ = 1;  // most query tokens of an item
    bool has_tree_ = false;
    int64_t relay_runs_ = 0;
    int64_t num_tails_ = 0;
    int64_t own_tokens_ = 0;    // KV tokens that rows read for themselves
    UnitCost::Rate one_token_;  // of a row's only token
    double few_slowness_ = 1;   // of a few-row item, for it does not have its worker to itself
};

}  // namespace relayattn
