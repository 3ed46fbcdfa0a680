// tensord/torch.hpp against a real daemon: what copies, what does not, and what is refused.
#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include <tensord/torch.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using tensord::Kind;
using tensord::Mode;

namespace {

constexpr tensord::PutOptions kLive{.kind = Kind::kLive};

// A daemon of the test's own, and a connection to it.
class PrivateStore {
 public:
  [[nodiscard]] tensord::Store connect() const { return daemon_.connect(); }
  const tensord::Store& operator*() const { return store_; }
  const tensord::Store* operator->() const { return &store_; }

 private:
  tensord::test::DaemonProcess daemon_;
  tensord::Store store_ = daemon_.connect();
};

constexpr tensord::DType kUnknownToTorch[] = {tensord::kFloat8E3M4, tensord::kFloat8E4M3,
                                              tensord::kFloat8E4M3B11FNUZ};

bool is_unknown_to_torch(tensord::DType dtype) {
  return std::ranges::find(kUnknownToTorch, dtype) != std::end(kUnknownToTorch);
}

bool same_bytes(const tensord::View& view, const torch::Tensor& tensor) {
  return view.size_bytes() == tensor.nbytes() &&
         std::memcmp(view.data(), tensor.const_data_ptr(), tensor.nbytes()) == 0;
}

std::string refusal(const tensord::Store& store, const torch::Tensor& tensor) {
  try {
    tensord::put(store, "torch/refused", tensor);
  } catch (const tensord::Error& error) {
    CHECK_FALSE(store.contains("torch/refused"));
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("every dtype that torch has goes there and back, bit for bit", "[torch]") {
  const PrivateStore store{};
  torch::manual_seed(1);
  for (const tensord::DType dtype : tensord::supported_dtypes()) {
    if (is_unknown_to_torch(dtype)) continue;
    CAPTURE(std::string(tensord::dtype_name(dtype)));
    const at::ScalarType scalar_type = tensord::to_torch_dtype(dtype);
    CHECK(tensord::from_torch_dtype(scalar_type) == dtype);
    CHECK(c10::elementSize(scalar_type) == dtype.itemsize());

    // Any bits are a value, but for a bool.
    const auto row_bytes = 5 * static_cast<std::int64_t>(dtype.itemsize());
    const torch::Tensor bytes = torch::randint(0, dtype == tensord::kBool ? 2 : 256, {3, row_bytes});
    const torch::Tensor original = bytes.to(at::kByte).view(scalar_type);
    const tensord::View view =
        tensord::put(*store, "torch/" + std::string(tensord::dtype_name(dtype)), original);
    CHECK(view.dtype() == dtype);
    CHECK(same_bytes(view, original));
    for (const torch::Tensor& back : {tensord::as_torch(view), tensord::clone_to_torch(view)}) {
      CHECK(back.scalar_type() == scalar_type);
      CHECK(back.sizes() == original.sizes());
      CHECK(same_bytes(view, back));
    }
  }
}

TEST_CASE("dtypes that only one of store and torch has are refused by name", "[torch]") {
  for (const tensord::DType dtype : kUnknownToTorch) {
    CHECK_THROWS_WITH(tensord::to_torch_dtype(dtype),
                      Catch::Contains(std::string(tensord::dtype_name(dtype))));
  }
  CHECK_THROWS_AS(tensord::from_torch_dtype(at::ScalarType::QInt8), tensord::UnsupportedTypeError);
  CHECK_THROWS_AS(tensord::from_torch_dtype(at::ScalarType::Int4), tensord::UnsupportedTypeError);
}

TEST_CASE("tensors of 0 to 16 dimensions and of no elements keep their shape", "[torch]") {
  const PrivateStore store{};
  const std::vector<std::vector<std::int64_t>> shapes{
      {}, {0}, {3, 0, 2}, {1}, {7}, {2, 3, 4}, std::vector<std::int64_t>(tensord::kMaxDims, 1)};
  for (const Kind kind : {Kind::kSealed, Kind::kLive}) {
    for (const auto& shape : shapes) {
      CAPTURE(shape);
      const torch::Tensor original = torch::rand(shape);
      const tensord::View view =
          tensord::put(*store, "torch/shape", original, {.replace = true, .kind = kind});
      CHECK(torch::equal(tensord::as_torch(view), original));
      CHECK(torch::equal(tensord::clone_to_torch(view), original));
    }
  }
}

TEST_CASE("put is one copy in, clone_to_torch one copy out, and as_torch none", "[torch][copies]") {
  const PrivateStore store{};
  const torch::Tensor original = torch::rand({64, 64}, torch::requires_grad());
  const auto copied = [&] { return store->client_stats(); };

  const tensord::View view = tensord::put(*store, "torch/once", original);
  CHECK(copied().bytes_copied_in == original.nbytes());
  const torch::Tensor shared = tensord::as_torch(view);
  const torch::Tensor live = tensord::as_torch(tensord::put(*store, "torch/live", original, kLive));
  CHECK(copied().bytes_copied_in == 2 * original.nbytes());
  CHECK(copied().bytes_copied_out == 0);
  const torch::Tensor mine = tensord::clone_to_torch(view);
  CHECK(copied().bytes_copied_out == original.nbytes());

  CHECK_FALSE(shared.requires_grad());  // put detached it
  CHECK(live.const_data_ptr() == store->attach("torch/live", Mode::kReadWrite).data());
  CHECK(torch::equal(mine, original));
}

TEST_CASE("what is written to the torch tensor of a sealed view reaches nobody", "[torch][sealed]") {
  const PrivateStore store{};
  const torch::Tensor original = torch::rand({3000});
  const tensord::View view = tensord::put(*store, "torch/sealed", original);
  torch::Tensor mine = tensord::as_torch(view);
  const torch::Tensor earlier = tensord::as_torch(view);
  mine.zero_();
  CHECK(mine.sum().item<float>() == 0);
  CHECK(same_bytes(view, original));
  CHECK(torch::equal(earlier, original));
  CHECK(torch::equal(tensord::as_torch(store.connect().attach("torch/sealed")), original));
}

TEST_CASE("what is written to the torch tensor of a live view reaches every connection", "[torch][live]") {
  const PrivateStore store{};
  torch::Tensor mine = tensord::as_torch(tensord::put(*store, "torch/live", torch::zeros({4}), kLive));
  torch::Tensor theirs = tensord::as_torch(store.connect().attach("torch/live", Mode::kReadWrite));
  mine.add_(1);
  CHECK(torch::equal(theirs, torch::ones({4})));
  theirs[2] = 5;
  CHECK(mine[2].item<float>() == 5);
}

TEST_CASE("a live tensor attached for reading is refused, with both ways out", "[torch][live]") {
  const PrivateStore store{};
  tensord::put(*store, "torch/live", torch::ones({4}), kLive);
  const tensord::View view = store->attach("torch/live");
  CHECK_THROWS_AS(tensord::as_torch(view), tensord::WouldCopyError);
  CHECK_THROWS_WITH(tensord::as_torch(view),
                    Catch::Contains("Mode::kReadWrite") && Catch::Contains("clone_to_torch"));
  CHECK(torch::equal(tensord::clone_to_torch(view), torch::ones({4})));
}

TEST_CASE("a torch tensor outlives the view, the name and the store it came from", "[torch][lifetime]") {
  const torch::Tensor original = torch::rand({5000});
  torch::Tensor sealed, live;
  {
    const PrivateStore store{};
    {
      const tensord::Store other = store.connect();
      sealed = tensord::as_torch(tensord::put(other, "torch/sealed", original));
      live = tensord::as_torch(tensord::put(other, "torch/live", original, kLive));
      other.remove("torch/sealed");
      other.remove("torch/live");
    }
    // New tensors must not move into the bytes that are still looked at.
    for (int i = 0; i < 20; ++i) {
      tensord::put(*store, "torch/new", torch::zeros({5000}), {.replace = true});
      tensord::put(*store, "torch/new_live", torch::zeros({5000}), {.replace = true, .kind = Kind::kLive});
    }
    CHECK(torch::equal(sealed, original));
    CHECK(torch::equal(live, original));
  }  // the daemon ends here
  CHECK(torch::equal(sealed, original));
  CHECK(torch::equal(live, original));
}

TEST_CASE("a module's parameters can be live tensors, and an optimizer steps in shared memory",
          "[torch][live]") {
  const PrivateStore store{};
  torch::nn::Linear layer(4, 2);
  for (auto& parameter : layer->named_parameters()) {
    parameter.value().set_data(
        tensord::as_torch(tensord::put(*store, "torch/model/" + parameter.key(), parameter.value(), kLive)));
  }
  const tensord::View weight = store.connect().attach("torch/model/weight");
  const torch::Tensor before = tensord::clone_to_torch(weight);
  torch::optim::SGD optimizer(layer->parameters(), 0.5);
  layer->forward(torch::ones({1, 4})).sum().backward();
  optimizer.step();
  CHECK(torch::allclose(tensord::clone_to_torch(weight), before - 0.5));
  CHECK(layer->weight.const_data_ptr() == store->attach("torch/model/weight", Mode::kReadWrite).data());
}

TEST_CASE("any strides go in with one copy, and come back as clone() has them", "[torch][layout]") {
  const PrivateStore store{};
  const torch::Tensor base = torch::rand({4, 6, 5});
  const torch::Tensor layouts[] = {base.permute({2, 0, 1}),
                                   base.slice(1, 0, 6, 2),
                                   base.select(2, 3),
                                   base.transpose(0, 2).narrow(0, 1, 3),
                                   torch::rand({3}).expand({2, 3}),
                                   torch::rand({0, 3}),
                                   torch::tensor(1.5)};
  for (const torch::Tensor& tensor : layouts) {
    const std::uint64_t before = store->client_stats().bytes_copied_in;
    const tensord::View view = tensord::put(*store, "torch/layout", tensor, {.replace = true});
    CHECK(store->client_stats().bytes_copied_in - before == tensor.nbytes());
    const torch::Tensor shared = tensord::as_torch(view);
    const torch::Tensor copy = tensord::clone_to_torch(view);
    CHECK(torch::equal(shared, tensor));
    CHECK(torch::equal(copy, tensor));
    CHECK(shared.strides() == tensor.clone().strides());
    CHECK(copy.strides() == tensor.clone().strides());
  }
}

TEST_CASE("a sub-view is a torch tensor as any other", "[torch][layout]") {
  const PrivateStore store{};
  const torch::Tensor original = torch::rand({4, 6});
  const tensord::View column = tensord::put(*store, "torch/whole", original).select(1, 2).narrow(0, 1, 3);
  const torch::Tensor expected = original.select(1, 2).narrow(0, 1, 3);
  torch::Tensor shared = tensord::as_torch(column);
  CHECK(torch::equal(shared, expected));
  CHECK(torch::equal(tensord::clone_to_torch(column), expected));
  shared.zero_();
  CHECK(torch::equal(tensord::as_torch(column), expected));
}

TEST_CASE("put casts while it copies, as Tensor::to does", "[torch][cast]") {
  const PrivateStore store{};
  const torch::Tensor numbers = torch::arange(-6, 6).reshape({3, 4}).t();
  for (const at::ScalarType dtype : {torch::kFloat32, torch::kBFloat16, torch::kInt8, torch::kBool}) {
    const tensord::View view = tensord::put(*store, "torch/cast", numbers, dtype, {.replace = true});
    CHECK(torch::equal(tensord::clone_to_torch(view), numbers.to(dtype)));
    CHECK(view.strides()[0] == 1);
  }
  CHECK(store->client_stats().bytes_copied_in == 12 * (4 + 2 + 1 + 1));
}

TEST_CASE("put refuses what is not plain memory, and says what to do", "[torch][refused]") {
  const PrivateStore store{};
  using Catch::Contains;
  CHECK_THAT(refusal(*store, torch::Tensor()), Contains("undefined"));
  CHECK_THAT(refusal(*store, torch::eye(3).to_sparse()), Contains(".to_dense()"));
  CHECK_THAT(refusal(*store, torch::empty({3}, torch::kMeta)), Contains("meta") && Contains(".cpu()"));
  CHECK_THAT(refusal(*store, torch::rand({3}, torch::kComplexFloat).conj()), Contains(".resolve_conj()"));
  CHECK_THAT(refusal(*store, torch::_efficientzerotensor({3}, torch::kFloat32)), Contains(".clone()"));
  CHECK_THAT(refusal(*store, torch::zeros({3}, torch::kInt8).view(at::ScalarType::Int4)), Contains("Int4"));
}
