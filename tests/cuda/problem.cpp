#include "problem.h"

#include <algorithm>
#include <limits>
#include <sstream>

#include "support/dtype.h"

namespace relayattn::test {
namespace {

// Rows of an item on one KV head that every kernel takes: as the planner gives them by the figures.
constexpr int64_t max_few_rows = 8;

// A stretch of tokens with pages of its own.
struct Run {
    int parent = -1;
    int32_t position = 0, length = 0, first_slot = 0;
    std::vector<int32_t> pages;

    int32_t end() const { return position + length; }
};

struct Sequence {
    std::vector<int> chain;  // runs, root first; the last is its own
    int32_t first_token = 0, q_len = 0, length = 0;
    bool absent = false;
};

class Maker {
  public:
    Maker(const ProblemOptions& options, Random& random) : options_(options), random_(random) {}

    Problem make() {
        problem_.options = options_;
        problem_.work.padded_tokens = options_.padded_tokens;
        make_runs();
        give_pages();
        make_tokens();
        make_items();
        make_partials();
        make_values();
        return std::move(problem_);
    }

  private:
    int32_t draw(int64_t low, int64_t high) {
        return static_cast<int32_t>(random_.integer(low, high));
    }

    void make_runs() {
        for (int64_t i = 0; i < options_.num_nodes; ++i) {
            Run run;
            run.parent = draw(-1, i - 1);
            run.position = run.parent < 0 ? 0 : runs_[static_cast<size_t>(run.parent)].end();
            run.length = draw(1, options_.max_prefix);
            runs_.push_back(run);
        }
        for (int64_t i = 0; i < options_.num_sequences; ++i)
            make_sequence();
    }

    void make_sequence() {
        Sequence sequence;
        Run own;
        own.parent = draw(-1, options_.num_nodes - 1);
        own.position = own.parent < 0 ? 0 : runs_[static_cast<size_t>(own.parent)].end();
        sequence.q_len = draw(options_.num_sequences > 1 ? 0 : 1, options_.max_q_len);
        sequence.absent = options_.odd_rows && random_.chance(20);
        const int32_t tail = draw(0, options_.max_tail);
        sequence.length = own.position + tail;
        own.length = tail + (sequence.absent ? 0 : sequence.q_len);
        for (int run = own.parent; run >= 0; run = runs_[static_cast<size_t>(run)].parent)
            sequence.chain.insert(sequence.chain.begin(), run);
        sequence.chain.push_back(static_cast<int>(runs_.size()));
        runs_.push_back(own);
        sequences_.push_back(sequence);
    }

    void give_pages() {
        int32_t count = 0;
        for (Run& run : runs_) {
            run.first_slot = draw(0, options_.page_size - 1);
            const int64_t pages =
                (run.first_slot + run.length + options_.page_size - 1) / options_.page_size;
            for (int64_t i = 0; i < pages; ++i)
                run.pages.push_back(count++);
        }
        problem_.num_pages = count + 2;  // two stay unused
        std::vector<int32_t> order(static_cast<size_t>(problem_.num_pages));
        for (size_t i = 0; i < order.size(); ++i)
            order[i] = static_cast<int32_t>(i);
        random_.shuffle(order);
        for (Run& run : runs_) {
            table_offset_.push_back(static_cast<int32_t>(problem_.work.page_table.size()));
            for (int32_t& page : run.pages) {
                page = order[static_cast<size_t>(page)];
                problem_.work.page_table.push_back(page);
            }
        }
    }

    int64_t slot_of(const Run& run, int32_t offset) const {
        const int64_t at = run.first_slot + offset;
        return run.pages[static_cast<size_t>(at / options_.page_size)] * options_.page_size +
               at % options_.page_size;
    }

    void make_tokens() {
        for (Sequence& sequence : sequences_) {
            sequence.first_token = static_cast<int32_t>(problem_.work.tokens.size());
            const bool noncausal = options_.odd_rows && random_.chance(20);
            const int32_t span_begin = draw(0, sequence.q_len), span_end = draw(0, sequence.q_len);
            const bool spans = options_.odd_rows && random_.chance(30) && span_begin < span_end;
            for (int32_t i = 0; i < sequence.q_len; ++i) {
                const bool in_span = spans && i >= span_begin && i < span_end;
                problem_.work.tokens.push_back(
                    token_of(sequence, i, noncausal, in_span ? span_end : 0));
                problem_.work.slots.push_back(
                    sequence.absent ? -1 : new_slot(sequence, sequence.length + i));
            }
        }
    }

