# relayattn_build_id: equal in the library and in a plugin exactly when they agree on the C++ types
# and the meaning of the work list that they share.

set(shared_headers backend.h core/layer.h core/result.h core/plan/device_figures.h
                   core/plan/work_list.h cuda/plugin.h)
set(contents "")
foreach(header IN LISTS shared_headers)
    file(READ ${PROJECT_SOURCE_DIR}/impl/${header} content)
    string(APPEND contents "${content}")
endforeach()
list(TRANSFORM shared_headers PREPEND ${PROJECT_SOURCE_DIR}/impl/)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${shared_headers})

string(SHA256 hash "${contents}")
string(SUBSTRING "${hash}" 0 16 hash)
set(relayattn_build_id "${PROJECT_VERSION}-${hash}")
