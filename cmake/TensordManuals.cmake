# Manual pages, made by scdoc where that is there, and what a shell completes.

set(TENSORD_ZSH_COMPLETIONS "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" CACHE PATH
  "Where zsh looks for completions; distributions have folders of their own")
mark_as_advanced(TENSORD_ZSH_COMPLETIONS)
set(completion "${PROJECT_SOURCE_DIR}/tools/completion")
install(FILES "${completion}/tensorctl.bash"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME tensorctl COMPONENT tensord)
install(FILES "${completion}/_tensorctl" DESTINATION "${TENSORD_ZSH_COMPLETIONS}" COMPONENT tensord)
install(FILES "${completion}/tensorctl.fish"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d" COMPONENT tensord)

find_program(SCDOC scdoc)
mark_as_advanced(SCDOC)
if(NOT SCDOC)
  message(STATUS "No scdoc: the manual pages tensord(1) and tensorctl(1) are left out")
  return()
endif()
foreach(page IN ITEMS tensord.1 tensorctl.1)
  set(source "${PROJECT_SOURCE_DIR}/docs/man/${page}.scd")
  set(made "${PROJECT_BINARY_DIR}/man/${page}")
  add_custom_command(OUTPUT "${made}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/man"
    COMMAND sh -c "\"$1\" <\"$2\" >\"$3\"" sh "${SCDOC}" "${source}" "${made}"
    DEPENDS "${source}" COMMENT "Making ${page}" VERBATIM)
  list(APPEND pages "${made}")
endforeach()
add_custom_target(manuals ALL DEPENDS ${pages})
install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT tensord)
# Whoever builds the program alone, and installs, has its manual.
add_dependencies(tensorctl manuals)
