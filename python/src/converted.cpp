#include "converted.hpp"

#include "cast.hpp"
#include "no_gil.hpp"
#include "view.hpp"

namespace py = pybind11;

namespace tensord::python {

std::shared_ptr<Draft> draft_converted(const Store& store, std::string_view name, const Source& source,
                                       DType dtype, const PutOptions& options) {
  const PackedLayout layout = packed_layout(source);
  std::shared_ptr<Draft> draft;
  {
    const NoGil no_gil;
    // Too many dimensions are refused by their number, whatever the strides.
    draft = std::make_shared<Draft>(layout.shape.size() > kMaxDims
                                        ? store.build(name, dtype, layout.shape, options)
                                        : store.build(name, dtype, layout.shape, layout.strides, options));
  }
  PyView target(draft, store.socket());
  cast_into(target, source);
  draft->builder().count_bytes_copied(draft->builder().size_bytes());
  return draft;
}

}  // namespace tensord::python
