#include "mirror_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

namespace relayattn::test {

// Everything that one attend call points to, with strides of its own.
struct MirrorStep::Arrays {
    Arrays(Mirror& mirror, const LayerSpec& layer, int64_t tokens, int64_t rows)
        : q({rows, layer.q_heads, layer.dim_k, layer.q}, mirror.any_layout()),
          out({rows, layer.q_heads, layer.dim_v, layer.out}, mirror.any_layout()),
          k({tokens, layer.kv_heads, layer.dim_k, layer.kv}, mirror.any_layout()),
          v({tokens, layer.kv_heads, layer.dim_v, layer.kv}, mirror.any_layout()),
          lse(rows, layer.q_heads, mirror.any_layout()),
          sinks(layer.q_heads * static_cast<int64_t>(sizeof(float))),
          slopes(layer.q_heads * static_cast<int64_t>(sizeof(float))) {}

    StridedArray q, out, k, v;
    LseArray lse;
    DeviceBuffer sinks, slopes;
};

MirrorStep::MirrorStep(Mirror& mirror, StepSpec spec) : mirror_(mirror), spec_(std::move(spec)) {
    for (StepRow& row : spec_.rows) {
        draw_row(row);
        num_tokens_ += row.q_len;
        ReferenceRow reference{row.sequence->tokens,
                               static_cast<int64_t>(row.sequence->tokens.size()),
                               row.q_len,
                               row.flags,
                               row.spans,
                               spec_.tree,
                               row.tree};
        reference.chain.insert(reference.chain.end(), row.data->tokens.begin(),
                               row.data->tokens.end());
        reference_rows_.push_back(std::move(reference));
    }
    results_.resize(static_cast<size_t>(mirror_.num_layers()));
    build_input();
}

void MirrorStep::draw_row(StepRow& row) {
    if (row.data == nullptr) {
        RowData data;
        for (int64_t i = 0; i < row.q_len; ++i)
            data.tokens.push_back(mirror_.new_token());
        for (const LayerSpec& layer : mirror_.spec().layers)
            data.q.push_back(mirror_.values(row.q_len * layer.q_heads * layer.dim_k, layer.q));
        row.data = std::make_shared<RowData>(std::move(data));
    }
    if (spec_.tree && row.tree.empty()) {
        const auto width = static_cast<size_t>(row.q_len);
        row.tree.assign(width, std::vector<bool>(width));
        for (auto& line : row.tree)
            for (size_t j = 0; j < width; ++j)
                line[j] = mirror_.random().chance(50);
    }
}

void MirrorStep::build_input() {
    for (size_t i = 0; i < spec_.rows.size(); ++i) {
        const StepRow& row = spec_.rows[i];
        handles_.push_back(row.sequence->handle);
        q_lens_.push_back(row.q_len);
        flags_.push_back(row.flags);
        for (const Span& span : row.spans)
            spans_.insert(spans_.end(), {static_cast<int64_t>(i), span.begin, span.end});
    }
    input_ = batch_input();
    input_.sequences = handles_.data();
    input_.num_sequences = static_cast<int64_t>(handles_.size());
    input_.q_lens = q_lens_.data();
    input_.num_q_lens = static_cast<int64_t>(q_lens_.size());
    if (std::any_of(flags_.begin(), flags_.end(), [](int64_t flags) { return flags != 0; })) {
        input_.row_flags = flags_.data();
        input_.num_row_flags = static_cast<int64_t>(flags_.size());
    }
    if (!spans_.empty()) {
        input_.spans = spans_.data();
        input_.num_spans = static_cast<int64_t>(spans_.size() / 3);
    }
    input_.padded_tokens = spec_.padded;
    if (spec_.tree)
        build_tree_mask();
}

void MirrorStep::build_tree_mask() {
    int64_t widest = 1;
    for (const StepRow& row : spec_.rows)
        widest = std::max(widest, row.q_len);
    input_.tree_stride = (widest + 7) / 8 + mirror_.random().integer(0, 2);
    // Bits that belong to nobody are set: they must not matter.
    std::vector<uint8_t> mask(static_cast<size_t>(num_tokens_ * input_.tree_stride), 0xff);
    int64_t token = 0;
    for (const StepRow& row : spec_.rows)
        for (const auto& line : row.tree) {
            uint8_t* bytes = mask.data() + token++ * input_.tree_stride;
            for (size_t j = 0; j < line.size(); ++j)
                if (!line[j])
                    bytes[j / 8] = static_cast<uint8_t>(bytes[j / 8] & ~(1U << (j % 8)));
        }
    tree_mask_ = DeviceBuffer(static_cast<int64_t>(mask.size()));
    tree_mask_.upload(mask.data(), static_cast<int64_t>(mask.size()));
    input_.tree_mask = static_cast<const uint8_t*>(tree_mask_.data());
}

std::vector<int64_t> MirrorStep::pages_needed(ra_batch batch) const {
    std::vector<int64_t> needed(static_cast<size_t>(mirror_.num_groups()));
    for (size_t group = 0; group < needed.size(); ++group)
        ok(ra_batch_pages_needed(batch, &input_, static_cast<int64_t>(group), &needed[group]));
    return needed;
}

ra_status MirrorStep::begin(ra_batch batch) {
    const auto needed = pages_needed(batch);
    const auto before = mirror_.free_pages();
    const ra_status status = ra_batch_begin(batch, &input_, nullptr);
    const auto after = mirror_.free_pages();
    if (status != RA_OK) {
        expect(after == before, "a failing ra_batch_begin took pages");
        return status;
    }
    for (size_t group = 0; group < needed.size(); ++group)
        expect(after[group] == before[group] - needed[group],
               "group " + std::to_string(group) + ": " + std::to_string(before[group]) +
                   " pages were free, " + std::to_string(needed[group]) + " needed, " +
                   std::to_string(after[group]) + " are free after ra_batch_begin");
    batch_ = batch;
    return status;
}

std::vector<float> MirrorStep::layer_q(int64_t layer) const {
    std::vector<float> all;
    for (const StepRow& row : spec_.rows) {
        const auto& q = row.data->q[static_cast<size_t>(layer)];
        all.insert(all.end(), q.begin(), q.end());
    }
    return all;
}

// Rows that append nothing bring NaN: nobody may read them.
std::vector<float> MirrorStep::layer_kv(int64_t layer, bool values) const {
    std::vector<float> all;
    for (const StepRow& row : spec_.rows)
        for (const TokenPtr& token : row.data->tokens) {
            auto part = (values ? token->v : token->k)[static_cast<size_t>(layer)];
            if ((row.flags & RA_ROW_NEW_ABSENT) != 0)
                std::fill(part.begin(), part.end(), NAN);
            all.insert(all.end(), part.begin(), part.end());
        }
    return all;
}

bool MirrorStep::appends() const {
    return std::any_of(spec_.rows.begin(), spec_.rows.end(), [](const StepRow& row) {
        return row.q_len > 0 && (row.flags & RA_ROW_NEW_ABSENT) == 0;
    });
}

ra_attend_args MirrorStep::arguments(int64_t index, Arrays& arrays) {
    const LayerSpec& layer = mirror_.layer(index);
    auto q = layer_q(index);
    q.resize(static_cast<size_t>(arrays.q.shape().elements()), NAN);
    arrays.q.write(q);
    auto args = attend_args();
    args.q = arrays.q.view();
    args.out = arrays.out.view();
    args.lse = arrays.lse.data();
    args.lse_token_stride = arrays.lse.token_stride();
    args.lse_head_stride = arrays.lse.head_stride();
    if (layer.owns_kv() && (appends() || mirror_.random().chance(50))) {
        arrays.k.write(layer_kv(index, false));
        arrays.v.write(layer_kv(index, true));
        args.k = arrays.k.view();
        args.v = arrays.v.view();
    }
    arrays.sinks.upload(mirror_.sinks(index).data(), arrays.sinks.size());
    arrays.slopes.upload(mirror_.slopes(index).data(), arrays.slopes.size());
    args.sink_logits = layer.sinks ? static_cast<const float*>(arrays.sinks.data()) : nullptr;
    args.alibi_slopes = layer.alibi ? static_cast<const float*>(arrays.slopes.data()) : nullptr;
    args.softmax_scale = spec_.scale;
    args.logit_softcap = spec_.softcap;
    return args;
}

void MirrorStep::attend(int64_t layer) {
    Arrays arrays(mirror_, mirror_.layer(layer), num_tokens_, num_tokens_ + spec_.padded);
    const auto args = arguments(layer, arrays);
    ok(ra_batch_attend(batch_, layer, &args, nullptr));
    check(layer, arrays);
}

void MirrorStep::append(int64_t layer) {
    Arrays arrays(mirror_, mirror_.layer(layer), num_tokens_, num_tokens_ + spec_.padded);
    auto args = arguments(layer, arrays);
    args.q = args.out = {};
    args.lse = nullptr;
    ok(ra_batch_attend(batch_, layer, &args, nullptr));
}

void MirrorStep::attend_with_workers(int64_t layer, int64_t num_workers) {
    Arrays arrays(mirror_, mirror_.layer(layer), num_tokens_, num_tokens_ + spec_.padded);
    auto args = arguments(layer, arrays);
    args.k = args.v = {};
    std::vector<ra_status> statuses(static_cast<size_t>(num_workers), RA_ERROR_INTERNAL);
    std::vector<std::thread> threads;
    for (int64_t worker = 0; worker < num_workers; ++worker)
        threads.emplace_back([&, worker] {
            statuses[static_cast<size_t>(worker)] =
                ra_batch_attend_worker(batch_, layer, &args, worker, num_workers);
        });
    for (std::thread& thread : threads)
        thread.join();
    for (ra_status status : statuses)
        expect(status == RA_OK, std::string("ra_batch_attend_worker: ") + ra_status_name(status));
    check(layer, arrays);
}

void MirrorStep::attend_every_layer() {
    for (int64_t layer = 0; layer < mirror_.num_layers(); ++layer)
        if (!mirror_.layer(layer).unset)
            attend(layer);
}

ReferenceResult MirrorStep::reference(int64_t index) const {
    const LayerSpec& layer = mirror_.layer(index);
    ReferenceCall call{layer,
                       layer.kv_layer >= 0 ? layer.kv_layer : index,
                       layer_q(index),
                       mirror_.sinks(index),
                       mirror_.slopes(index),
                       spec_.scale,
                       spec_.softcap};
    return test::attend(call, reference_rows_);
}

void MirrorStep::check(int64_t index, const Arrays& arrays) {
    const LayerSpec& layer = mirror_.layer(index);
    const std::string where = "layer " + std::to_string(index) + " (" + describe(layer) + "): ";
    const auto want = reference(index);
    auto out = arrays.out.read();
    auto lse = arrays.lse.read();
    check_padding(arrays, where);
    expect(arrays.out.gaps_are_untouched(), where + "wrote between the rows of out");
    expect(arrays.lse.gaps_are_untouched(), where + "wrote between the rows of lse");
    out.resize(want.out.size());
    lse.resize(want.lse.size());
    auto precision = precision_under_test(mirror_.isa(), layer.q, layer.kv, layer.out);
    const float scale = spec_.scale != 0 ? spec_.scale : layer.scale;
    if (scale != 0)
        precision.score_spread =
            std::max(1.0, std::fabs(scale) * std::sqrt(static_cast<double>(layer.dim_k)));
    const auto off = compare_outputs(out, want.out, layer.out, precision);
    expect(off.text.empty(), where + "out: " + off.text);
    mirror_.errors(layer.out, precision).add(off);
    const auto lse_off = compare_lse(lse, want.lse, precision);
    expect(lse_off.text.empty(), where + "lse: " + lse_off.text);
    results_[static_cast<size_t>(index)] = {arrays.out.bytes(), arrays.lse.read()};
}

void MirrorStep::check_padding(const Arrays& arrays, const std::string& where) const {
    const auto out = arrays.out.read();
    const auto lse = arrays.lse.read();
    const auto& shape = arrays.out.shape();
    for (auto i = static_cast<size_t>(num_tokens_ * shape.heads * shape.dim); i < out.size(); ++i)
        expect(out[i] == 0, where + "a padded row of out is not zero");
    for (auto i = static_cast<size_t>(num_tokens_ * shape.heads); i < lse.size(); ++i)
        expect(std::isinf(lse[i]) && lse[i] < 0, where + "a padded row of lse is not -inf");
}

std::vector<unsigned char> MirrorStep::result_bytes(int64_t index, size_t row) const {
    const LayerSpec& layer = mirror_.layer(index);
    const LayerResult& result = results_[static_cast<size_t>(index)];
    if (q_lens_[row] == 0)
        return {};
    const auto first = std::accumulate(
        q_lens_.begin(), q_lens_.begin() + static_cast<std::ptrdiff_t>(row), int64_t{0});
    const size_t out_token = result.out.size() / static_cast<size_t>(num_tokens_ + spec_.padded);
    const auto begin =
        result.out.begin() + static_cast<std::ptrdiff_t>(first * static_cast<int64_t>(out_token));
    std::vector<unsigned char> bytes(begin, begin + q_lens_[row] * static_cast<int64_t>(out_token));
    const auto* lse =
        reinterpret_cast<const unsigned char*>(result.lse.data() + first * layer.q_heads);
    bytes.insert(bytes.end(), lse,
                 lse + q_lens_[row] * layer.q_heads * static_cast<int64_t>(sizeof(float)));
    return bytes;
}

ra_status MirrorStep::commit() {
    std::vector<int64_t> kept;
    for (const StepRow& row : spec_.rows)
        kept.push_back((row.flags & RA_ROW_NEW_ABSENT) != 0 ? 0 : row.q_len);
    const ra_status status = ra_batch_commit(batch_, nullptr, 0, nullptr, 0, nullptr);
    if (status == RA_OK)
        keep(kept, {});
    return status;
}

ra_status MirrorStep::commit(const std::vector<int64_t>& kept) {
    const auto num = static_cast<int64_t>(kept.size());
    const ra_status status = ra_batch_commit(batch_, kept.data(), num, nullptr, 0, nullptr);
    if (status == RA_OK)
        keep(kept, {});
    return status;
}

ra_status MirrorStep::commit(const std::vector<int64_t>& kept, const std::vector<int64_t>& index) {
    static constexpr int64_t nothing = 0;  // an empty list is a list all the same
    const auto* list = index.empty() ? &nothing : index.data();
    const auto* counts = kept.empty() ? &nothing : kept.data();
    const ra_status status = ra_batch_commit(batch_, counts, static_cast<int64_t>(kept.size()),
                                             list, static_cast<int64_t>(index.size()), nullptr);
    if (status == RA_OK)
        keep(kept, index);
    return status;
}

void MirrorStep::keep(const std::vector<int64_t>& kept, const std::vector<int64_t>& index) {
    size_t next = 0;
    for (size_t i = 0; i < spec_.rows.size(); ++i) {
        const StepRow& row = spec_.rows[i];
        for (int64_t j = 0; j < kept[i]; ++j) {
            const int64_t taken = index.empty() ? j : index[next++];
            row.sequence->tokens.push_back(row.data->tokens[static_cast<size_t>(taken)]);
        }
        if (row.sequence->handle != nullptr)
            mirror_.check_length(*row.sequence);
    }
}

ra_status MirrorStep::abort() {
    const ra_status status = ra_batch_abort(batch_, nullptr);
    if (status == RA_OK)
        for (const StepRow& row : spec_.rows)
            if (row.sequence->handle != nullptr)
                mirror_.check_length(*row.sequence);
    return status;
}

void run_step(Mirror& mirror, ra_batch batch, const StepSpec& spec) {
    MirrorStep step(mirror, spec);
    ok(step.begin(batch));
    step.attend_every_layer();
    ok(step.commit());
}

StepSpec plain_step(const std::vector<MirrorSequence*>& sequences, int64_t q_len) {
    StepSpec spec;
    for (MirrorSequence* sequence : sequences)
        spec.rows.push_back({sequence, q_len, 0, {}, nullptr, {}});
    return spec;
}

}  // namespace relayattn::test
