# The kernels for sm_80 and newer: real code for 80, and PTX of compute_80 for what comes later.
set(RELAYATTN_SM80_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/attend.cu
    ${CMAKE_CURRENT_LIST_DIR}/attend_bf16.cu
    ${CMAKE_CURRENT_LIST_DIR}/attend_f16.cu)