    int64_t new_slot(const Sequence& sequence, int32_t position) const {
        const Run& own = runs_[static_cast<size_t>(sequence.chain.back())];
        return slot_of(own, position - own.position);
    }

    QueryToken token_of(const Sequence& sequence, int32_t i, bool noncausal, int32_t span_end) {
        QueryToken token{};
        token.position = sequence.length + i;
        token.new_begin = sequence.length;
        token.visible_end = token.position + 1;
        if (noncausal || options_.tree)
            token.visible_end = sequence.length + sequence.q_len;
        token.visible_end = std::max(token.visible_end, sequence.length + span_end);
        if (sequence.absent)
            token.visible_end = sequence.length;
        const Window& window = options_.layer.window;
        const auto size = static_cast<int32_t>(window.size);
        if (window.kind == WindowKind::sliding)
            token.visible_begin = std::max(0, token.position - size + 1);
        if (window.kind == WindowKind::chunked) {
            token.visible_begin = token.position / size * size;
            token.visible_end = std::min(token.visible_end, token.visible_begin + size);
        }
        return token;
    }

    // Each run is relayed (one item for all sequences below) or flat; a sequence's flat runs are
    // one list of pieces, cut anywhere.
    void make_items() {
        std::vector<bool> relay(runs_.size());
        for (size_t run = 0; run < relay.size(); ++run) {
            relay[run] = random_.chance(50);
            if (relay[run])
                cut({static_cast<int>(run)}, tokens_below(static_cast<int>(run)));
        }
        for (const Sequence& sequence : sequences_) {
            std::vector<int> flat;
            for (const int run : sequence.chain)
                if (!relay[static_cast<size_t>(run)])
                    flat.push_back(run);
            cut(flat, tokens_of(sequence));
        }
        order_items();
    }

    std::vector<int32_t> tokens_of(const Sequence& sequence) const {
        std::vector<int32_t> tokens;
        for (int32_t i = 0; i < sequence.q_len; ++i)
            tokens.push_back(sequence.first_token + i);
        return tokens;
    }

    std::vector<int32_t> tokens_below(int run) const {
        std::vector<int32_t> tokens;
        for (const Sequence& sequence : sequences_)
            if (std::count(sequence.chain.begin(), sequence.chain.end(), run) > 0)
                for (const int32_t token : tokens_of(sequence))
                    tokens.push_back(token);
        return tokens;
    }

    void cut(const std::vector<int>& runs, const std::vector<int32_t>& tokens) {
        std::vector<Piece> pieces;
        int32_t room = draw(1, options_.max_item_tokens);
        for (const int index : runs) {
            const Run& run = runs_[static_cast<size_t>(index)];
            for (int32_t done = 0; done < run.length;) {
                const int32_t count = std::min(room, run.length - done);
                pieces.push_back(piece_of(index, done, count));
                done += count;
                room -= count;
                if (room == 0) {
                    add_items(pieces, tokens);
                    pieces.clear();
                    room = draw(1, options_.max_item_tokens);
                }
            }
        }
        add_items(pieces, tokens);
    }

    Piece piece_of(int index, int32_t offset, int32_t count) const {
        const Run& run = runs_[static_cast<size_t>(index)];
        const auto page_size = static_cast<int32_t>(options_.page_size);
        const int32_t slot = run.first_slot + offset;
        return {table_offset_[static_cast<size_t>(index)] + slot / page_size, slot % page_size,
                count, run.position + offset};
    }

    // Items of no more rows than any kernel takes, and often of fewer.
    void add_items(const std::vector<Piece>& pieces, const std::vector<int32_t>& tokens) {
        const int64_t most = std::max<int64_t>(1, options_.tile_rows / options_.layer.group_size());
        for (size_t done = 0; done < tokens.size() && !pieces.empty();) {
            const auto left = static_cast<int64_t>(tokens.size() - done);
            const int64_t count = std::min(left, random_.chance(50) ? most : draw(1, most));
            const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(done);
            add_item(pieces, {from, from + count});
            done += static_cast<size_t>(count);
        }
    }

