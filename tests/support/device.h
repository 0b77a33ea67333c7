// Memory of the device under test. The CPU's is host memory; another backend adds one more Device.
#pragma once

#include <cstdint>
#include <utility>

namespace relayattn::test {

class Device {
  public:
    virtual ~Device() = default;
    virtual void* allocate(int64_t bytes) = 0;  // aligned to 4096; throws when there is none
    virtual void release(void* data) noexcept = 0;
    virtual void upload(void* device, const void* host, int64_t bytes) = 0;
    virtual void download(void* host, const void* device, int64_t bytes) = 0;
};

// The device that tests of this backend (RA_BACKEND_*) use; throws when it is not built in.
Device& device(int32_t backend);

// Chosen once by the test program (--backend cpu|cuda); RA_BACKEND_CPU until then.
int32_t backend_under_test();
void set_backend_under_test(int32_t backend);

// Device memory of the backend under test, filled with 0xff: NaN in every dtype.
class DeviceBuffer {
  public:
    DeviceBuffer() = default;
    explicit DeviceBuffer(int64_t bytes);
    DeviceBuffer(DeviceBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~DeviceBuffer();

    void* data() const { return data_; }
    int64_t size() const { return size_; }
    void poison();
    void upload(const void* host, int64_t bytes);
    void download(void* host, int64_t bytes) const;

  private:
    void* data_ = nullptr;
    int64_t size_ = 0;
};

}  // namespace relayattn::test
