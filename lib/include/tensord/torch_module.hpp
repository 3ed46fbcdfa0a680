// Torch modules: all parameters and buffers of one, put together and loaded without a copy.
//
//   tensord::put_module(store, "model", *net);      // one copy, in; published together
//   tensord::load_module(store, "model", *other);   // none; in any process
//
// Names are prefix/key, with the keys of state_dict() in Python: "model/encoder.0.weight". The two sides may
// be in either language. Header-only, as torch.hpp; apart from it because modules take long to compile.
//
// Owns     what load_module() gives a module keeps its own pins: names, Store and daemon may go.
// Threads  as torch: a module is not changed and used at one time.
// Fails    with tensord::Error (error.hpp), before anything is published or any parameter is changed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <torch/nn/module.h>

#include <tensord/error.hpp>
#include <tensord/store.hpp>
#include <tensord/torch.hpp>
#include <tensord/view.hpp>

namespace tensord {

namespace torch_detail {

inline std::string below(std::string_view prefix) {
  return prefix.empty() ? std::string() : std::string(prefix) + "/";
}

// Parameters, then buffers, by their names in the store.
inline std::vector<std::pair<std::string, torch::Tensor>> tensors_of(const torch::nn::Module& module,
                                                                     std::string_view prefix) {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (const auto& named : {module.named_parameters(), module.named_buffers()}) {
    for (const auto& item : named) {
      if (item.value().defined()) tensors.emplace_back(below(prefix) + item.key(), item.value());
    }
  }
  return tensors;
}

// Whether the elements of `inner` are among the bytes of `outer`, where one tensor could reach both.
inline bool lies_within(const View& inner, const View& outer) {
  const Location at = inner.location(), around = outer.location();
  return inner.numel() > 0 && inner.dtype() == outer.dtype() && at.segment == around.segment &&
         at.offset_bytes >= around.offset_bytes &&
         at.offset_bytes + inner.extent_bytes() <= around.offset_bytes + outer.extent_bytes() &&
         (at.offset_bytes - around.offset_bytes) % inner.dtype().itemsize() == 0;
}

// as_torch() of each, but what lies within another view's memory is made of that one's tensor: otherwise
// each of two sealed tensors that share memory would have a private mapping of its own.
inline std::vector<torch::Tensor> as_torch_together(std::span<const View> views) {
  std::vector<std::size_t> order(views.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Of those that begin at one place, the widest first.
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) {
      const Location at = views[i].location();
      return std::tuple(at.segment, at.offset_bytes, ~views[i].extent_bytes());
    };
    return key(a) < key(b);
  });
  std::vector<torch::Tensor> tensors(views.size());
  const View* wide = nullptr;
  torch::Tensor wide_tensor;
  for (const std::size_t i : order) {
    const View& view = views[i];
    if (wide == nullptr || !lies_within(view, *wide)) {
      tensors[i] = as_torch(view);
      wide = &view;
      wide_tensor = tensors[i];
      continue;
    }
    const std::uint64_t distance = view.location().offset_bytes - wide->location().offset_bytes;
    tensors[i] = wide_tensor.as_strided(int_array(view.shape()), int_array(view.strides()),
                                        static_cast<std::int64_t>(distance / view.dtype().itemsize()));
  }
  return tensors;
}

// "a, b and 7 more"
inline std::string listed(const std::vector<std::string>& findings) {
  constexpr std::size_t kShown = 10;
  std::string text;
  for (std::size_t i = 0; i < findings.size() && i < kShown; ++i) text += (i == 0 ? "" : ", ") + findings[i];
  if (findings.size() > kShown) text += " and " + std::to_string(findings.size() - kShown) + " more";
  return text;
}
inline std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

}  // namespace torch_detail

