// A problem's tensors in a device's memory, and attends over them.
#pragma once

#include <memory>
#include <vector>

#include "impl/backend.h"
#include "problem.h"

namespace relayattn::test {

// Memory of the device of one backend.
class Memory {
  public:
    virtual ~Memory() = default;
    virtual void* allocate(int64_t bytes) = 0;
    virtual void release(void* data) = 0;
    virtual void upload(void* device, const void* host, int64_t bytes) = 0;
    virtual void download(void* host, const void* device, int64_t bytes) = 0;
    virtual void fill(void* device, int byte, int64_t bytes) = 0;
    virtual void wait() = 0;  // for all work given to the device so far
};
Memory& host_memory();
Memory& gpu_memory();

class Buffer {
  public:
    Buffer(Memory& memory, int64_t bytes);
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();

    char* data() const { return static_cast<char*>(data_); }
    int64_t size() const { return size_; }
    Memory& memory() const { return memory_; }
    void poison();  // 0xff: NaN in every dtype
    void upload(const void* host, int64_t bytes);
    void upload_values(const std::vector<float>& values, Dtype dtype);
    std::vector<char> download() const;
    std::vector<float> download_values(int64_t count, Dtype dtype) const;

  private:
    Memory& memory_;
    void* data_;
    int64_t size_;
};

struct Output {
    std::vector<float> out, lse;
};

// Holds any of the given problems at fixed addresses, as a captured graph needs it.
class Rig {
  public:
    // `strided` puts gaps between heads and tokens of q, k, v and out.
    Rig(Backend& backend, Memory& memory, const std::vector<Problem>& problems, bool graph,
        bool strided = false, void* queue = nullptr);

    DevicePlan& plan() { return *plan_; }

    // Poisons everything, then gives the device the problem's tensors and work list.
    void load(const Problem& problem);
    AttendCall call() const;
    Result<void> attend();
    Output output() const;
    std::vector<char> output_bytes() const;

  private:
    struct Field {
        int64_t heads, dim;
        Dtype dtype;
        int64_t head_stride, token_stride;
        std::unique_ptr<Buffer> buffer;
    };
    Field field(int64_t heads, int64_t dim, Dtype dtype) const;
    View view(const Field& field) const;
    void upload(const Field& field, const std::vector<float>& values);
    std::vector<float> download(const Field& field) const;
    void write_pages(const Problem& problem);

    Backend& backend_;
    Memory& memory_;
    void* queue_;
    bool strided_;
    int64_t max_rows_ = 1, max_pages_ = 1, max_stored_ = 1, max_tree_ = 1;
    Layer layer_;
    int64_t page_size_;
    const Problem* problem_ = nullptr;
    WorkList work_;  // the problem's, with the mask's device address
    Field q_, k_, v_, out_;
    std::unique_ptr<Buffer> k_pages_, v_pages_, lse_, sinks_, slopes_, tree_;
    std::unique_ptr<DevicePlan> plan_;
};

}  // namespace relayattn::test
