# Resolves RELAYATTN_CUDA to RELAYATTN_WITH_CUDA, and says why when it is off.

set(RELAYATTN_WITH_CUDA OFF)
set(relayattn_cuda_reason "RELAYATTN_CUDA=OFF")

if(NOT RELAYATTN_CUDA STREQUAL "OFF")
    if(RELAYATTN_SANITIZE)
        set(relayattn_cuda_reason "the plugin is not built with sanitizers")
    else()
        include(CheckLanguage)
        check_language(CUDA)
        if(CMAKE_CUDA_COMPILER)
            set(RELAYATTN_WITH_CUDA ON)
        else()
            set(relayattn_cuda_reason
                "no CUDA compiler (nvcc in PATH, or name it by CUDACXX)")
        endif()
    endif()
    if(NOT RELAYATTN_WITH_CUDA AND RELAYATTN_CUDA STREQUAL "ON")
        message(FATAL_ERROR "RELAYATTN_CUDA=ON, but ${relayattn_cuda_reason}.")
    endif()
endif()

if(RELAYATTN_WITH_CUDA)
    enable_language(CUDA)
    if(CMAKE_VERSION VERSION_LESS 3.27 AND NOT TARGET CUDA::nvToolsExt)
        # This CMake's FindCUDAToolkit asks for a library that CUDA 13 no longer has.
        add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
    endif()
    find_package(CUDAToolkit REQUIRED)
    set(relayattn_cuda_reason "CUDA ${CUDAToolkit_VERSION}")
endif()
