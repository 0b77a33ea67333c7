#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "rig.h"

namespace relayattn::test {
namespace {

void must(cudaError_t status) {
    if (status != cudaSuccess)
        throw std::runtime_error(cudaGetErrorString(status));
}

class HostMemory final : public Memory {
  public:
    void* allocate(int64_t bytes) override {
        return std::aligned_alloc(4096, static_cast<size_t>((bytes + 4095) / 4096 * 4096));
    }
    void release(void* data) override { std::free(data); }
    void upload(void* device, const void* host, int64_t bytes) override {
        if (bytes > 0)
            std::memcpy(device, host, static_cast<size_t>(bytes));
    }
    void download(void* host, const void* device, int64_t bytes) override {
        if (bytes > 0)
            std::memcpy(host, device, static_cast<size_t>(bytes));
    }
    void fill(void* device, int byte, int64_t bytes) override {
        std::memset(device, byte, static_cast<size_t>(bytes));
    }
    void wait() override {}
};

// Every call waits for all work on the GPU, whatever its stream.
class GpuMemory final : public Memory {
  public:
    void* allocate(int64_t bytes) override {
        void* data = nullptr;
        must(cudaMalloc(&data, static_cast<size_t>(bytes)));
        return data;
    }
    void release(void* data) override { cudaFree(data); }
    void upload(void* device, const void* host, int64_t bytes) override {
        wait();
        must(cudaMemcpy(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice));
        wait();  // its last bytes may still be on their way, and streams do not wait for them
    }
    void download(void* host, const void* device, int64_t bytes) override {
        wait();
        must(cudaMemcpy(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
    }
    void fill(void* device, int byte, int64_t bytes) override {
        wait();
        must(cudaMemset(device, byte, static_cast<size_t>(bytes)));
        wait();
    }
    void wait() override { must(cudaDeviceSynchronize()); }
};

}  // namespace

Memory& host_memory() {
    static HostMemory memory;
    return memory;
}

Memory& gpu_memory() {
    static GpuMemory memory;
    return memory;
}

}  // namespace relayattn::test
