# Included by CMake after project(llama.cpp) and project(ggml), see llama-cpp.sh. llama-cpp-python has llama.cpp built one
# file at a time, of which few change: 16 files per compiler run cost a third of the time.
#
# With it comes llama.cpp's own server, for the tests: llama_cpp/bin/llama-server in the wheel, beside the libraries of the
# Python binding. No TLS, and no web pages (they would be downloaded).
if(PROJECT_NAME STREQUAL "ggml")
  set(CMAKE_UNITY_BUILD OFF) # its files define the same static names
else()
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)
  set(LLAMA_BUILD_COMMON ON)
  set(LLAMA_BUILD_TOOLS ON)
  set(LLAMA_BUILD_SERVER ON)
  set(LLAMA_BUILD_UI OFF)
  set(LLAMA_USE_PREBUILT_UI OFF)
  set(LLAMA_OPENSSL OFF)
  set(LLAMA_ALL_WARNINGS OFF)
  set(llama_server "${CMAKE_CURRENT_LIST_DIR}/llama-server.cmake")
  cmake_language(DEFER CALL include "${llama_server}") # once its targets are there
endif()
