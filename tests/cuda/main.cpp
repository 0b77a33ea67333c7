// Without a GPU nothing here can be tested: the program says so and returns 77, ctest's "skipped".
#define DOCTEST_CONFIG_IMPLEMENT
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "gpu.h"

namespace relayattn::test {

std::unique_ptr<Backend> make_gpu() {
    return value_of(create_cuda_backend(0));
}

bool is_general() {
    const char* kernels = std::getenv("RELAYATTN_CUDA_KERNELS");
    return kernels != nullptr && std::string(kernels) == "general";
}

}  // namespace relayattn::test

int main(int argc, char** argv) {
    constexpr int skipped = 77;
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        std::printf("skipped: no GPU: %s\n", cudaGetErrorString(status));
        return skipped;
    }
    return doctest::Context(argc, argv).run();
}