// Puts the parameters and buffers of a module, detached from their graph: exactly one copy of each, or one
// of all the memory that several share (tied weights), which they share in the store, too. Published
// together or not at all. Returns the views: parameters, then buffers, in the order of the module.
// With `replace`, tensors of an older set whose keys this module lacks stay.
// Throws as Store::put_many(); InvalidArgumentError for a parameter that is not dense, or not on the CPU.
inline std::vector<View> put_module(const Store& store, std::string_view prefix,
                                    const torch::nn::Module& module, const PutOptions& options = {}) {
  const auto tensors = torch_detail::tensors_of(module, prefix);
  std::vector<PutItem> items;
  items.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    items.push_back({name, torch_detail::array_of(name, tensor)});
  }
  return store.put_many(items, options, Overlap::kKeep);
}

// Gives a module the parameters and buffers below a prefix, all of one moment, without a copy; as as_torch():
// of a sealed set a private copy-on-write mapping, so the module can be trained and nobody sees it; of a live
// set with Mode::kReadWrite the shared bytes, so that everybody sees it. What requires grad, and grads, stay.
// Strict: the keys, dtypes and shapes are the module's, or InvalidArgumentError lists what differs; also that
// one parameter of the module is two tensors in the store. Tensors that share memory in the store do in the
// module. Throws NotFoundError (nothing is there), WouldCopyError (a live set with Mode::kRead), as
// attach_many().
inline void load_module(const Store& store, std::string_view prefix, torch::nn::Module& module,
                        Mode mode = Mode::kRead) {
  const std::string below = torch_detail::below(prefix);
  const std::vector<std::string> there = store.names(below);  // sorted
  if (there.empty()) throw NotFoundError("load_module: there is no tensor below '" + below + "'");

  // By name, so that both sides are sorted.
  std::map<std::string, torch::Tensor> own;
  for (auto& [name, tensor] : torch_detail::tensors_of(module, prefix)) own.emplace(name, tensor);
  std::vector<std::string> missing, unexpected, others;
  std::vector<std::string_view> names;
  std::vector<torch::Tensor> targets;
  for (const auto& [name, tensor] : own) {
    if (std::binary_search(there.begin(), there.end(), name)) {
      names.push_back(name);
      targets.push_back(tensor);
    } else {
      missing.push_back(torch_detail::quoted(name));
    }
  }
  for (const std::string& name : there) {
    if (!own.contains(name)) unexpected.push_back(torch_detail::quoted(name));
  }

  const std::vector<View> views = store.attach_many(names, mode);
  std::map<const at::TensorImpl*, const View*> loaded;
  for (std::size_t i = 0; i < views.size(); ++i) {
    const View& view = views[i];
    const torch::Tensor& target = targets[i];
    if (view.dtype() != from_torch_dtype(target.scalar_type()) ||
        torch_detail::int_array(view.shape()) != target.sizes()) {
      others.push_back(torch_detail::quoted(names[i]) + " is " + std::string(dtype_name(view.dtype())) + " " +
                       c10::str(torch_detail::int_array(view.shape())) + " in the store and " +
                       c10::toString(target.scalar_type()) + " " + c10::str(target.sizes()) +
                       " in the module");
    }
    const auto [first, is_first] = loaded.emplace(target.unsafeGetTensorImpl(), &view);
    if (!is_first && view.numel() > 0 && view.data() != first->second->data()) {
      others.push_back(torch_detail::quoted(first->second->name()) + " and " +
                       torch_detail::quoted(names[i]) +
                       " are one parameter in the module and two tensors in the store");
    }
  }
  if (!missing.empty() || !unexpected.empty() || !others.empty()) {
    std::string text = "load_module: the tensors below '" + below + "' are not those of the module";
    if (!missing.empty()) text += "; missing: " + torch_detail::listed(missing);
    if (!unexpected.empty()) text += "; unexpected: " + torch_detail::listed(unexpected);
    if (!others.empty()) text += "; different: " + torch_detail::listed(others);
    throw InvalidArgumentError(text);
  }

  const std::vector<torch::Tensor> tensors = torch_detail::as_torch_together(views);
  for (std::size_t i = 0; i < tensors.size(); ++i) targets[i].set_data(tensors[i]);
}

}  // namespace tensord
