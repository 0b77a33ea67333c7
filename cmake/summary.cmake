# One glance at what was chosen.

if(RELAYATTN_WITH_CUDA)
    set(summary_cuda "yes, ${relayattn_cuda_reason}")
else()
    set(summary_cuda "no: ${relayattn_cuda_reason}")
endif()
if(RELAYATTN_SANITIZE)
    set(summary_sanitize ${RELAYATTN_SANITIZE})
else()
    set(summary_sanitize none)
endif()

message(STATUS "relayattn ${PROJECT_VERSION}")
message(STATUS "  platform     Linux ${CMAKE_SYSTEM_PROCESSOR}, ${CMAKE_CXX_COMPILER_ID} "
               "${CMAKE_CXX_COMPILER_VERSION}, ${CMAKE_BUILD_TYPE}")
message(STATUS "  static too   ${RELAYATTN_STATIC}")
message(STATUS "  CUDA plugin  ${summary_cuda}")
message(STATUS "  sanitizers   ${summary_sanitize}")
message(STATUS "  tests        ${RELAYATTN_BUILD_TESTS}")
message(STATUS "  examples     ${RELAYATTN_BUILD_EXAMPLES}")
message(STATUS "  prefix       ${CMAKE_INSTALL_PREFIX}")
