# Where the library works: 64-bit Linux on x86-64 or AArch64. Anything else stops here, in one
# sentence, instead of failing somewhere in a kernel.

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    message(FATAL_ERROR "relayattn supports Linux; this build is for ${CMAKE_SYSTEM_NAME}.")
endif()

if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64|aarch64|arm64)$"
   OR NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    math(EXPR relayattn_bits "8 * ${CMAKE_SIZEOF_VOID_P}")
    message(FATAL_ERROR "relayattn supports 64-bit x86-64 and AArch64; this build is for "
                        "${CMAKE_SYSTEM_PROCESSOR} with ${relayattn_bits}-bit pointers.")
endif()

if(NOT CMAKE_CXX_COMPILER_ID MATCHES "^(GNU|Clang)$")
    message(FATAL_ERROR "relayattn is built with GCC or Clang; this compiler is "
                        "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}.")
endif()
