#include "scene.h"

#include <algorithm>
#include <numeric>

#include "support/dtype.h"

namespace relayattn::bench {

using test::ok;

namespace {

constexpr int64_t k_stage_tokens = 4096;

int64_t pages(int64_t tokens, int64_t page_size) {
    return (tokens + page_size - 1) / page_size;
}

std::vector<int64_t> numbers(int64_t first, int64_t count) {
    std::vector<int64_t> result(static_cast<size_t>(count));
    std::iota(result.begin(), result.end(), first);
    return result;
}

}  // namespace

int64_t Scene::prefix_token(const Shape& shape, int64_t prefix, int64_t position) {
    int64_t token = position;
    for (int64_t p = 0; p < prefix; ++p)
        token += shape.prefixes[static_cast<size_t>(p)].tokens;
    return token;
}

int64_t Scene::tail_token(const Shape& shape, int64_t row, int64_t position) {
    constexpr int64_t beyond_prefixes = int64_t{1} << 40, widest_row = int64_t{1} << 25;
    return beyond_prefixes + (row + shape.num_rows()) * widest_row + position;
}

Scene::Scene(Device& device, ra_context context, const Shape& shape, const Inputs& inputs,
             Dtypes dtypes, int64_t page_size, bool copies)
    : device_(device),
      shape_(shape),
      inputs_(inputs),
      dtypes_(dtypes),
      kv_width_(shape.kv_heads * shape.head_dim) {
    make_cache(context, page_size, copies);
    const int64_t row_bytes = kv_width_ * test::size_of(dtypes.kv);
    stage_k_ = Buffer(device, k_stage_tokens * row_bytes);
    stage_v_ = Buffer(device, k_stage_tokens * row_bytes);
    k_ = Buffer(device, num_tokens() * row_bytes);
    v_ = Buffer(device, num_tokens() * row_bytes);
    const int64_t q_bytes = num_tokens() * shape.q_heads * shape.head_dim * test::size_of(dtypes.q);
    q_ = Buffer(device, q_bytes);
    out_ = Buffer(device, q_bytes);
    copies ? attach_copies() : attach_shared();
    for (const test::Sequence& sequence : sequences_)
        handles_.push_back(sequence);
    append_tails();
    fill_step();
}

void Scene::make_cache(ra_context context, int64_t page_size, bool copies) {
    ra_layer_options layer = test::layer_options();
    layer.num_q_heads = shape_.q_heads;
    layer.num_kv_heads = shape_.kv_heads;
    layer.head_dim_k = layer.head_dim_v = shape_.head_dim;
    layer.q_dtype = layer.out_dtype = dtypes_.q;
    layer.k_dtype = layer.v_dtype = dtypes_.kv;
    ok(ra_model_create(1, model_.out()));
    ok(ra_model_set_layers(model_, 0, 1, &layer));

    if (page_size == 0)
        ok(ra_context_query(context, RA_CONTEXT_INFO_PAGE_SIZE, &page_size));
    int64_t needed = 0;
    for (const SharedPrefix& prefix : shape_.prefixes)
        needed += copies ? 0 : pages(prefix.tokens, page_size);
    for (const Row& row : shape_.rows) {
        needed += copies ? pages(shape_.chain_tokens(row.prefix), page_size) : 0;
        // One page more: the prefix's last, partly used one may be continued in a copy.
        needed += pages(row.tail + k_spare_steps * shape_.q_len, page_size) + 1;
    }
    ra_cache_options options = test::cache_options();
    options.page_size = page_size;
    options.capacity_tokens = needed * page_size;
    const ra_status status = ra_cache_create(context, model_, &options, cache_.out());
    if (status != RA_OK)
        throw UsageError("shape " + shape_.name + " cannot be measured: " + test::last_error());
}

void Scene::upload_kv(const std::vector<int64_t>& tokens, Buffer& k, Buffer& v) {
    const int64_t row_bytes = kv_width_ * test::size_of(dtypes_.kv);
    std::vector<unsigned char> host(tokens.size() * static_cast<size_t>(row_bytes));
    for (const auto& [stream, to] : {std::pair{Stream::k, &k}, std::pair{Stream::v, &v}}) {
        for (size_t i = 0; i < tokens.size(); ++i)
            inputs_.encode(stream, tokens[i], kv_width_,
                           host.data() + i * static_cast<size_t>(row_bytes));
        device_.upload(to->data(), host.data(), static_cast<int64_t>(host.size()));
    }
}

void Scene::write_prefix(ra_prefix prefix, int64_t at, const std::vector<int64_t>& tokens) {
    const auto count = static_cast<int64_t>(tokens.size());
    for (int64_t done = 0; done < count; done += k_stage_tokens) {
        const int64_t now = std::min(k_stage_tokens, count - done);
        upload_kv({tokens.begin() + done, tokens.begin() + done + now}, stage_k_, stage_v_);
        ra_kv kv = test::kv_args();
        kv.k.data = stage_k_.data();
        kv.v.data = stage_v_.data();
        kv.num_tokens = now;
        ok(ra_prefix_write(prefix, 0, at + done, &kv, device_.queue()));
        device_.synchronise();
    }
}

void Scene::attach_shared() {
    for (size_t p = 0; p < shape_.prefixes.size(); ++p) {
        const SharedPrefix& spec = shape_.prefixes[p];
        const ra_prefix parent =
            spec.parent < 0 ? nullptr : prefixes_[static_cast<size_t>(spec.parent)].get();
        test::Prefix prefix;
        ok(ra_prefix_create(cache_, parent, spec.tokens, prefix.out()));
        const int64_t first = prefix_token(shape_, static_cast<int64_t>(p), 0);
        write_prefix(prefix, 0, numbers(first, spec.tokens));
        ok(ra_prefix_seal(prefix, device_.queue()));
        prefixes_.push_back(std::move(prefix));
    }
    for (const Row& row : shape_.rows) {
        const ra_prefix prefix =
            row.prefix < 0 ? nullptr : prefixes_[static_cast<size_t>(row.prefix)].get();
        test::Sequence sequence;
        ok(ra_sequence_attach(cache_, prefix, sequence.out()));
        sequences_.push_back(std::move(sequence));
    }
}

void Scene::attach_copies() {
    for (const Row& row : shape_.rows) {
        test::Prefix prefix;
        if (row.prefix >= 0)
            ok(ra_prefix_create(cache_, nullptr, shape_.chain_tokens(row.prefix), prefix.out()));
        for (int64_t p = row.prefix; p >= 0; p = shape_.prefixes[static_cast<size_t>(p)].parent) {
            const SharedPrefix& spec = shape_.prefixes[static_cast<size_t>(p)];
            write_prefix(prefix, shape_.chain_tokens(spec.parent),
                         numbers(prefix_token(shape_, p, 0), spec.tokens));
        }
        if (row.prefix >= 0)
            ok(ra_prefix_seal(prefix, device_.queue()));
        test::Sequence sequence;
        ok(ra_sequence_attach(cache_, prefix, sequence.out()));
        sequences_.push_back(std::move(sequence));
    }
}

// The tails grow together, a stage full of tokens at a time.
void Scene::append_tails() {
    ra_plan_options options = test::plan_options();
    test::Batch batch;
    ok(ra_batch_create(cache_, &options, batch.out()));
    std::vector<int64_t> done(sequences_.size(), 0);
    for (;;) {
        std::vector<int64_t> counts(sequences_.size(), 0);
        int64_t room = k_stage_tokens;
        for (size_t i = 0; i < counts.size(); ++i) {
            counts[i] = std::min(room, committed(shape_.rows[i]) - done[i]);
            room -= counts[i];
        }
        if (room == k_stage_tokens)
            return;
        append(batch, done, counts);
        for (size_t i = 0; i < counts.size(); ++i)
            done[i] += counts[i];
    }
}

void Scene::append(ra_batch batch, const std::vector<int64_t>& done,
                   const std::vector<int64_t>& counts) {
    std::vector<int64_t> tokens, q_lens;
    std::vector<ra_sequence> growing;
    for (size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] == 0)
            continue;
        growing.push_back(handles_[i]);
        q_lens.push_back(counts[i]);
        const int64_t first = tail_token(shape_, static_cast<int64_t>(i), done[i]);
        for (int64_t t = 0; t < counts[i]; ++t)
            tokens.push_back(first + t);
    }
    upload_kv(tokens, stage_k_, stage_v_);
    ra_batch_input input = test::batch_input();
    input.sequences = growing.data();
    input.q_lens = q_lens.data();
    input.num_sequences = input.num_q_lens = static_cast<int64_t>(growing.size());
    ra_attend_args args = test::attend_args();
    args.k.data = stage_k_.data();
    args.v.data = stage_v_.data();
    ok(ra_batch_begin(batch, &input, device_.queue()));
    ok(ra_batch_attend(batch, 0, &args, device_.queue()));
    ok(ra_batch_commit(batch, nullptr, 0, nullptr, 0, device_.queue()));
    device_.synchronise();
}

