#include "cpu/step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <thread>

#include "cpu/tensor.h"

namespace relayattn::test {
namespace {

size_t at(int64_t i) {
    return static_cast<size_t>(i);
}

void round_all(std::vector<float>& values, Dtype dtype) {
    for (float& value : values)
        value = rounded(value, static_cast<int32_t>(dtype));
}

void check(const Result<void>& result) {
    REQUIRE_MESSAGE(static_cast<bool>(result), result.error().text);
}

}  // namespace

Step::Step(const StepOptions& options, uint64_t seed) : options_(options) {
    Random random(seed);
    place_run(options.prefix, random);
    for (size_t s = 0; s < options.tails.size(); ++s)
        place_run(options.tails[s] + options.q_lens[s], random);
    page_order_.resize(at(num_pages_));
    for (int64_t p = 0; p < num_pages_; ++p)
        page_order_[at(p)] = static_cast<int32_t>(p);
    random.shuffle(page_order_);
    work_.page_table = page_order_;
    make_tokens(random);
    draw_values(random);
    make_items();
}

void Step::place_run(int64_t length, Random& random) {
    Run run{};
    run.first_slot = random.integer(0, options_.page_size - 1);
    run.table_offset = num_pages_;
    run.length = length;
    run.first_row = runs_.empty() ? 0 : runs_.back().first_row + runs_.back().length;
    num_pages_ += (run.first_slot + length) / options_.page_size + 1;
    runs_.push_back(run);
}

void Step::make_tokens(Random& random) {
    const auto num_sequences = static_cast<int64_t>(options_.tails.size());
    for (int64_t s = 0; s < num_sequences; ++s) {
        const int64_t start = start_of(s);
        for (int64_t i = 0; i < options_.q_lens[at(s)]; ++i) {
            QueryToken token{};
            token.position = static_cast<int32_t>(start + i);
            const int64_t low = options_.window > 0 ? start + i - options_.window + 1 : 0;
            token.visible_begin = static_cast<int32_t>(std::max<int64_t>(low, 0));
            token.visible_end = static_cast<int32_t>(options_.tree ? start + options_.q_lens[at(s)]
                                                                   : start + i + 1);
            token.new_begin = static_cast<int32_t>(start);
            if (options_.blind && s + 1 == num_sequences)
                token.visible_begin = token.visible_end = 0;
            work_.tokens.push_back(token);
            work_.slots.push_back(slot_of(runs_[at(1 + s)], options_.tails[at(s)] + i));
            rows_.push_back({s, i});
        }
    }
    tree_mask_.resize(at(num_tokens() * k_tree_stride));
    for (uint8_t& byte : tree_mask_)
        byte = static_cast<uint8_t>(random.bits());
    if (options_.tree) {
        work_.tree_mask = tree_mask_.data();
        work_.tree_stride = k_tree_stride;
    }
    work_.padded_tokens = options_.padded;
}

void Step::draw_values(Random& random) {
    const KvGeometry& kv = options_.kv;
    const int64_t keys = runs_.back().first_row + runs_.back().length;
    q_ = random.normals(num_tokens() * options_.num_q_heads * kv.head_dim_k);
    k_ = random.normals(keys * kv.num_kv_heads * kv.head_dim_k);
    v_ = random.normals(keys * kv.num_kv_heads * kv.head_dim_v);
    round_all(q_, options_.q_dtype);
    round_all(k_, kv.dtype);
    round_all(v_, kv.dtype);
    sinks_ = random.normals(options_.num_q_heads);
    if (options_.first_sink != 0)
        sinks_[0] = options_.first_sink;
    slopes_ = random.normals(options_.num_q_heads);
    for (float& slope : slopes_)
        slope = 0.02f * std::fabs(slope);
}

int64_t Step::slot_of(const Run& run, int64_t i) const {
    const int64_t place = run.first_slot + i;
    return page_order_[at(run.table_offset + place / options_.page_size)] * options_.page_size +
           place % options_.page_size;
}

int64_t Step::start_of(int64_t sequence) const {
    return options_.prefix + options_.tails[at(sequence)];
}

// Pieces of positions [begin, end) of the prefix and, when tail_run > 0, of that run.
void Step::add_item(const std::vector<int64_t>& tokens, int64_t tail_run, int64_t begin,
                    int64_t end) {
    Item item{};
    item.first_piece = static_cast<int32_t>(work_.pieces.size());
    const auto add = [&](const Run& run, int64_t run_begin) {
        const int64_t from = std::max(begin, run_begin);
        const int64_t to = std::min(end, run_begin + run.length);
        if (from < to) {
            work_.pieces.push_back({static_cast<int32_t>(run.table_offset),
                                    static_cast<int32_t>(run.first_slot + from - run_begin),
                                    static_cast<int32_t>(to - from), static_cast<int32_t>(from)});
            item.num_kv_tokens += static_cast<int32_t>(to - from);
        }
    };
    add(runs_[0], 0);
    if (tail_run > 0)
        add(runs_[at(tail_run)], options_.prefix);
    item.num_pieces = static_cast<int32_t>(work_.pieces.size()) - item.first_piece;
    item.first_token = static_cast<int32_t>(work_.item_tokens.size());
    bool reaches_new = false;
    for (const int64_t token : tokens) {
        const QueryToken& t = work_.tokens[at(token)];
        work_.item_tokens.push_back(static_cast<int32_t>(token));
        item.masked |= t.visible_begin > begin || t.visible_end < end;
        reaches_new |= t.new_begin < end;
    }
    item.num_tokens = static_cast<int32_t>(tokens.size());
    item.tree = options_.tree && reaches_new;
    item.masked |= item.tree;
    if (item.num_tokens > 0 && item.num_pieces > 0)
        work_.items.push_back(item);
}

void Step::make_items() {
    std::vector<std::vector<int64_t>> of_sequence(options_.tails.size());
    std::vector<int64_t> seeing;
    for (int64_t t = 0; t < num_tokens(); ++t) {
        if (work_.tokens[at(t)].visible_end > 0) {
            of_sequence[at(rows_[at(t)].sequence)].push_back(t);
            seeing.push_back(t);
        }
    }
    const int64_t chunk = options_.chunk;
    if (options_.relay) {
        for (int64_t begin = 0; begin < options_.prefix; begin += chunk)
            for (size_t first = 0; first < seeing.size(); first += at(options_.tokens_per_item)) {
                const size_t last = std::min(seeing.size(), first + at(options_.tokens_per_item));
                add_item({seeing.begin() + static_cast<int64_t>(first),
                          seeing.begin() + static_cast<int64_t>(last)},
                         0, begin, std::min(begin + chunk, options_.prefix));
            }
    }
    work_.num_many = static_cast<int32_t>(work_.items.size());
    for (size_t s = 0; s < of_sequence.size(); ++s) {
        const auto run = static_cast<int64_t>(s) + 1;
        const int64_t end = options_.prefix + runs_[at(run)].length;
        int64_t begin = options_.relay ? options_.prefix : 0;
        while (begin < end) {
            const int64_t next = std::min(end, (begin / chunk + 1) * chunk);
            add_item(of_sequence[s], run, begin, next);
            begin = next;
        }
    }
    assign_partials();
}

void Step::assign_partials() {
    std::vector<int64_t> count(work_.tokens.size());
    for (const int32_t token : work_.item_tokens)
        ++count[at(token)];
    std::vector<std::vector<int32_t>> partials(work_.tokens.size());
    for (Item& item : work_.items) {
        const auto tokens = work_.item_tokens.begin() + item.first_token;
        item.partial = -1;
        if (std::all_of(tokens, tokens + item.num_tokens,
                        [&](int32_t t) { return count[at(t)] == 1; })) {
            for (int32_t i = 0; i < item.num_tokens; ++i)
                work_.tokens[at(tokens[i])].num_partials = -1;
            continue;
        }
        item.partial = work_.num_partials;
        for (int32_t i = 0; i < item.num_tokens; ++i)
            partials[at(tokens[i])].push_back(work_.num_partials++);
    }
    for (size_t t = 0; t < partials.size(); ++t) {
        if (work_.tokens[t].num_partials < 0)
            continue;
        work_.tokens[t].first_partial = static_cast<int32_t>(work_.partial_index.size());
        work_.tokens[t].num_partials = static_cast<int32_t>(partials[t].size());
        work_.partial_index.insert(work_.partial_index.end(), partials[t].begin(),
                                   partials[t].end());
        work_.merged_tokens.push_back(static_cast<int32_t>(t));
    }
}

Layer Step::layer() const {
    Layer layer;
    layer.kv = options_.kv;
    layer.num_q_heads = options_.num_q_heads;
    layer.q_dtype = options_.q_dtype;
    layer.out_dtype = options_.out_dtype;
    layer.uses_sinks = options_.sinks;
    layer.uses_alibi = options_.alibi;
    layer.is_set = true;
    layer.softmax_scale = options_.scale;
    layer.logit_softcap = options_.softcap;
    return layer;
}

PlanShape Step::shape() const {
    const auto size = [](const auto& array) { return static_cast<int64_t>(array.size()) + 1; };
    PlanShape shape;
    shape.geometry = options_.kv;
    shape.page_size = options_.page_size;
    shape.max_q_heads = options_.num_q_heads;
    shape.max_tokens = size(work_.tokens) + options_.padded;
    shape.max_sequences = size(options_.tails);
    shape.max_items = size(work_.items);
    shape.max_pieces = size(work_.pieces);
    shape.max_table_entries = size(work_.page_table);
    shape.max_item_tokens = size(work_.item_tokens);
    shape.max_partials = size(work_.partial_index);
    return shape;
}

// Everything but the new tokens, unless with_new; those go into new_k and new_v.
void Step::write_pages(Backend& backend, const LayerStore& store, bool with_new, Tensor& new_k,
                       Tensor& new_v) const {
    const KvGeometry& kv = options_.kv;
    const int64_t keys = runs_.back().first_row + runs_.back().length;
    Tensor k(keys, kv.num_kv_heads, kv.head_dim_k, kv.dtype);
    Tensor v(keys, kv.num_kv_heads, kv.head_dim_v, kv.dtype);
    std::vector<int64_t> slots(at(keys), -1);
    int64_t token = 0;
    for (size_t r = 0; r < runs_.size(); ++r) {
        const int64_t old = r == 0 ? options_.prefix : options_.tails[r - 1];
        for (int64_t i = 0; i < runs_[r].length; ++i) {
            const int64_t row = runs_[r].first_row + i;
            const float* k_row = k_.data() + row * kv.num_kv_heads * kv.head_dim_k;
            const float* v_row = v_.data() + row * kv.num_kv_heads * kv.head_dim_v;
            k.put(row, k_row);
            v.put(row, v_row);
            if (i < old || with_new)
                slots[at(row)] = slot_of(runs_[r], i);
            if (i >= old) {
                new_k.put(token, k_row);
                new_v.put(token++, v_row);
            }
        }
    }
    check(backend.write(store, k.view(), v.view(), slots, nullptr));
}

StepResult Step::run(Backend& backend, int64_t workers) const {
    const KvGeometry& kv = options_.kv;
    LayerStore store{kv, backend.page_layout(kv, options_.page_size), {}};
    std::vector<uint8_t> k_pages(at(num_pages_ * store.layout.k_page_stride), 0xff);
    std::vector<uint8_t> v_pages(at(num_pages_ * store.layout.v_page_stride), 0xff);
    store.pages = {k_pages.data(), v_pages.data()};

    Tensor new_k(num_tokens(), kv.num_kv_heads, kv.head_dim_k, kv.dtype);
    Tensor new_v(num_tokens(), kv.num_kv_heads, kv.head_dim_v, kv.dtype);
    write_pages(backend, store, workers > 0, new_k, new_v);

    const int64_t rows = num_tokens() + options_.padded;
    Tensor q(num_tokens(), options_.num_q_heads, kv.head_dim_k, options_.q_dtype);
    Tensor out(rows, options_.num_q_heads, kv.head_dim_v, options_.out_dtype);
    for (int64_t t = 0; t < num_tokens(); ++t)
        q.put(t, q_.data() + t * options_.num_q_heads * kv.head_dim_k);
    const int64_t lse_stride = options_.num_q_heads + 3;
    std::vector<float> lse(at(rows * lse_stride), 777);

    const Layer layer = this->layer();
    AttendCall call;
    call.layer = &layer;
    call.store = store;
    call.q = q.view();
    call.out = out.view();
    if (workers == 0) {
        call.k = new_k.view();
        call.v = new_v.view();
    }
    call.lse = options_.lse ? lse.data() : nullptr;
    call.lse_token_stride = lse_stride;
    call.lse_head_stride = 1;
    call.sink_logits = options_.sinks ? sinks_.data() : nullptr;
    call.alibi_slopes = options_.alibi ? slopes_.data() : nullptr;
    call.softmax_scale = options_.scale;
    call.logit_softcap = options_.softcap;

    auto plan = backend.create_plan(shape(), {}, 2);
    REQUIRE(static_cast<bool>(plan));
    check((*plan)->set(work_, nullptr));
    if (workers == 0) {
        check((*plan)->attend(call, nullptr));
        const std::vector<float> first = out.get(rows);
        out.clear();
        check((*plan)->attend(call, nullptr));
        CHECK(first == out.get(rows));
    } else {
        std::vector<std::thread> threads;
        std::vector<Result<void>> results(at(workers));
        for (int64_t w = 0; w < workers; ++w)
            threads.emplace_back(
                [&, w] { results[at(w)] = (*plan)->attend_worker(call, 1, w, workers); });
        for (std::thread& thread : threads)
            thread.join();
        for (const Result<void>& result : results)
            check(result);
    }

    StepResult result;
    result.out = out.get(rows);
    for (int64_t t = 0; t < rows && options_.lse; ++t)
        for (int64_t h = 0; h < lse_stride; ++h) {
            if (h < options_.num_q_heads)
                result.lse.push_back(lse[at(t * lse_stride + h)]);
            else
                CHECK(lse[at(t * lse_stride + h)] == 777);
        }
    return result;
}

double relative_error(const std::vector<float>& got, const std::vector<double>& want) {
    REQUIRE(got.size() == want.size());
    double error = 0, size = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        const double difference = static_cast<double>(got[i]) - want[i];
        error += difference * difference;
        size += want[i] * want[i];
    }
    if (!std::isfinite(error))
        return std::numeric_limits<double>::infinity();
    return size == 0 ? std::sqrt(error) : std::sqrt(error / size);
}

double largest_error(const std::vector<float>& got, const std::vector<double>& want) {
    REQUIRE(got.size() == want.size());
    double largest = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        const auto value = static_cast<double>(got[i]);
        if (value == want[i])
            continue;  // infinities too
        const double difference = std::abs(value - want[i]) / std::max(1.0, std::abs(want[i]));
        largest = difference < std::numeric_limits<double>::infinity()
                      ? std::max(largest, difference)
                      : std::numeric_limits<double>::infinity();
    }
    return largest;
}

std::unique_ptr<Backend> backend_on(const char* isa, int64_t num_threads) {
    setenv("RELAYATTN_ISA", isa, 1);
    auto backend = create_cpu_backend({num_threads});
    unsetenv("RELAYATTN_ISA");
    if (!backend) {
        REQUIRE(backend.error().code == Code::unsupported);
        return nullptr;
    }
    return std::move(*backend);
}

}  // namespace relayattn::test
