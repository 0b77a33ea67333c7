# Usage requirements that our own targets share. Neither is installed nor seen by a consumer.

find_package(Threads REQUIRED)

# Warnings on C and C++ of ours; kernels for a device have their own compiler and flags.
add_library(relayattn_warnings INTERFACE)
set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
if(RELAYATTN_WERROR)
    list(APPEND warnings -Werror)
endif()
target_compile_options(relayattn_warnings INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:${warnings}>)

# Everything inside the library: C++20, headers named from the root, no symbol visible by default.
add_library(relayattn_private INTERFACE)
target_compile_features(relayattn_private INTERFACE cxx_std_20)
target_include_directories(relayattn_private INTERFACE
    ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/capi/include)
target_link_libraries(relayattn_private INTERFACE
    relayattn_warnings Threads::Threads ${CMAKE_DL_LIBS})

# relayattn_add_objects(<name> SOURCES...): one room of the library.
function(relayattn_add_objects name)
    add_library(${name} OBJECT ${ARGN})
    relayattn_private_target(${name})
endfunction()

# relayattn_private_target(<name>): what every target inside the library has.
function(relayattn_private_target name)
    target_link_libraries(${name} PRIVATE relayattn_private)
    set_target_properties(${name} PROPERTIES
        CXX_EXTENSIONS OFF
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON
        POSITION_INDEPENDENT_CODE ON)
endfunction()
