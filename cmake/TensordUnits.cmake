# systemd's units, of the system and of users' managers.
#
# They go to lib/, never to lib64/ or lib/<triplet>: that is where systemd looks below a prefix.
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
