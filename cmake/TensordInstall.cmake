# What `cmake --install` puts where. Two components:
#   tensord  library, headers, CMake package, programs, systemd units: for a system
#   python   the extension module and the programs, laid out as a wheel: for `pip install .`

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tensord")

install(TARGETS tensord EXPORT tensordTargets COMPONENT tensord
  FILE_SET HEADERS COMPONENT tensord)
install(EXPORT tensordTargets NAMESPACE tensord:: DESTINATION "${package_dir}" COMPONENT tensord)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/tensordConfig.cmake.in" tensordConfig.cmake
  INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change the protocol.
write_basic_package_version_file(tensordConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/tensordConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/tensordConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT tensord)

set(programs tensord_daemon)
if(TENSORD_BUILD_TOOLS)
  list(APPEND programs tensorctl)
endif()
install(TARGETS ${programs} COMPONENT tensord)

# Units go to lib/, never to lib64/ or lib/<triplet>: that is where systemd looks below a prefix.
# They are made while installing, because `cmake --install --prefix` chooses where the program lies.
foreach(manager IN ITEMS system user)
  set(source "${PROJECT_SOURCE_DIR}/systemd")
  if(manager STREQUAL "user")
    string(APPEND source "/user")
  endif()
  set(folder "lib/systemd/${manager}")
  # Straight to its place: two installations from one build tree must not share a file.
  install(CODE "
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX OUTPUT_VARIABLE prefix)
    cmake_path(APPEND prefix \"${CMAKE_INSTALL_BINDIR}\" tensord OUTPUT_VARIABLE TENSORD_PROGRAM)
    cmake_path(APPEND prefix \"${folder}\" tensord.service OUTPUT_VARIABLE unit)
    message(STATUS \"Installing: \$ENV{DESTDIR}\${unit}\")
    configure_file(\"${source}/tensord.service.in\" \"\$ENV{DESTDIR}\${unit}\" @ONLY)
    list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${unit}\")"
    COMPONENT tensord)
  install(FILES "${source}/tensord.socket" DESTINATION "${folder}" COMPONENT tensord)
endforeach()

if(TENSORD_BUILD_PYTHON)
  install(TARGETS _core DESTINATION tensord COMPONENT python)
  # Twice, on purpose: the package finds its own daemon beside itself, wherever it is unpacked,
  # and the same programs are on PATH without a detour through a Python interpreter.
  install(TARGETS ${programs} DESTINATION tensord/bin COMPONENT python)
  if(DEFINED SKBUILD_SCRIPTS_DIR)
    install(TARGETS ${programs} DESTINATION "${SKBUILD_SCRIPTS_DIR}" COMPONENT python)
  endif()
endif()
