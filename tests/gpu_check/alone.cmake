# The floors below the check without what needs libraries: models in GGUF alone, plans without YAML, head and
# stages without messages.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_package(Threads REQUIRED)
find_path(XXHASH_INCLUDE xxhash.h HINTS ${CMAKE_CURRENT_SOURCE_DIR}/include)
if(NOT XXHASH_INCLUDE)
  message(FATAL_ERROR "xxhash.h is not here: install libxxhash-dev, or put the header into tests/gpu_check/include")
endif()

# As the root has them: floors write their paths from it.
set(PROJECT_SOURCE_DIR ${root})
add_compile_options(-ffp-contract=off)
include_directories(${root} ${XXHASH_INCLUDE})

set(topology_sources
  base/dtype.cc base/fault.cc base/shared_library.cc base/text.cc base/utf8.cc
  model/fingerprint.cc model/gguf.cc model/gguf_reader.cc model/gguf_spec.cc model/mapped_file.cc
  model/model_source.cc model/model_spec.cc model/synthetic.cc model/tensor_directory.cc
  model/tensor_table.cc
  plan/cost_model.cc plan/cpu_needs.cc plan/gpu_needs.cc plan/needs.cc plan/plan.cc)
list(TRANSFORM topology_sources PREPEND ${root}/topology/)
add_library(topology STATIC ${topology_sources})
target_link_libraries(topology PRIVATE ${CMAKE_DL_LIBS})
# Of the CPU the reference is enough, which any processor compiles.
set(CMAKE_SYSTEM_PROCESSOR any)
add_subdirectory(${root}/kernels kernels)
add_subdirectory(${root}/backends backends)

# Of the transports NCCL's own side, without links and messages.
set(nccl_sources communicator.cc nccl_library.cc nccl_names.cc self_check.cc)
list(TRANSFORM nccl_sources PREPEND ${root}/transport/nccl/)
add_library(transport_nccl STATIC ${nccl_sources})
target_link_libraries(transport_nccl PUBLIC topology Threads::Threads)

set(shard_sources block.cc card_port.cc head.cc kv_cache.cc stage.cc step_params.cc weights.cc workspace.cc)
list(TRANSFORM shard_sources PREPEND ${root}/shard/)
add_library(shard STATIC ${shard_sources})
target_link_libraries(shard PUBLIC backends topology transport_nccl)
