#include "cuda_matrix_rate.h"

#include <cublas_v2.h>
#include <dlfcn.h>
#include <relayattn/relayattn.h>

#include <algorithm>
#include <memory>

#include "cuda_kernels.h"
#include "support/dtype.h"

namespace relayattn::bench {
namespace {

class Cublas {
  public:
    Cublas() {
        const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
        library_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library_ == nullptr)
            throw std::runtime_error("the matrix rate needs cuBLAS: " + std::string(dlerror()));
        check(load<decltype(&cublasCreate_v2)>("cublasCreate_v2")(&handle_));
        set_stream_ = load<decltype(&cublasSetStream_v2)>("cublasSetStream_v2");
        multiply_ = load<Multiply>("cublasGemmEx");
    }
    Cublas(const Cublas&) = delete;
    Cublas& operator=(const Cublas&) = delete;

    void multiply(int64_t size, cudaDataType type, const void* a, const void* b, void* c,
                  cudaStream_t stream) {
        const float one = 1, zero = 0;
        const int n = static_cast<int>(size);
        check(set_stream_(handle_, stream));
        check(multiply_(handle_, CUBLAS_OP_T, CUBLAS_OP_N, n, n, n, &one, a, type, n, b, type, n,
                        &zero, c, type, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    }

  private:
    // The header declares a C++ overload beside it, so the type is spelled out.
    using Multiply = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int,
                                        int, int, const void*, const void*, cudaDataType, int,
                                        const void*, cudaDataType, int, const void*, void*,
                                        cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);

    template <class Function>
    Function load(const char* name) {
        void* const symbol = dlsym(library_, name);
        if (symbol == nullptr)
            throw std::runtime_error(std::string("cuBLAS has no ") + name);
        return reinterpret_cast<Function>(symbol);
    }
    static void check(cublasStatus_t status) {
        if (status != CUBLAS_STATUS_SUCCESS)
            throw std::runtime_error("cuBLAS answers with status " + std::to_string(status));
    }

    void* library_;
    cublasHandle_t handle_ = nullptr;
    decltype(&cublasSetStream_v2) set_stream_ = nullptr;
    Multiply multiply_ = nullptr;
};

struct CudaFree {
    void operator()(void* data) const { cudaFree(data); }
};
using Matrix = std::unique_ptr<void, CudaFree>;

Matrix make_matrix(int64_t size, int32_t dtype, cudaStream_t stream) {
    void* data = nullptr;
    must(cudaMalloc(&data, static_cast<size_t>(size * size * test::size_of(dtype))));
    launch_fill(data, size * size, dtype, stream);
    return Matrix(data);
}

cudaDataType cuda_type(int32_t dtype) {
    return dtype == RA_F32 ? CUDA_R_32F : dtype == RA_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

}  // namespace

double matrix_rate(int32_t dtype, cudaStream_t stream) {
    static Cublas cublas;
    const int64_t size = dtype == RA_F32 ? 4096 : 8192;
    const Matrix a = make_matrix(size, dtype, stream), b = make_matrix(size, dtype, stream),
                 c = make_matrix(size, dtype, stream);
    cudaEvent_t start, stop;
    must(cudaEventCreate(&start));
    must(cudaEventCreate(&stop));
    float best = 1e30f;
    for (int tries = 0; tries < 8; ++tries) {
        must(cudaEventRecord(start, stream));
        cublas.multiply(size, cuda_type(dtype), a.get(), b.get(), c.get(), stream);
        must(cudaEventRecord(stop, stream));
        must(cudaEventSynchronize(stop));
        float milliseconds = 0;
        must(cudaEventElapsedTime(&milliseconds, start, stop));
        best = std::min(best, milliseconds);
    }
    must(cudaEventDestroy(start));
    must(cudaEventDestroy(stop));
    const auto n = static_cast<double>(size);
    return 2 * n * n * n / (static_cast<double>(best) * 1e-3);
}

}  // namespace relayattn::bench
