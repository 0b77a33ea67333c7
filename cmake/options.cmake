# Everything that a user may choose. Developer options are off when another project includes us.

include(GNUInstallDirs)

option(RELAYATTN_STATIC "Also build the static library, target relayattn_static" OFF)
option(RELAYATTN_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
option(RELAYATTN_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(RELAYATTN_BUILD_EXAMPLES "Build the examples and the demo" ${PROJECT_IS_TOP_LEVEL})
option(RELAYATTN_WERROR "Compiler warnings in our own code are errors" ${PROJECT_IS_TOP_LEVEL})

set(RELAYATTN_CUDA AUTO CACHE STRING
    "The CUDA plugin: AUTO builds it where a toolkit is found, ON insists, OFF does not look")
set_property(CACHE RELAYATTN_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT RELAYATTN_CUDA MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "RELAYATTN_CUDA is \"${RELAYATTN_CUDA}\"; it must be AUTO, ON or OFF.")
endif()

set(RELAYATTN_SANITIZE "" CACHE STRING
    "Sanitizers for everything built here: \"address,undefined\", \"thread\", or empty")

if(PROJECT_IS_TOP_LEVEL)
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
    endif()
    # clang-tidy and the test of instruction-set flags read it.
    set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
    find_program(RELAYATTN_CCACHE ccache)
    mark_as_advanced(RELAYATTN_CCACHE)
    if(RELAYATTN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
        set(CMAKE_C_COMPILER_LAUNCHER ${RELAYATTN_CCACHE})
        set(CMAKE_CXX_COMPILER_LAUNCHER ${RELAYATTN_CCACHE})
        set(CMAKE_CUDA_COMPILER_LAUNCHER ${RELAYATTN_CCACHE})
    endif()
endif()