void Scene::fill_step() {
    q_lens_.assign(sequences_.size(), shape_.q_len);
    std::vector<int64_t> tokens;
    for (int64_t row = 0; row < shape_.num_rows(); ++row) {
        const int64_t first =
            tail_token(shape_, row, committed(shape_.rows[static_cast<size_t>(row)]));
        for (int64_t t = 0; t < shape_.q_len; ++t)
            tokens.push_back(first + t);
    }
    upload_kv(tokens, k_, v_);
    const int64_t width = shape_.q_heads * shape_.head_dim;
    const int64_t row_bytes = width * test::size_of(dtypes_.q);
    std::vector<unsigned char> host(tokens.size() * static_cast<size_t>(row_bytes));
    for (size_t i = 0; i < tokens.size(); ++i)
        inputs_.encode(Stream::q, tokens[i], width,
                       host.data() + i * static_cast<size_t>(row_bytes));
    device_.upload(q_.data(), host.data(), static_cast<int64_t>(host.size()));
}

ra_batch_input Scene::input() const {
    ra_batch_input input = test::batch_input();
    input.sequences = handles_.data();
    input.q_lens = q_lens_.data();
    input.num_sequences = input.num_q_lens = shape_.num_rows();
    return input;
}

std::vector<Range> Scene::memory() const {
    ra_page_layout layout{};
    ra_layer_memory pages{};
    layout.struct_size = sizeof layout;
    pages.struct_size = sizeof pages;
    ok(ra_cache_layer(cache_, 0, &layout, &pages));
    return {{pages.k_pages, layout.num_pages * layout.k_page_stride},
            {pages.v_pages, layout.num_pages * layout.v_page_stride},
            {q_.data(), q_.size()},
            {k_.data(), k_.size()},
            {v_.data(), v_.size()},
            {out_.data(), out_.size()}};
}