    void add_item(const std::vector<Piece>& pieces, const std::vector<int32_t>& tokens) {
        WorkList& work = problem_.work;
        Item item{};
        item.first_piece = static_cast<int32_t>(work.pieces.size());
        item.num_pieces = static_cast<int32_t>(pieces.size());
        item.first_token = static_cast<int32_t>(work.item_tokens.size());
        item.num_tokens = static_cast<int32_t>(tokens.size());
        for (const Piece& piece : pieces)
            item.num_kv_tokens += piece.num_tokens;
        for (const int32_t index : tokens) {
            const QueryToken& token = work.tokens[static_cast<size_t>(index)];
            for (const Piece& piece : pieces) {
                const int32_t end = piece.position + piece.num_tokens;
                if (piece.position < token.visible_begin || end > token.visible_end)
                    item.masked = 1;
                if (options_.tree && end > token.new_begin)
                    item.tree = item.masked = 1;
            }
        }
        work.pieces.insert(work.pieces.end(), pieces.begin(), pieces.end());
        work.item_tokens.insert(work.item_tokens.end(), tokens.begin(), tokens.end());
        work.items.push_back(item);
    }

    bool has_many_rows(const Item& item) const {
        return item.num_tokens * options_.layer.group_size() > options_.few_rows;
    }

    void order_items() {
        auto& items = problem_.work.items;
        std::stable_sort(items.begin(), items.end(), [this](const Item& a, const Item& b) {
            const bool a_many = has_many_rows(a), b_many = has_many_rows(b);
            return a_many != b_many ? a_many : a.num_kv_tokens > b.num_kv_tokens;
        });
        problem_.work.num_many = static_cast<int32_t>(std::count_if(
            items.begin(), items.end(), [this](const Item& item) { return has_many_rows(item); }));
    }

    void make_partials() {
        WorkList& work = problem_.work;
        std::vector<std::vector<const Item*>> covering(work.tokens.size());
        for (const Item& item : work.items)
            for (int32_t i = 0; i < item.num_tokens; ++i)
                covering[token_index(item, i)].push_back(&item);
        for (Item& item : work.items) {
            bool alone = true;
            for (int32_t i = 0; i < item.num_tokens; ++i)
                alone = alone && covering[token_index(item, i)].size() == 1;
            item.partial = alone ? -1 : work.num_partials;
            work.num_partials += alone ? 0 : item.num_tokens;
        }
        for (size_t token = 0; token < work.tokens.size(); ++token)
            list_partials(static_cast<int32_t>(token), covering[token]);
    }

    size_t token_index(const Item& item, int32_t i) const {
        return static_cast<size_t>(
            problem_.work.item_tokens[static_cast<size_t>(item.first_token + i)]);
    }

    void list_partials(int32_t token, std::vector<const Item*> items) {
        WorkList& work = problem_.work;
        QueryToken& query = work.tokens[static_cast<size_t>(token)];
        if (items.size() == 1 && items[0]->partial < 0) {
            query.num_partials = -1;
            return;
        }
        const auto position = [&](const Item* item) {
            return work.pieces[static_cast<size_t>(item->first_piece)].position;
        };
        std::sort(items.begin(), items.end(),
                  [&](const Item* a, const Item* b) { return position(a) < position(b); });
        query.first_partial = static_cast<int32_t>(work.partial_index.size());
        query.num_partials = static_cast<int32_t>(items.size());
        work.merged_tokens.push_back(token);
        for (const Item* item : items)
            for (int32_t i = 0; i < item->num_tokens; ++i)
                if (token_index(*item, i) == static_cast<size_t>(token))
                    work.partial_index.push_back(item->partial + i);
    }

    std::vector<float> values(int64_t count, Dtype dtype) {
        std::vector<float> result = random_.normals(count);
        for (float& value : result)
            value = rounded(value, static_cast<int32_t>(dtype));
        return result;
    }

    void make_values() {
        const Layer& layer = options_.layer;
        std::vector<bool> is_new(static_cast<size_t>(problem_.num_pages * options_.page_size));
        for (const int64_t slot : problem_.work.slots)
            if (slot >= 0)
                is_new[static_cast<size_t>(slot)] = options_.append;
        for (const Run& run : runs_)
            for (int32_t i = 0; i < run.length; ++i)
                if (!is_new[static_cast<size_t>(slot_of(run, i))])
                    problem_.written_slots.push_back(slot_of(run, i));
        const auto stored = static_cast<int64_t>(problem_.written_slots.size());
        const int64_t tokens = problem_.num_tokens();
        const int64_t k_row = layer.kv.num_kv_heads * layer.kv.head_dim_k;
        const int64_t v_row = layer.kv.num_kv_heads * layer.kv.head_dim_v;
        problem_.stored_k = values(stored * k_row, layer.kv.dtype);
        problem_.stored_v = values(stored * v_row, layer.kv.dtype);
        problem_.k = values(tokens * k_row, layer.kv.dtype);
        problem_.v = values(tokens * v_row, layer.kv.dtype);
        problem_.q = values(tokens * layer.num_q_heads * layer.kv.head_dim_k, layer.q_dtype);
        if (layer.uses_sinks)
            problem_.sinks = random_.normals(layer.num_q_heads);
        for (int64_t h = 0; layer.uses_alibi && h < layer.num_q_heads; ++h)
            problem_.slopes.push_back(0.5f / static_cast<float>(h + 1));
        if (options_.tree)
            make_tree_mask();
    }

