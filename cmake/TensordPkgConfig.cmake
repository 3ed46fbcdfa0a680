# tensord.pc, for builds without CMake.

set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# Its own place leads to the rest, so that an installation may be moved as a whole.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(TENSORD_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
  string(REGEX REPLACE "[^/]+" ".." up "${pkgconfig_dir}")
  set(TENSORD_PREFIX "\${pcfiledir}/${up}")
endif()
set(TENSORD_LIBDIR "\${prefix}")
cmake_path(APPEND TENSORD_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
set(TENSORD_INCLUDEDIR "\${prefix}")
cmake_path(APPEND TENSORD_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")

# Whoever links a static library links what that needs, though only `pkg-config --static` reads Libs.private.
get_target_property(type tensord TYPE)
if(type STREQUAL "STATIC_LIBRARY")
  set(TENSORD_LIBS "-ltensord -pthread")
else()
  set(TENSORD_LIBS "-ltensord")
  set(TENSORD_LIBS_PRIVATE "-pthread")
endif()

configure_file("${CMAKE_CURRENT_LIST_DIR}/tensord.pc.in" "${PROJECT_BINARY_DIR}/tensord.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/tensord.pc" DESTINATION "${pkgconfig_dir}" COMPONENT tensord-dev)