ra_attend_args Scene::args() const {
    ra_attend_args args = test::attend_args();
    args.q.data = q_.data();
    args.k.data = k_.data();
    args.v.data = v_.data();
    args.out.data = out_.data();
    return args;
}

void Scene::truncate() {
    for (size_t i = 0; i < sequences_.size(); ++i) {
        const Row& row = shape_.rows[i];
        ok(ra_sequence_truncate(sequences_[i], shape_.chain_tokens(row.prefix) + committed(row)));
    }
}

Step::Step(Device& device, const Scene& scene, int32_t mode, bool graph)
    : device_(device), input_(scene.input()), args_(scene.args()) {
    ra_plan_options options = test::plan_options();
    options.mode = mode;
    options.flags = graph ? RA_PLAN_GRAPH : 0;
    options.max_rows = scene.shape().num_rows();
    options.max_tokens = scene.num_tokens();
    ok(ra_batch_create(scene.cache(), &options, batch_.out()));
}

void Step::begin() {
    ok(ra_batch_begin(batch_, &input_, device_.queue()));
}

void Step::attend(void* queue) {
    ok(ra_batch_attend(batch_, 0, &args_, queue));
}

void Step::commit() {
    ok(ra_batch_commit(batch_, nullptr, 0, nullptr, 0, device_.queue()));
}

void Step::abort() {
    ok(ra_batch_abort(batch_, device_.queue()));
}

int64_t Step::query(int32_t property) const {
    int64_t value = 0;
    ok(ra_batch_query(batch_, 0, property, &value));
    return value;
}

}  // namespace relayattn::bench
