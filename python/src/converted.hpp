// Converted: elements that NumPy or torch copy into the store, because they go to another dtype or lie at
// places that only those libraries can read.
#pragma once

#include <memory>
#include <string_view>

#include <tensord/store.hpp>

#include "array_input.hpp"
#include "draft.hpp"

namespace tensord::python {

// A tensor in the making that holds the elements of `source` as `dtype`: one copy, counted; to be published.
// Call with the GIL, which requests release. Throws as Store::build() and cast_into().
[[nodiscard]] std::shared_ptr<Draft> draft_converted(const Store& store, std::string_view name,
                                                     const Source& source, DType dtype,
                                                     const PutOptions& options);

}  // namespace tensord::python