    // Every new token sees itself and any others.
    void make_tree_mask() {
        problem_.tree_stride = options_.max_q_len / 8 + 2;
        problem_.work.tree_stride = problem_.tree_stride;
        problem_.tree_mask.resize(
            static_cast<size_t>(problem_.num_tokens() * problem_.tree_stride));
        for (uint8_t& byte : problem_.tree_mask)
            byte = static_cast<uint8_t>(random_.bits());
        for (const Sequence& sequence : sequences_)
            for (int32_t i = 0; i < sequence.q_len; ++i)
                problem_.tree_mask[static_cast<size_t>(
                    (sequence.first_token + i) * problem_.tree_stride + i / 8)] |=
                    static_cast<uint8_t>(1 << (i % 8));
    }

    const ProblemOptions& options_;
    Random& random_;
    Problem problem_;
    std::vector<Run> runs_;
    std::vector<int32_t> table_offset_;
    std::vector<Sequence> sequences_;
};

}  // namespace

void ProblemOptions::set_limits(const Backend& backend) {
    const DeviceFigures figures = backend.figures(layer);
    few_rows = figures.few_rows;
    tile_rows = figures.tile_rows;
}

Layer layer_of(int64_t q_heads, int64_t kv_heads, int64_t dim_k, int64_t dim_v, Dtype q, Dtype kv,
               Dtype out) {
    Layer layer;
    layer.kv = {kv_heads, dim_k, dim_v, kv};
    layer.num_q_heads = q_heads;
    layer.q_dtype = q;
    layer.out_dtype = out;
    layer.is_set = true;
    layer.softmax_scale = 1 / std::sqrt(static_cast<float>(dim_k));
    return layer;
}

std::string describe(const ProblemOptions& o) {
    std::ostringstream text;
    const Layer& layer = o.layer;
    text << "heads " << layer.num_q_heads << '/' << layer.kv.num_kv_heads << ", dims "
         << layer.kv.head_dim_k << '/' << layer.kv.head_dim_v << ", q "
         << name_of(static_cast<int32_t>(layer.q_dtype)) << ", kv "
         << name_of(static_cast<int32_t>(layer.kv.dtype)) << ", out "
         << name_of(static_cast<int32_t>(layer.out_dtype)) << ", page " << o.page_size
         << ", window " << static_cast<int32_t>(layer.window.kind) << ':' << layer.window.size
         << (layer.uses_sinks ? ", sinks" : "") << (layer.uses_alibi ? ", alibi" : "")
         << (layer.logit_softcap > 0 ? ", softcap" : "") << (o.tree ? ", tree" : "")
         << (o.odd_rows ? ", odd rows" : "") << ", sequences " << o.num_sequences
         << ", q_len up to " << o.max_q_len << ", items up to " << o.max_item_tokens;
    return text.str();
}

Problem make_problem(const ProblemOptions& options, Random& random) {
    return Maker(options, random).make();
}

PlanShape shape_for(const std::vector<Problem>& problems, bool graph) {
    PlanShape shape;
    shape.geometry = problems.front().options.layer.kv;
    shape.page_size = problems.front().options.page_size;
    shape.graph = graph;
    shape.max_tokens = shape.max_sequences = shape.max_items = shape.max_pieces = 1;
    shape.max_table_entries = shape.max_item_tokens = shape.max_partials = 1;
    const auto raise = [](int64_t& bound, auto size) {
        bound = std::max(bound, static_cast<int64_t>(size));
    };
    for (const Problem& problem : problems) {
        raise(shape.max_q_heads, problem.options.layer.num_q_heads);
        raise(shape.max_tokens, problem.num_rows());
        raise(shape.max_sequences, problem.options.num_sequences);
        raise(shape.max_items, problem.work.items.size());
        raise(shape.max_pieces, problem.work.pieces.size());
        raise(shape.max_table_entries, problem.work.page_table.size());
        raise(shape.max_item_tokens, problem.work.item_tokens.size());
        raise(shape.max_partials, problem.work.num_partials);
        raise(shape.max_partials, problem.work.partial_index.size());
        shape.tree = shape.tree || !problem.tree_mask.empty();
    }
    return shape;
}

}  // namespace relayattn::test
