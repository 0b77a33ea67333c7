#include "device.h"

#include <relayattn/relayattn.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <vector>

#include "cuda_device.h"

namespace relayattn::test {
namespace {

int32_t chosen_backend = RA_BACKEND_CPU;

class HostDevice final : public Device {
  public:
    void* allocate(int64_t bytes) override {
        return ::operator new(static_cast<size_t>(bytes), std::align_val_t{4096});
    }
    void release(void* data) noexcept override { ::operator delete(data, std::align_val_t{4096}); }
    void upload(void* to, const void* host, int64_t bytes) override {
        std::memcpy(to, host, static_cast<size_t>(bytes));
    }
    void download(void* host, const void* from, int64_t bytes) override {
        std::memcpy(host, from, static_cast<size_t>(bytes));
    }
};

}  // namespace

Device& device(int32_t backend) {
    static HostDevice host;
    if (backend == RA_BACKEND_CPU)
        return host;
    if (backend == RA_BACKEND_CUDA)
        return cuda_device();
    throw std::runtime_error("these tests were built without memory of the asked backend");
}

int32_t backend_under_test() {
    return chosen_backend;
}

void set_backend_under_test(int32_t backend) {
    device(backend);
    chosen_backend = backend;
}

DeviceBuffer::DeviceBuffer(int64_t bytes)
    : data_(device(chosen_backend).allocate(bytes > 0 ? bytes : 1)), size_(bytes) {
    poison();
}

DeviceBuffer::~DeviceBuffer() {
    if (data_ != nullptr)
        device(chosen_backend).release(data_);
}

void DeviceBuffer::poison() {
    const std::vector<unsigned char> fill(static_cast<size_t>(size_), 0xff);
    upload(fill.data(), size_);
}

void DeviceBuffer::upload(const void* host, int64_t bytes) {
    if (bytes > 0)
        device(chosen_backend).upload(data_, host, bytes);
}

void DeviceBuffer::download(void* host, int64_t bytes) const {
    if (bytes > 0)
        device(chosen_backend).download(host, data_, bytes);
}

}  // namespace relayattn::test
