# The .deb packages, by CPack: `make deb`, or `cpack --preset deb` after a build of that preset.
#   tensord         the daemon, tensorctl, systemd units
#   libtensord-dev  what a program is built against
# Their paths come from that preset's CMAKE_INSTALL_PREFIX, /usr: GNUInstallDirs says lib/<triplet> for no other.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL tensord tensord-dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(TENSORD_MAINTAINER "tensord's authors <tensord@example.invalid>" CACHE STRING
  "Who answers for the packages that are built here: Name <address>")
mark_as_advanced(TENSORD_MAINTAINER)

set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each has its own, in the first line of its description
set(CPACK_PACKAGE_CONTACT "${TENSORD_MAINTAINER}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_TENSORD_PACKAGE_NAME tensord)
set(CPACK_DEBIAN_TENSORD_PACKAGE_SECTION science)
set(CPACK_DEBIAN_TENSORD_DESCRIPTION "named tensors in shared memory: daemon and tools
One process puts a tensor, every other one attaches to it by name and sees the
same bytes, without a copy: NumPy, PyTorch and C++ programs of one machine.

This package has the daemon tensord, the command line tool tensorctl, and units
for systemd. No unit is enabled: the store of the whole machine starts with
`systemctl enable --now tensord.socket`, that of one user with the first
connection.")
set(CPACK_DEBIAN_TENSORD_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/packaging/debian/postinst"
  "${PROJECT_SOURCE_DIR}/packaging/debian/prerm"
  "${PROJECT_SOURCE_DIR}/packaging/debian/postrm")

set(CPACK_DEBIAN_TENSORD-DEV_PACKAGE_NAME libtensord-dev)
set(CPACK_DEBIAN_TENSORD-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_TENSORD-DEV_PACKAGE_SHLIBDEPS OFF)
# A program speaks with a daemon of its own version; the daemon may be another machine image's.
set(CPACK_DEBIAN_TENSORD-DEV_PACKAGE_RECOMMENDS "tensord (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TENSORD-DEV_DESCRIPTION "named tensors in shared memory: library to build against
The C++20 client library of tensord, as a static library: headers (those for
LibTorch included), a package for CMake's find_package, and a file for
pkg-config.")

# What Debian wants to find in each package.
foreach(of IN ITEMS "tensord tensord" "tensord-dev libtensord-dev")
  string(REPLACE " " ";" of "${of}")
  list(POP_FRONT of component package)
  install(FILES "${PROJECT_SOURCE_DIR}/packaging/copyright"
    DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}" COMPONENT ${component})
endforeach()

include(CPack)
