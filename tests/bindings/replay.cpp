#include "replay.h"

#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "replay_data.h"

namespace relayattn::test {
namespace {

using Operation = const nlohmann::json&;

int64_t number(Operation o, const char* field) {
    return o.at(field).get<int64_t>();
}
int32_t small(Operation o, const char* field) {
    return o.at(field).get<int32_t>();
}
float real(Operation o, const char* field) {
    return o.at(field).get<float>();
}

template <class T>
std::vector<T> list(Operation o, const char* field) {
    return o.at(field).get<std::vector<T>>();
}

template <class T>
const T* given(const std::vector<T>& values) {
    return values.empty() ? nullptr : values.data();
}

// Compares numbers that came out, as {field, got} pairs; a stated -1 for "min" is not compared.
std::string compare(Operation o, std::vector<std::pair<const char*, int64_t>> answers) {
    for (const auto& [field, got] : answers) {
        const int64_t want = number(o, field);
        if (got != want && !(want == -1 && std::string(field) == "min"))
            return std::string(field) + " is " + std::to_string(got) + ", and should be " +
                   std::to_string(want);
    }
    return "";
}

std::string in(const char* what, const std::string& difference) {
    return difference.empty() ? "" : std::string(what) + ": " + difference;
}

}  // namespace

template <class Handle>
Handle Replay::get(Operation o, const char* field) const {
    const auto name = o.at(field).get<std::string>();
    return name.empty() ? nullptr : static_cast<Handle>(objects_.at(name).handle);
}

template <class Handle>
ra_status Replay::keep(Operation o, char kind, ra_status status, Handle handle) {
    if (status == RA_OK)
        objects_[o.at("out").get<std::string>()] = {handle, kind};
    return status;
}

std::string Replay::carry_out(Operation o) {
    const auto name = o.at("op").get<std::string>();
    Outcome outcome;
    if (name.starts_with("prefix_"))
        outcome = prefix(name, o);
    else if (name.starts_with("sequence_"))
        outcome = sequence(name, o);
    else if (name.starts_with("batch_"))
        outcome = batch(name, o);
    else
        outcome = set_up(name, o);
    const int64_t want = number(o, "status");
    if (outcome.status != want)
        return std::string("answers ") + ra_status_name(outcome.status) + ", not " +
               ra_status_name(static_cast<ra_status>(want));
    return want == RA_OK ? outcome.difference : "";
}

Replay::Outcome Replay::set_up(const std::string& name, Operation o) {
    int64_t first = 0, second = 0;
    ra_model model = nullptr;
    if (name == "context_create")
        return {create_context(o), ""};
    if (name == "model_create") {
        const ra_status status = ra_model_create(number(o, "num_layers"), &model);
        return {keep(o, 'm', status, model), ""};
    }
    if (name == "model_set_layers")
        return {set_layers(o), ""};
    if (name == "model_layer_group") {
        const auto status =
            ra_model_layer_group(get<ra_model>(o, "model"), number(o, "layer"), &first);
        return {status, compare(o, {{"group", first}})};
    }
    if (name == "context_supports")
        return {ra_context_supports(get<ra_context>(o, "context"), get<ra_model>(o, "model"),
                                    number(o, "page_size"), small(o, "plan_flags")),
                ""};
    if (name == "cache_create")
        return {create_cache(o), ""};
    if (name == "cache_pages") {
        const auto status =
            ra_cache_pages(get<ra_cache>(o, "cache"), number(o, "group"), &first, &second);
        return {status, compare(o, {{"total", first}, {"free", second}})};
    }
    if (name == "merge_state")
        return merge(o);
    if (name == "release")
        return {release(o), ""};
    throw std::runtime_error("no operation is called " + name);
}

Replay::Outcome Replay::prefix(const std::string& name, Operation o) {
    ra_prefix out = nullptr;
    if (name == "prefix_create") {
        const auto status = ra_prefix_create(get<ra_cache>(o, "cache"), get<ra_prefix>(o, "parent"),
                                             number(o, "num_tokens"), &out);
        return {keep(o, 'p', status, out), ""};
    }
    if (name == "prefix_write" || name == "prefix_read")
        return write_or_read(o, name == "prefix_read");
    if (name == "prefix_seal")
        return {ra_prefix_seal(get<ra_prefix>(o, "prefix"), nullptr), ""};
    if (name == "prefix_from_sequence") {
        const auto status =
            ra_prefix_from_sequence(get<ra_sequence>(o, "sequence"), number(o, "num_tokens"), &out);
        return {keep(o, 'p', status, out), ""};
    }
    if (name == "prefix_split") {
        const auto status =
            ra_prefix_split(get<ra_prefix>(o, "prefix"), number(o, "num_tokens"), &out);
        return {keep(o, 'p', status, out), ""};
    }
    if (name == "prefix_length") {
        int64_t own = 0, total = 0;
        const auto status = ra_prefix_length(get<ra_prefix>(o, "prefix"), &own, &total);
        return {status, compare(o, {{"own", own}, {"total", total}})};
    }
    throw std::runtime_error("no operation is called " + name);
}

Replay::Outcome Replay::sequence(const std::string& name, Operation o) {
    ra_sequence out = nullptr;
    if (name == "sequence_attach") {
        const auto status =
            ra_sequence_attach(get<ra_cache>(o, "cache"), get<ra_prefix>(o, "prefix"), &out);
        return {keep(o, 's', status, out), ""};
    }
    const auto s = get<ra_sequence>(o, "sequence");
    if (name == "sequence_fork") {
        const auto status = ra_sequence_fork(s, &out);
        return {keep(o, 's', status, out), ""};
    }
    if (name == "sequence_truncate")
        return {ra_sequence_truncate(s, number(o, "length")), ""};
    int64_t first = 0, second = 0;
    if (name == "sequence_length") {
        const auto status = ra_sequence_length(s, &first, &second);
        return {status, compare(o, {{"length", first}, {"min", second}})};
    }
    if (name == "sequence_pages") {
        const auto status = ra_sequence_pages(s, number(o, "group"), nullptr, 0, &first);
        return {status, compare(o, {{"num", first}})};
    }
    throw std::runtime_error("no operation is called " + name);
}

Replay::Outcome Replay::batch(const std::string& name, Operation o) {
    if (name == "batch_create")
        return {create_batch(o), ""};
    const auto b = get<ra_batch>(o, "batch");
    if (name == "batch_begin" || name == "batch_pages_needed")
        return begin(o, name == "batch_pages_needed");
    if (name == "batch_begin_dummy")
        return {ra_batch_begin_dummy(b, number(o, "rows"), number(o, "q_len"), number(o, "kv_len"),
                                     nullptr),
                ""};
    if (name == "batch_attend")
        return attend(o);
    if (name == "batch_commit")
        return {commit(o), ""};
    if (name == "batch_abort")
        return {ra_batch_abort(b, nullptr), ""};
    if (name == "batch_query") {
        int64_t value = 0;
        const auto status = ra_batch_query(b, number(o, "group"), small(o, "property"), &value);
        return {status, compare(o, {{"value", value}})};
    }
    throw std::runtime_error("no operation is called " + name);
}

ra_status Replay::create_context(Operation o) {
    ra_context_options options;
    ra_context out = nullptr;
    if (const auto status = ra_context_options_init(&options, sizeof options); status != RA_OK)
        return status;
    options.backend = small(o, "backend");
    options.ordinal = small(o, "ordinal");
    options.num_threads = number(o, "num_threads");
    const auto status = ra_context_create(&options, &out);
    return keep(o, 'c', status, out);
}

ra_status Replay::set_layers(Operation o) {
    ra_layer_options layer;
    if (const auto status = ra_layer_options_init(&layer, sizeof layer); status != RA_OK)
        return status;
    for (auto [field, value] : {std::pair{"num_q_heads", &layer.num_q_heads},
                                {"num_kv_heads", &layer.num_kv_heads},
                                {"head_dim_k", &layer.head_dim_k},
                                {"head_dim_v", &layer.head_dim_v},
                                {"window", &layer.window},
                                {"retain", &layer.retain},
                                {"kv_layer", &layer.kv_layer}})
        *value = number(o, field);
    for (auto [field, value] : {std::pair{"q_dtype", &layer.q_dtype},
                                {"k_dtype", &layer.k_dtype},
                                {"v_dtype", &layer.v_dtype},
                                {"out_dtype", &layer.out_dtype},
                                {"window_kind", &layer.window_kind},
                                {"uses_sinks", &layer.uses_sinks},
                                {"uses_alibi", &layer.uses_alibi}})
        *value = small(o, field);
    layer.softmax_scale = real(o, "softmax_scale");
    layer.logit_softcap = real(o, "logit_softcap");
    return ra_model_set_layers(get<ra_model>(o, "model"), number(o, "first"), number(o, "count"),
                               &layer);
}

ra_status Replay::create_cache(Operation o) {
    ra_cache_options options;
    ra_cache out = nullptr;
    if (const auto status = ra_cache_options_init(&options, sizeof options); status != RA_OK)
        return status;
    options.page_size = number(o, "page_size");
    options.capacity_tokens = number(o, "capacity_tokens");
    options.max_sequences = number(o, "max_sequences");
    const auto status =
        ra_cache_create(get<ra_context>(o, "context"), get<ra_model>(o, "model"), &options, &out);
    return keep(o, 'k', status, out);
}

ra_status Replay::create_batch(Operation o) {
    ra_plan_options options;
    ra_batch out = nullptr;
    if (const auto status = ra_plan_options_init(&options, sizeof options); status != RA_OK)
        return status;
    options.max_rows = number(o, "max_rows");
    options.max_tokens = number(o, "max_tokens");
    options.mode = small(o, "mode");
    options.flags = small(o, "flags");
    const auto status = ra_batch_create(get<ra_cache>(o, "cache"), &options, &out);
    return keep(o, 'b', status, out);
}

Replay::Outcome Replay::merge(Operation o) {
    ra_merge_args args = {};
    args.struct_size = sizeof args;
    args.num_tokens = number(o, "num_tokens");
    args.num_heads = number(o, "num_heads");
    args.head_dim = number(o, "head_dim");
    args.in_dtype = args.out_dtype = RA_F32;
    args.lse_base2 = small(o, "lse_base2");
    const int64_t rows = args.num_tokens * args.num_heads;
    Buffer a = Buffer::from_seed(number(o, "a"), rows * args.head_dim, RA_F32);
    Buffer b = Buffer::from_seed(number(o, "b"), rows * args.head_dim, RA_F32);
    Buffer out(rows * args.head_dim, RA_F32), lse(rows, RA_F32);
    const auto a_lse = list<float>(o, "a_lse"), b_lse = list<float>(o, "b_lse");
    args.a.data = a.data();
    args.b.data = b.data();
    args.out.data = out.data();
    args.a_lse = a_lse.data();
    args.b_lse = b_lse.data();
    args.out_lse = static_cast<float*>(lse.data());
    const auto status = ra_merge_state(get<ra_context>(o, "context"), &args, nullptr);
    return {status, in("out", out.compare(list<double>(o, "out_values"))) +
                        in("lse", lse.compare(list<double>(o, "lse_values")))};
}

Replay::Outcome Replay::write_or_read(Operation o, bool reads) {
    const int32_t dtype = small(o, "dtype");
    const Buffer want_k = Buffer::from_seed(number(o, "k"), number(o, "k_size"), dtype);
    const Buffer want_v = Buffer::from_seed(number(o, "v"), number(o, "v_size"), dtype);
    Buffer k = reads ? Buffer(number(o, "k_size"), dtype) : want_k;
    Buffer v = reads ? Buffer(number(o, "v_size"), dtype) : want_v;
    ra_kv kv = {};
    kv.struct_size = sizeof kv;
    kv.k.data = k.data();
    kv.v.data = v.data();
    kv.num_tokens = number(o, "num_tokens");
    const auto call = reads ? ra_prefix_read : ra_prefix_write;
    const auto status =
        call(get<ra_prefix>(o, "prefix"), number(o, "layer"), number(o, "pos"), &kv, nullptr);
    const bool equal = k.bytes() == want_k.bytes() && v.bytes() == want_v.bytes();
    return {status, equal ? "" : "K and V are not as written"};
}

Replay::Outcome Replay::begin(Operation o, bool asks_pages) {
    std::vector<ra_sequence> sequences;
    for (const auto& name : list<std::string>(o, "sequences"))
        sequences.push_back(static_cast<ra_sequence>(objects_.at(name).handle));
    const auto q_lens = list<int64_t>(o, "q_lens"), row_flags = list<int64_t>(o, "row_flags"),
               spans = list<int64_t>(o, "spans");
    const auto mask = list<uint8_t>(o, "tree_mask");
    masks_[o.at("batch").get<std::string>()] = mask;  // read until the step's last attend
    ra_batch_input input = {};
    input.struct_size = sizeof input;
    input.sequences = given(sequences);
    input.num_sequences = static_cast<int64_t>(sequences.size());
    input.q_lens = given(q_lens);
    input.num_q_lens = static_cast<int64_t>(q_lens.size());
    input.row_flags = given(row_flags);
    input.num_row_flags = static_cast<int64_t>(row_flags.size());
    input.tree_mask = given(masks_[o.at("batch").get<std::string>()]);
    input.tree_stride = number(o, "tree_stride");
    input.spans = given(spans);
    input.num_spans = static_cast<int64_t>(spans.size() / 3);
    input.padded_tokens = number(o, "padded_tokens");
    const auto b = get<ra_batch>(o, "batch");
    if (!asks_pages)
        return {ra_batch_begin(b, &input, nullptr), ""};
    int64_t pages = 0;
    const auto status = ra_batch_pages_needed(b, &input, number(o, "group"), &pages);
    return {status, compare(o, {{"pages", pages}})};
}

Replay::Outcome Replay::attend(Operation o) {
    const int32_t kv_dtype = small(o, "kv_dtype");
    Buffer q = Buffer::from_seed(number(o, "q"), number(o, "q_size"), small(o, "q_dtype"));
    Buffer k = Buffer::from_seed(number(o, "k"), number(o, "k_size"), kv_dtype);
    Buffer v = Buffer::from_seed(number(o, "v"), number(o, "v_size"), kv_dtype);
    Buffer out(number(o, "out_size"), small(o, "out_dtype")), lse(number(o, "lse_size"), RA_F32);
    const auto sinks = list<float>(o, "sinks"), slopes = list<float>(o, "slopes");
    ra_attend_args args = {};
    args.struct_size = sizeof args;
    args.q.data = q.data();
    args.k.data = k.data();
    args.v.data = v.data();
    args.out.data = out.data();
    args.lse = static_cast<float*>(lse.data());
    args.sink_logits = given(sinks);
    args.alibi_slopes = given(slopes);
    args.softmax_scale = real(o, "softmax_scale");
    args.logit_softcap = real(o, "logit_softcap");
    const auto status =
        ra_batch_attend(get<ra_batch>(o, "batch"), number(o, "layer"), &args, nullptr);
    return {status, in("out", out.compare(list<double>(o, "out_values"))) +
                        in("lse", lse.compare(list<double>(o, "lse_values")))};
}

ra_status Replay::commit(Operation o) {
    const auto kept = list<int64_t>(o, "kept"), index = list<int64_t>(o, "index");
    return ra_batch_commit(get<ra_batch>(o, "batch"), given(kept),
                           static_cast<int64_t>(kept.size()), given(index),
                           static_cast<int64_t>(index.size()), nullptr);
}

ra_status Replay::release(Operation o) {
    const Object& object = objects_.at(o.at("object").get<std::string>());
    switch (object.kind) {
        case 'c':
            ra_context_release(static_cast<ra_context>(object.handle));
            break;
        case 'm':
            ra_model_release(static_cast<ra_model>(object.handle));
            break;
        case 'k':
            ra_cache_release(static_cast<ra_cache>(object.handle));
            break;
        case 'p':
            ra_prefix_release(static_cast<ra_prefix>(object.handle));
            break;
        case 's':
            ra_sequence_release(static_cast<ra_sequence>(object.handle));
            break;
        default:
            ra_batch_release(static_cast<ra_batch>(object.handle));
    }
    return RA_OK;
}

}  // namespace relayattn::test
