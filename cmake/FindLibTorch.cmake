# LibTorch::LibTorch, from the PyTorch that the build's Python has, or from CMAKE_PREFIX_PATH.
#
# PyTorch's own find_package(Torch) stops a CUDA build of PyTorch where the CUDA toolkit is not
# installed, as it is on most machines that merely `pip install torch`. Our tests and the example
# compute on the CPU: headers and the two libraries that hold the CPU side are enough.
#
# Python is asked for the place, not for the module: importing torch takes seconds.

if(NOT LibTorch_ROOT_DIR)
  find_package(Python COMPONENTS Interpreter QUIET)
  if(Python_FOUND)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -c
        "from importlib.util import find_spec as f; s = f('torch'); print(s.submodule_search_locations[0] if s else '')"
      OUTPUT_VARIABLE torch_of_python OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
endif()

find_path(LibTorch_ROOT_DIR include/torch/csrc/api/include/torch/torch.h HINTS "${torch_of_python}"
  DOC "PyTorch's folder, with include/ and lib/")
find_library(LibTorch_CPU_LIBRARY torch_cpu HINTS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 HINTS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
mark_as_advanced(LibTorch_ROOT_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY
  REASON_FAILURE_MESSAGE "Install PyTorch where this build's Python finds it (`scripts/setup` does), or set TENSORD_BUILD_TORCH=OFF")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch INTERFACE
    "${LibTorch_ROOT_DIR}/include" "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include")
  target_link_libraries(LibTorch::LibTorch INTERFACE "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}")
endif()
