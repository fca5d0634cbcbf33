# Included by CMake after project(llama.cpp) and project(ggml), see llama-cpp.sh. llama-cpp-python builds llama.cpp's
# `common` library by force and 188 files one by one, of which the Python binding needs none and few changes: without
# `common`, and 16 files per compiler run, the build takes 70 s on two cores instead of more than six minutes.
set(LLAMA_BUILD_COMMON OFF)
if(PROJECT_NAME STREQUAL "ggml")
  set(CMAKE_UNITY_BUILD OFF) # its files define the same static names
else()
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)
endif()
