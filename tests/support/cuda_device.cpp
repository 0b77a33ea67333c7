#include "cuda_device.h"

#include <dlfcn.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace relayattn::test {
namespace {

using DeviceAddress = uint64_t;

template <class Function>
Function* find(void* library, const char* name) {
    void* symbol = dlsym(library, name);
    if (symbol == nullptr)
        throw std::runtime_error(std::string("the NVIDIA driver has no ") + name);
    return reinterpret_cast<Function*>(symbol);
}

void must(int status, const char* what) {
    if (status != 0)
        throw std::runtime_error(std::string(what) + ": driver error " + std::to_string(status));
}

class CudaDevice final : public Device {
  public:
    CudaDevice() {
        void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
        if (library == nullptr)
            throw std::runtime_error("there is no NVIDIA driver here");
        set_current_ = find<int(void*)>(library, "cuCtxSetCurrent");
        synchronize_ = find<int()>(library, "cuCtxSynchronize");
        allocate_ = find<int(DeviceAddress*, size_t)>(library, "cuMemAlloc_v2");
        free_ = find<int(DeviceAddress)>(library, "cuMemFree_v2");
        upload_ = find<int(DeviceAddress, const void*, size_t)>(library, "cuMemcpyHtoD_v2");
        download_ = find<int(void*, DeviceAddress, size_t)>(library, "cuMemcpyDtoH_v2");
        must(find<int(unsigned)>(library, "cuInit")(0), "cuInit");
        int gpu = 0;
        must(find<int(int*, int)>(library, "cuDeviceGet")(&gpu, 0), "cuDeviceGet");
        must(find<int(void**, int)>(library, "cuDevicePrimaryCtxRetain")(&context_, gpu),
             "cuDevicePrimaryCtxRetain");
    }

    // cuMemAlloc aligns to 512 bytes or more; what lies before is given up for 4096.
    void* allocate(int64_t bytes) override {
        make_current();
        constexpr uint64_t alignment = 4096;
        DeviceAddress address = 0;
        must(allocate_(&address, static_cast<size_t>(bytes) + 2 * alignment), "cuMemAlloc");
        const DeviceAddress aligned = (address + alignment) / alignment * alignment;
        must(upload_(aligned - sizeof address, &address, sizeof address), "cuMemcpyHtoD");
        return reinterpret_cast<void*>(aligned);
    }

    void release(void* data) noexcept override {
        const auto aligned = reinterpret_cast<DeviceAddress>(data);
        DeviceAddress address = 0;
        if (set_current_(context_) == 0 &&
            download_(&address, aligned - sizeof address, sizeof address) == 0)
            free_(address);
    }

    void upload(void* device, const void* host, int64_t bytes) override {
        wait();
        must(upload_(reinterpret_cast<DeviceAddress>(device), host, static_cast<size_t>(bytes)),
             "cuMemcpyHtoD");
    }

    void download(void* host, const void* device, int64_t bytes) override {
        wait();
        must(download_(host, reinterpret_cast<DeviceAddress>(device), static_cast<size_t>(bytes)),
             "cuMemcpyDtoH");
    }

  private:
    void make_current() { must(set_current_(context_), "cuCtxSetCurrent"); }

    // Tests' queues may be any streams of the GPU.
    void wait() {
        make_current();
        must(synchronize_(), "cuCtxSynchronize");
    }

    void* context_ = nullptr;
    int (*set_current_)(void*) = nullptr;
    int (*synchronize_)() = nullptr;
    int (*allocate_)(DeviceAddress*, size_t) = nullptr;
    int (*free_)(DeviceAddress) = nullptr;
    int (*upload_)(DeviceAddress, const void*, size_t) = nullptr;
    int (*download_)(void*, DeviceAddress, size_t) = nullptr;
};

}  // namespace

Device& cuda_device() {
    static CudaDevice device;
    return device;
}

}  // namespace relayattn::test
