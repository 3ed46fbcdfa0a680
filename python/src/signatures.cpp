// A built-in function keeps its signature in front of its docstring, where CPython looks for it:
// "name(parameters)\n--\n\n". pybind11 writes none, or one that is text for people; so this one is made
// from its records, and says what a call accepts.
#include "signatures.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace py = pybind11;

namespace tensord::python {
namespace {

using Record = py::detail::function_record;

// The record of a function that was registered here, or null.
const Record* record_of(py::handle function) {
  if (!function || PyCFunction_Check(function.ptr()) == 0) return nullptr;
  PyObject* const self = PyCFunction_GET_SELF(function.ptr());
  return self == nullptr ? nullptr : py::detail::function_record_ptr_from_PyObject(self);
}

std::string parameter(const Record& record, std::size_t index) {
  if (index >= record.args.size()) {  // registered without names
    if (record.is_method) return index == 0 ? "self" : "arg" + std::to_string(index - 1);
    return "arg" + std::to_string(index);
  }
  const py::detail::argument_record& argument = record.args[index];
  std::string text = argument.name == nullptr ? "arg" + std::to_string(index) : argument.name;
  if (argument.value) text += '=' + py::repr(argument.value).cast<std::string>();
  return text;
}

std::string parameters(const Record& record) {
  // A record counts *args and **kwargs as parameters; it has names for all others, or for none.
  const std::size_t count = record.nargs - (record.has_args ? 1u : 0u) - (record.has_kwargs ? 1u : 0u);
  const std::size_t by_position_only = record.args.empty() ? count : record.nargs_pos_only;
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  std::size_t index = 0;
  for (; index < record.nargs_pos && index < count; ++index) {
    add(parameter(record, index));
    if (index + 1 == by_position_only) add("/");
  }
  if (record.has_args) {
    add("*args");
  } else if (index < count) {
    add("*");
  }
  for (; index < count; ++index) add(parameter(record, index));
  if (record.has_kwargs) add("**kwargs");
  return text;
}

void add_signature(py::handle function) {
  const Record* const record = record_of(function);
  if (record == nullptr) return;
  const std::string own = parameters(*record);
  for (const Record* other = record->next; other != nullptr; other = other->next) {
    if (parameters(*other) != own) return;  // no one signature says what they accept together
  }
  auto* const builtin = reinterpret_cast<PyCFunctionObject*>(function.ptr());
  const char* const doc = builtin->m_ml->ml_doc;
  const std::string text =
      std::string(builtin->m_ml->ml_name) + '(' + own + ")\n--\n\n" + (doc == nullptr ? "" : doc);
  char* const copy = strdup(text.c_str());
  if (copy == nullptr) throw std::bad_alloc();
  // pybind11 owns it by malloc and free, as it did the one before.
  std::free(const_cast<char*>(doc));
  builtin->m_ml->ml_doc = copy;
}

}  // namespace

void add_signatures(const py::module_& module) {
  for (const auto& [name, value] : module.attr("__dict__").cast<py::dict>()) {
    add_signature(value);
    if (!py::isinstance<py::type>(value)) continue;
    for (const auto& item : value.attr("__dict__").attr("items")()) {
      add_signature(py::detail::get_function(item.cast<py::tuple>()[1]));
    }
  }
}

}  // namespace tensord::python
