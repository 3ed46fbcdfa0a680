# How every target of this project is compiled.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# The client library goes into shared objects (the Python module), so its code must be relocatable.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
  endif()
  find_program(CCACHE_PROGRAM ccache)
  mark_as_advanced(CCACHE_PROGRAM)
  if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  endif()
endif()

# Linked privately by our own targets: no user of the library inherits our taste in warnings, nor has a project
# that contains this one to bear what a newer compiler finds.
# Whether a warning is an error is the preset's choice (CMAKE_COMPILE_WARNING_AS_ERROR).
add_library(tensord_warnings INTERFACE)
if(PROJECT_IS_TOP_LEVEL)
  target_compile_options(tensord_warnings INTERFACE
    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi -Wundef)
endif()
