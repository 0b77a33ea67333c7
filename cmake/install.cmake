# `cmake --install BUILD [--prefix DIR]`: header, library, pkg-config file, CMake package, licence.
# Every path inside what is installed is relative, so the prefix may be moved afterwards.

include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/relayattn)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/capi/include/relayattn
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")

set(installed_libraries relayattn)
if(RELAYATTN_STATIC)
    list(APPEND installed_libraries relayattn_static)
endif()
install(TARGETS ${installed_libraries} EXPORT relayattn-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

# The plugin lies beside the library, which looks for it there.
if(TARGET relayattn_cuda)
    install(TARGETS relayattn_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

install(EXPORT relayattn-targets NAMESPACE relayattn:: DESTINATION ${package_dir})
configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/relayattn-config.cmake.in
    ${PROJECT_BINARY_DIR}/relayattn-config.cmake
    INSTALL_DESTINATION ${package_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/relayattn-config-version.cmake
    COMPATIBILITY SameMinorVersion) # until the ABI is frozen, a minor release may break
install(FILES ${PROJECT_BINARY_DIR}/relayattn-config.cmake
              ${PROJECT_BINARY_DIR}/relayattn-config-version.cmake
        DESTINATION ${package_dir})

# pkg-config finds the prefix from where the .pc file lies, unless a directory is absolute.
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}
           OUTPUT_VARIABLE pc_dir)
cmake_path(APPEND pc_dir pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${pc_dir} OUTPUT_VARIABLE pc_up)
set(pc_prefix "\${pcfiledir}/${pc_up}")
foreach(dir LIBDIR INCLUDEDIR)
    cmake_path(IS_ABSOLUTE CMAKE_INSTALL_${dir} is_absolute)
    if(is_absolute)
        set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
    else()
        set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/pkgconfig/relayattn.pc.in
               ${PROJECT_BINARY_DIR}/relayattn.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/relayattn.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/relayattn)

if(PROJECT_IS_TOP_LEVEL)
    add_custom_target(uninstall
        COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
                -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
        COMMENT "Removing what the last install of this build directory installed"
        VERBATIM)
endif()
