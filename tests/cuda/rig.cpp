#include "rig.h"

#include <algorithm>
#include <stdexcept>

#include "support/dtype.h"

namespace relayattn::test {
namespace {

constexpr int64_t k_gap = 8;  // elements, in a strided array

void must(const Result<void>& result) {
    if (!result)
        throw std::runtime_error(result.error().text);
}

}  // namespace

Buffer::Buffer(Memory& memory, int64_t bytes)
    : memory_(memory),
      data_(memory.allocate(std::max<int64_t>(bytes, 1))),
      size_(std::max<int64_t>(bytes, 1)) {
    poison();
}

Buffer::~Buffer() {
    memory_.release(data_);
}

void Buffer::poison() {
    memory_.fill(data_, 0xff, size_);
}

void Buffer::upload(const void* host, int64_t bytes) {
    if (bytes > size_)
        throw std::runtime_error("a buffer of the test is too small");
    memory_.upload(data_, host, bytes);
}

void Buffer::upload_values(const std::vector<float>& values, Dtype dtype) {
    const auto count = static_cast<int64_t>(values.size());
    std::vector<char> bytes(static_cast<size_t>(count * relayattn::size_of(dtype)));
    encode(values.data(), count, static_cast<int32_t>(dtype), bytes.data());
    upload(bytes.data(), static_cast<int64_t>(bytes.size()));
}

std::vector<char> Buffer::download() const {
    std::vector<char> bytes(static_cast<size_t>(size_));
    memory_.download(bytes.data(), data_, size_);
    return bytes;
}

std::vector<float> Buffer::download_values(int64_t count, Dtype dtype) const {
    const std::vector<char> bytes = download();
    std::vector<float> values(static_cast<size_t>(count));
    decode(bytes.data(), count, static_cast<int32_t>(dtype), values.data());
    return values;
}

Rig::Rig(Backend& backend, Memory& memory, const std::vector<Problem>& problems, bool graph,
         bool strided, void* queue)
    : backend_(backend),
      memory_(memory),
      queue_(queue),
      strided_(strided),
      layer_(problems.front().options.layer),
      page_size_(problems.front().options.page_size) {
    for (const Problem& problem : problems) {
        max_rows_ = std::max(max_rows_, problem.num_rows());
        max_pages_ = std::max(max_pages_, problem.num_pages);
        max_stored_ = std::max(max_stored_, static_cast<int64_t>(problem.written_slots.size()));
        max_tree_ = std::max(max_tree_, static_cast<int64_t>(problem.tree_mask.size()));
    }
    const KvGeometry& kv = layer_.kv;
    q_ = field(layer_.num_q_heads, kv.head_dim_k, layer_.q_dtype);
    out_ = field(layer_.num_q_heads, kv.head_dim_v, layer_.out_dtype);
    k_ = field(kv.num_kv_heads, kv.head_dim_k, kv.dtype);
    v_ = field(kv.num_kv_heads, kv.head_dim_v, kv.dtype);
    const PageLayout layout = backend.page_layout(kv, page_size_);
    k_pages_ = std::make_unique<Buffer>(memory, max_pages_ * layout.k_page_stride);
    v_pages_ = std::make_unique<Buffer>(memory, max_pages_ * layout.v_page_stride);
    const auto float_size = static_cast<int64_t>(sizeof(float));
    lse_ = std::make_unique<Buffer>(memory, max_rows_ * layer_.num_q_heads * float_size);
    sinks_ = std::make_unique<Buffer>(memory, layer_.num_q_heads * float_size);
    slopes_ = std::make_unique<Buffer>(memory, layer_.num_q_heads * float_size);
    tree_ = std::make_unique<Buffer>(memory, max_tree_);
    auto plan = backend.create_plan(shape_for(problems, graph), {}, 1);
    if (!plan)
        throw std::runtime_error(plan.error().text);
    plan_ = std::move(*plan);
}

Rig::Field Rig::field(int64_t heads, int64_t dim, Dtype dtype) const {
    const int64_t size = relayattn::size_of(dtype);
    Field field{heads, dim, dtype, dim * size, heads * dim * size, nullptr};
    if (strided_) {
        field.head_stride = (dim + k_gap) * size;
        field.token_stride = heads * field.head_stride + k_gap * size;
    }
    const int64_t rows = std::max(max_rows_, max_stored_);
    field.buffer = std::make_unique<Buffer>(memory_, rows * field.token_stride);
    return field;
}

View Rig::view(const Field& field) const {
    return {field.buffer->data(), field.token_stride, field.head_stride};
}

void Rig::upload(const Field& field, const std::vector<float>& values) {
    std::vector<char> bytes(static_cast<size_t>(field.buffer->size()), '\xff');
    const int64_t rows = static_cast<int64_t>(values.size()) / field.dim;
    for (int64_t row = 0; row < rows; ++row)
        encode(values.data() + row * field.dim, field.dim, static_cast<int32_t>(field.dtype),
               bytes.data() + row / field.heads * field.token_stride +
                   row % field.heads * field.head_stride);
    field.buffer->upload(bytes.data(), field.buffer->size());
}

std::vector<float> Rig::download(const Field& field) const {
    const std::vector<char> bytes = field.buffer->download();
    const int64_t rows = problem_->num_rows() * field.heads;
    std::vector<float> values(static_cast<size_t>(rows * field.dim));
    for (int64_t row = 0; row < rows; ++row)
        decode(bytes.data() + row / field.heads * field.token_stride +
                   row % field.heads * field.head_stride,
               field.dim, static_cast<int32_t>(field.dtype), values.data() + row * field.dim);
    return values;
}

AttendCall Rig::call() const {
    AttendCall call;
    call.layer = &layer_;
    call.store = {layer_.kv,
                  backend_.page_layout(layer_.kv, page_size_),
                  {k_pages_->data(), v_pages_->data()}};
    call.q = view(q_);
    call.out = view(out_);
    if (problem_->options.append) {
        call.k = view(k_);
        call.v = view(v_);
    }
    call.lse = reinterpret_cast<float*>(lse_->data());
    call.lse_token_stride = layer_.num_q_heads;
    call.lse_head_stride = 1;
    if (layer_.uses_sinks)
        call.sink_logits = reinterpret_cast<const float*>(sinks_->data());
    if (layer_.uses_alibi)
        call.alibi_slopes = reinterpret_cast<const float*>(slopes_->data());
    call.softmax_scale = layer_.softmax_scale;
    call.logit_softcap = layer_.logit_softcap;
    return call;
}

void Rig::write_pages(const Problem& problem) {
    k_pages_->poison();
    v_pages_->poison();
    upload(k_, problem.stored_k);
    upload(v_, problem.stored_v);
    problem_ = &problem;
    must(backend_.write(call().store, view(k_), view(v_), problem.written_slots, queue_));
    memory_.wait();
}

void Rig::load(const Problem& problem) {
    write_pages(problem);
    out_.buffer->poison();
    lse_->poison();
    upload(q_, problem.q);
    upload(k_, problem.k);
    upload(v_, problem.v);
    sinks_->upload_values(problem.sinks, Dtype::f32);
    slopes_->upload_values(problem.slopes, Dtype::f32);
    tree_->upload(problem.tree_mask.data(), static_cast<int64_t>(problem.tree_mask.size()));
    work_ = problem.work;
    if (!problem.tree_mask.empty())
        work_.tree_mask = reinterpret_cast<const uint8_t*>(tree_->data());
    work_.tree_stride = problem.tree_stride;
    must(plan_->set(work_, queue_));
}

Result<void> Rig::attend() {
    return plan_->attend(call(), queue_);
}

Output Rig::output() const {
    memory_.wait();
    return {download(out_),
            lse_->download_values(problem_->num_rows() * layer_.num_q_heads, Dtype::f32)};
}

std::vector<char> Rig::output_bytes() const {
    memory_.wait();
    std::vector<char> bytes = out_.buffer->download();
    const std::vector<char> lse = lse_->download();
    bytes.insert(bytes.end(), lse.begin(), lse.end());
    return bytes;
}

}  // namespace relayattn::test
