#include "impl/cuda/driver.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <utility>

#include "impl/cuda/error.h"

namespace relayattn::cuda {
namespace {

// The driver is opened by name, so that the plugin loads (and can say so) where there is none.
struct Driver {
    decltype(&cuDevicePrimaryCtxRetain) retain = nullptr;
    CUresult (*release)(CUdevice) = nullptr;
    CUresult (*push)(CUcontext) = nullptr;
    CUresult (*pop)(CUcontext*) = nullptr;
    CUresult (*current)(CUcontext*) = nullptr;
    const char* missing = nullptr;
};

Driver open_driver() {
    Driver driver;
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        driver.missing = "libcuda.so.1 cannot be opened";
        return driver;
    }
    const auto find = [&](auto& function, const char* name) {
        void* symbol = dlsym(library, name);
        if (symbol == nullptr)
            driver.missing = name;
        function = reinterpret_cast<std::decay_t<decltype(function)>>(symbol);
    };
    find(driver.retain, "cuDevicePrimaryCtxRetain");
    find(driver.release, "cuDevicePrimaryCtxRelease_v2");
    find(driver.push, "cuCtxPushCurrent_v2");
    find(driver.pop, "cuCtxPopCurrent_v2");
    find(driver.current, "cuCtxGetCurrent");
    return driver;
}

const Driver& driver() {
    static const Driver instance = open_driver();
    return instance;
}

Result<void> check_device(int64_t ordinal) {
    if (driver().missing != nullptr)
        return error(Code::device, "no usable NVIDIA driver: ", driver().missing);
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess)
        return error(Code::device, "no usable GPU: ", cudaGetErrorString(status));
    if (ordinal < 0 || ordinal >= count)
        return error(Code::device, "ordinal is ", ordinal, "; this machine has ", count, " GPUs");
    return {};
}

}  // namespace

Result<Gpu> Gpu::open(int64_t ordinal) {
    const Result<void> checked = check_device(ordinal);
    if (!checked)
        return checked.error();
    Gpu gpu;
    gpu.ordinal_ = static_cast<int>(ordinal);
    int major = 0, minor = 0;
    const auto ask = [&](int& value, cudaDeviceAttr attribute) {
        return check(cudaDeviceGetAttribute(&value, attribute, gpu.ordinal_),
                     "cudaDeviceGetAttribute");
    };
    for (const auto& [value, attribute] :
         {std::pair(&major, cudaDevAttrComputeCapabilityMajor),
          std::pair(&minor, cudaDevAttrComputeCapabilityMinor),
          std::pair(&gpu.num_sms_, cudaDevAttrMultiProcessorCount),
          std::pair(&gpu.shared_bytes_, cudaDevAttrMaxSharedMemoryPerBlockOptin)}) {
        const Result<void> asked = ask(*value, attribute);
        if (!asked)
            return asked.error();
    }
    gpu.sm_ = 10 * major + minor;
    if (gpu.sm_ < 75)
        return error(Code::device, "GPU ", ordinal, " is of compute capability ", major, ".", minor,
                     "; the oldest that works is 7.5");
    const CUresult status = driver().retain(&gpu.context_, gpu.ordinal_);
    if (status != CUDA_SUCCESS) {
        gpu.context_ = nullptr;
        return error(Code::device, "the primary context of GPU ", ordinal,
                     " cannot be had: driver error ", static_cast<int>(status));
    }
    return gpu;
}

Gpu::Gpu(Gpu&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)),
      ordinal_(other.ordinal_),
      sm_(other.sm_),
      num_sms_(other.num_sms_),
      shared_bytes_(other.shared_bytes_) {}

Gpu::~Gpu() {
    if (context_ != nullptr)
        driver().release(ordinal_);
}

// Asking costs half of pushing and popping, and as a rule it is current already.
Gpu::Current::Current(const Gpu& gpu) {
    CUcontext now = nullptr;
    const bool is_current = driver().current(&now) == CUDA_SUCCESS && now == gpu.context_;
    pushed_ = !is_current && driver().push(gpu.context_) == CUDA_SUCCESS;
}

Gpu::Current::~Current() {
    CUcontext popped;
    if (pushed_)
        driver().pop(&popped);
}

RelaxedCapture::RelaxedCapture() {
    cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    cudaThreadExchangeStreamCaptureMode(&mode);
    mode_ = mode;
}

RelaxedCapture::~RelaxedCapture() {
    auto mode = static_cast<cudaStreamCaptureMode>(mode_);
    cudaThreadExchangeStreamCaptureMode(&mode);
}

}  // namespace relayattn::cuda
