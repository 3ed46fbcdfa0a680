// tensord/torch_module.hpp: whole modules between processes.
#include <torch/torch.h>

#include <string>
#include <vector>

#include <tensord/torch_module.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using tensord::Kind;
using tensord::Mode;
using tensord::test::DaemonProcess;
using tensord::test::in_child;

namespace {

constexpr tensord::PutOptions kLive{.kind = Kind::kLive};

// Threads of torch's do not live on in a forked child, which then would wait for them.
[[maybe_unused]] const bool kHasOneThread = [] {
  torch::set_num_threads(1);
  return true;
}();

// Parameters, buffers (of 0 dimensions, too), submodules, and a decoder tied to its encoder.
struct NetImpl : torch::nn::Module {
  explicit NetImpl(bool tied = true) {
    encoder = register_parameter("encoder", torch::rand({10, 6}));
    layers =
        register_module("layers", torch::nn::Sequential(torch::nn::Linear(6, 6), torch::nn::BatchNorm1d(6)));
    decoder = register_parameter("decoder", tied ? encoder : torch::rand({10, 6}));
  }
  torch::Tensor forward(const torch::Tensor& rows) {
    return layers->forward(rows.matmul(encoder)).matmul(decoder.t());
  }
  torch::Tensor encoder, decoder;
  torch::nn::Sequential layers{nullptr};
};
TORCH_MODULE(Net);

torch::Tensor rows() { return torch::linspace(-1, 1, 40).reshape({4, 10}); }

torch::Tensor result_of(Net& net) {
  net->eval();
  const torch::NoGradGuard no_grad;
  return net->forward(rows());
}

void train(Net& net) {
  net->train();
  torch::optim::SGD optimizer(net->parameters(), 1e-3);
  for (int step = 0; step < 3; ++step) {
    optimizer.zero_grad();
    net->forward(rows()).pow(2).sum().backward();
    optimizer.step();
  }
}

std::string refusal(const tensord::Store& store, torch::nn::Module& module) {
  try {
    tensord::load_module(store, "m", module);
  } catch (const tensord::InvalidArgumentError& error) {
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("a module goes to another process without a copy there, and computes the same", "[torch][module]") {
  const DaemonProcess daemon;
  const tensord::Store store = daemon.connect();
  Net net;
  train(net);  // so that the statistics of the norm are its own
  const torch::Tensor expected = result_of(net);
  const std::vector<tensord::View> views = tensord::put_module(store, "m", *net);
  CHECK(views.size() == 9);
  CHECK(store.attach("m/layers.1.num_batches_tracked").ndim() == 0);
  // encoder, 6x6 and 6, 6 and 6 of the norm, its two statistics, its counter; the decoder is no copy.
  CHECK(store.client_stats().bytes_copied_in == 4 * (60 + 36 + 6 + 6 + 6 + 6 + 6) + 8);

  const int status = in_child([&] {
    const tensord::Store other = daemon.connect();
    Net mine;
    tensord::load_module(other, "m", *mine);
    if (!torch::equal(result_of(mine), expected)) return 2;
    if (other.client_stats().bytes_copied_out != 0) return 3;
    // Trained further, it is this process's own.
    train(mine);
    if (torch::equal(result_of(mine), expected)) return 4;
    if (!torch::equal(mine->encoder, mine->decoder) || !mine->encoder.isfinite().all().item<bool>()) return 5;
    return 0;
  });
  CHECK(status == 0);
  CHECK(torch::equal(tensord::clone_to_torch(store.attach("m/encoder")), net->encoder));
}

TEST_CASE("a live module that is trained in one process is trained in all", "[torch][module]") {
  const DaemonProcess daemon;
  const tensord::Store store = daemon.connect();
  Net net;
  tensord::put_module(store, "m", *net, kLive);
  tensord::load_module(store, "m", *net, Mode::kReadWrite);
  const torch::Tensor before = result_of(net);
  const int status = in_child([&] {
    const tensord::Store other = daemon.connect();
    Net mine;
    tensord::load_module(other, "m", *mine, Mode::kReadWrite);
    train(mine);
    return 0;
  });
  CHECK(status == 0);
  const torch::Tensor after = result_of(net);
  CHECK_FALSE(torch::equal(after, before));
  CHECK(torch::equal(tensord::as_torch(store.attach("m/decoder", Mode::kReadWrite)), net->encoder));
  CHECK(net->layers[1]->as<torch::nn::BatchNorm1d>()->num_batches_tracked.item<std::int64_t>() == 3);
  CHECK(net->encoder.requires_grad());
}

TEST_CASE("weights that share memory in the store do in the module, whether it ties them or not",
          "[torch][module]") {
  const DaemonProcess daemon;
  const tensord::Store store = daemon.connect();
  tensord::put_module(store, "m", *Net());
  Net apart(false);
  tensord::load_module(store, "m", *apart);
  CHECK(apart->encoder.const_data_ptr() == apart->decoder.const_data_ptr());
  {
    const torch::NoGradGuard no_grad;
    apart->encoder.fill_(7);
  }
  CHECK(apart->decoder.sum().item<float>() == 7 * 60);
  // The other way round there is no telling which of the two is meant.
  tensord::put_module(store, "n", *Net(false));
  Net tied;
  CHECK_THROWS_WITH(tensord::load_module(store, "n", *tied),
                    Catch::Contains("'n/decoder' and 'n/encoder'") && Catch::Contains("two tensors"));
}

TEST_CASE("parts of one tensor stay parts of it", "[torch][module]") {
  struct Fused : torch::nn::Module {
    Fused() {
      const torch::Tensor all = torch::rand({6, 4});
      register_buffer("all", all);
      register_buffer("keys", all.narrow(0, 2, 2));
      register_buffer("last_column", all.select(1, 3));
    }
  };
  const DaemonProcess daemon;
  const tensord::Store store = daemon.connect();
  const Fused fused;
  tensord::put_module(store, "m", fused);
  CHECK(store.client_stats().bytes_copied_in == 6 * 4 * 4);
  Fused other;
  tensord::load_module(store, "m", other);
  auto buffers = other.named_buffers();
  CHECK(torch::equal(buffers["keys"], fused.named_buffers()["keys"]));
  buffers["all"].fill_(2);
  CHECK(buffers["keys"].sum().item<float>() == 16);
  CHECK(buffers["last_column"].sum().item<float>() == 12);
}

TEST_CASE("a set of tensors that is not the module's is refused whole, in one list", "[torch][module]") {
  const DaemonProcess daemon;
  const tensord::Store store = daemon.connect();
  Net net;
  CHECK_THROWS_AS(tensord::load_module(store, "m", *net), tensord::NotFoundError);
  tensord::put_module(store, "m", *Net(), kLive);
  CHECK_THROWS_AS(tensord::load_module(store, "m", *net), tensord::WouldCopyError);
  tensord::put_module(store, "m", *Net(), {.replace = true});

  const torch::Tensor before = net->encoder.clone();
  store.remove("m/layers.0.bias");
  tensord::put(store, "m/surplus", torch::zeros({1}));
  tensord::put(store, "m/layers.1.running_mean", torch::zeros({7}), {.replace = true});
  tensord::put(store, "m/layers.1.weight", torch::zeros({6}, torch::kDouble), {.replace = true});
  using Catch::Contains;
  CHECK_THAT(refusal(store, *net),
             Contains("missing: 'm/layers.0.bias'") && Contains("unexpected: 'm/surplus'") &&
                 Contains("'m/layers.1.running_mean' is float32 [7] in the store and Float [6]") &&
                 Contains("'m/layers.1.weight' is float64 [6]"));
  CHECK(torch::equal(net->encoder, before));
}

TEST_CASE("a module outlives its names and its store", "[torch][module]") {
  Net net;
  torch::Tensor expected;
  {
    const DaemonProcess daemon;
    const tensord::Store store = daemon.connect();
    Net original;
    expected = result_of(original);
    tensord::put_module(store, "m", *original);
    tensord::load_module(store, "m", *net);
    for (const std::string& name : store.names()) store.remove(name);
    tensord::put_module(store, "n", *Net());
  }
  CHECK(torch::equal(result_of(net), expected));
}

TEST_CASE("a module that cannot be put is not put by halves", "[torch][module]") {
  const DaemonProcess daemon;
  const tensord::Store store = daemon.connect();
  Net net;
  net->register_buffer("sparse", torch::eye(3).to_sparse());
  CHECK_THROWS_WITH(tensord::put_module(store, "m", *net), Catch::Contains("m/sparse"));
  CHECK(store.names().empty());
}
