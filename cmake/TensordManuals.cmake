# Manual pages, made by scdoc where that is there, and what a shell completes. In a wheel, too: man and bash (with
# bash-completion 2.12) look in ../share of the folders on PATH, as an active virtual environment's is.

set(TENSORD_ZSH_COMPLETIONS "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" CACHE PATH
  "Where zsh looks for completions; distributions have folders of their own")
mark_as_advanced(TENSORD_ZSH_COMPLETIONS)

# tensord_install_text(SYSTEM_FOLDER FOLDER FILE...): FOLDER is that of a wheel, in share.
function(tensord_install_text system_folder folder)
  install(FILES ${ARGN} DESTINATION "${system_folder}" COMPONENT tensord)
  if(DEFINED SKBUILD_DATA_DIR)
    install(FILES ${ARGN} DESTINATION "${SKBUILD_DATA_DIR}/share/${folder}" COMPONENT python)
  endif()
endfunction()

set(completion "${PROJECT_SOURCE_DIR}/tools/completion")
set(bash_folder bash-completion/completions)
tensord_install_text("${CMAKE_INSTALL_DATADIR}/${bash_folder}" ${bash_folder} "${completion}/tensorctl.bash")
tensord_install_text("${TENSORD_ZSH_COMPLETIONS}" zsh/site-functions "${completion}/_tensorctl")
set(fish_folder fish/vendor_completions.d)
tensord_install_text("${CMAKE_INSTALL_DATADIR}/${fish_folder}" ${fish_folder} "${completion}/tensorctl.fish")

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
tensord_install_text("${CMAKE_INSTALL_MANDIR}/man1" man/man1 ${pages})
# Whoever builds the program alone, and installs, has its manual.
add_dependencies(tensorctl manuals)
