# What `cmake --install` puts where. Three components:
#   tensord      programs, manual pages and systemd units: for a system that runs them
#   tensord-dev  library, headers, CMake package, pkg-config file: to build against
#   python       the extension module and the programs, laid out as a wheel: for `pip install .`

include(CMakePackageConfigHelpers)

# ---- tensord-dev ----------------------------------------------------------------------------------

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tensord")

install(TARGETS tensord EXPORT tensordTargets COMPONENT tensord-dev
  FILE_SET HEADERS COMPONENT tensord-dev)
install(EXPORT tensordTargets NAMESPACE tensord:: DESTINATION "${package_dir}" COMPONENT tensord-dev)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/tensordConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/tensordConfig.cmake" INSTALL_DESTINATION "${package_dir}")
# Before 1.0 a minor version may change the protocol.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tensordConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/tensordConfig.cmake"
  "${PROJECT_BINARY_DIR}/tensordConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT tensord-dev)

include(TensordPkgConfig)

# ---- tensord --------------------------------------------------------------------------------------

set(programs)
if(TENSORD_BUILD_DAEMON)
  list(APPEND programs tensord_daemon)
  include(TensordUnits)
endif()
if(TENSORD_BUILD_TOOLS)
  list(APPEND programs tensorctl)
  include(TensordManuals)
endif()
if(programs)
  install(TARGETS ${programs} COMPONENT tensord)
endif()

# ---- python ---------------------------------------------------------------------------------------

if(TENSORD_BUILD_PYTHON)
  install(TARGETS _core DESTINATION tensord COMPONENT python)
  # Twice, on purpose: the package finds its own daemon beside itself, wherever it is unpacked,
  # and the same programs are on PATH without a detour through a Python interpreter.
  install(TARGETS ${programs} DESTINATION tensord/bin COMPONENT python)
  if(DEFINED SKBUILD_SCRIPTS_DIR)
    install(TARGETS ${programs} DESTINATION "${SKBUILD_SCRIPTS_DIR}" COMPONENT python)
  endif()
endif()
