# The sm_90a kernels; every source wants compute_90a,code=sm_90a.
set(RELAYATTN_SM90_SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/attend.cu
    ${CMAKE_CURRENT_LIST_DIR}/attend_bf16.cu
    ${CMAKE_CURRENT_LIST_DIR}/attend_f16.cu)
