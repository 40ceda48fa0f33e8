# golden_table(SOURCE): writes the recorded traces as a C++ table, from the JSON of the traces and of
# their tensors' directories, so that the program needs no JSON library. The files that it reads when it
# runs are put beside it.
set(golden ${root}/tests/golden)
set(demo ${root}/cluster/demo)
set(golden_names nano kquant sudoku6 sudoku9)
set(golden_models ${golden}/nano/model-bf16.gguf ${golden}/kquant/model-Q4_K_M.gguf ${demo}/sudoku6.gguf
    ${demo}/sudoku9.gguf)
set(golden_traces ${golden}/nano/trace ${golden}/kquant/trace-Q4_K_M ${golden}/demo/trace-0 ${golden}/demo9/trace-0)

# The directory of a safetensors file, and the offset of its data.
function(read_directory file directory begin)
  file(READ ${file} hex LIMIT 8 HEX)
  string(REGEX REPLACE "(..)(..)(..)(..)(..)(..)(..)(..)" "0x\\8\\7\\6\\5\\4\\3\\2\\1" length ${hex})
  math(EXPR length "${length}")
  file(READ ${file} text OFFSET 8 LIMIT ${length})
  math(EXPR data "8 + ${length}")
  set(${directory} "${text}" PARENT_SCOPE)
  set(${begin} ${data} PARENT_SCOPE)
endfunction()

# The offset of a tensor within its file, and how many values of 4 bytes it has.
function(find_tensor directory begin name offset count)
  string(JSON first GET "${directory}" ${name} data_offsets 0)
  string(JSON last GET "${directory}" ${name} data_offsets 1)
  math(EXPR at "${begin} + ${first}")
  math(EXPR values "(${last} - ${first}) / 4")
  set(${offset} ${at} PARENT_SCOPE)
  set(${count} ${values} PARENT_SCOPE)
endfunction()

function(golden_op directory begin op line)
  string(JSON kind GET "${op}" op)
  string(JSON ids GET "${op}" ids)
  find_tensor("${directory}" ${begin} ${ids} at count)
  if(kind STREQUAL "encode")
    set(${line} "{false, ${at}, ${count}, 0, 0, 1, false, 1},\n" PARENT_SCOPE)
    return()
  endif()
  string(JSON logits GET "${op}" logits)
  string(REGEX REPLACE "logits$" "entropy" entropy ${logits})
  find_tensor("${directory}" ${begin} ${logits} logits_at ignored)
  find_tensor("${directory}" ${begin} ${entropy} entropy_at ignored)
  string(JSON temperature GET "${op}" temperature)
  string(JSON condition GET "${op}" self_condition)
  string(JSON rms GET "${op}" bf16_rms_rel)
  set(conditioned true)
  if(condition STREQUAL "none")
    set(conditioned false)
  endif()
  set(${line} "{true, ${at}, ${count}, ${logits_at}, ${entropy_at}, ${temperature}, ${conditioned}, ${rms}},\n"
      PARENT_SCOPE)
endfunction()

function(golden_ops trace ops)
  read_directory(${trace}.safetensors directory begin)
  file(READ ${trace}.json text)
  string(JSON last LENGTH "${text}" ops)
  math(EXPR last "${last} - 1")
  set(lines "")
  foreach(i RANGE ${last})
    string(JSON op GET "${text}" ops ${i})
    golden_op("${directory}" ${begin} "${op}" line)
    string(APPEND lines "${line}")
  endforeach()
  set(${ops} "${lines}" PARENT_SCOPE)
endfunction()

function(golden_table source)
  set(ops "")
  set(table "")
  foreach(name model trace IN ZIP_LISTS golden_names golden_models golden_traces)
    golden_ops(${trace} lines)
    string(APPEND ops "constexpr GoldenOp k_${name}[] = {\n${lines}};\n")
    string(APPEND table "{\"${name}\", \"${name}.gguf\", \"${name}.safetensors\", k_${name}},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${trace}.json ${trace}.safetensors)
    configure_file(${model} ${carried}/golden/${name}.gguf COPYONLY)
    configure_file(${trace}.safetensors ${carried}/golden/${name}.safetensors COPYONLY)
  endforeach()
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"// The recorded traces, by golden.cmake.
#include \"tests/gpu_check/golden.h\"

namespace potluck {
namespace {

${ops}
constexpr GoldenTrace kTraces[] = {
${table}};

}  // namespace

std::span<const GoldenTrace> golden_traces() {
  return kTraces;
}

}  // namespace potluck
")
endfunction()
