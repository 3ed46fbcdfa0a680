// Trainer: the C++ side of the demo, a LibTorch training job whose data another process made and
// whose weights another process reads while they change.
//
//   trainer REPORT NOTE [EPOCHS]
//
// It attaches digits/images, digits/labels and digits/split by name, makes every parameter of its
// network a view of a live tensor digits/model/<parameter>, and trains. The epoch reached stands
// in the live tensor digits/model/epoch. NOTE is a number to leave in digits/notes for the watcher.
#include <torch/torch.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include <tensord/torch.hpp>

#include "evidence.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// watcher.py declares the same network; the two agree through the names of the parameters.
struct DigitsNet : torch::nn::Module {
  DigitsNet() {
    conv1 = register_module("conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(1, 16, 3).padding(1)));
    conv2 = register_module("conv2", torch::nn::Conv2d(torch::nn::Conv2dOptions(16, 32, 3).padding(1)));
    fc = register_module("fc", torch::nn::Linear(32 * 4 * 4, 10));
  }
  torch::Tensor forward(torch::Tensor x) {
    x = torch::relu(conv1->forward(x));
    x = torch::max_pool2d(torch::relu(conv2->forward(x)), 2);
    return fc->forward(x.flatten(1));
  }
  torch::nn::Conv2d conv1{nullptr}, conv2{nullptr};
  torch::nn::Linear fc{nullptr};
};

constexpr tensord::PutOptions kLive{.kind = tensord::Kind::kLive};

// Moves each parameter into a live tensor <prefix><name> and makes the parameter a view of it, so
// that the optimizer's in-place steps happen in shared memory. One copy, of the initial values.
std::map<std::string, tensord::View> share_parameters(const tensord::Store& store, const std::string& prefix,
                                                      torch::nn::Module& module) {
  std::map<std::string, tensord::View> views;
  for (auto& parameter : module.named_parameters()) {
    const tensord::View view = tensord::put(store, prefix + parameter.key(), parameter.value(), kLive);
    parameter.value().set_data(tensord::as_torch(view));
    views.emplace(parameter.key(), view);
  }
  return views;
}

std::int64_t sum_of_bits(const torch::Tensor& floats) {
  return floats.detach().view(torch::kInt32).sum().item<std::int64_t>();
}

void train(const std::string& report_path, std::int64_t note, int epochs) {
  torch::set_num_threads(1);  // the watcher needs the other core
  torch::manual_seed(20);
  digits::Report report;

  auto start = Clock::now();
  const tensord::Store store = tensord::Store::connect();
  report.add("connect_us", microseconds_since(start));

  start = Clock::now();
  const tensord::View images_view = store.attach("digits/images");
  report.add("attach_first_us", microseconds_since(start));
  const tensord::View labels_view = store.attach("digits/labels");
  constexpr int kRounds = 10'000;
  start = Clock::now();
  for (int round = 0; round < kRounds; ++round) static_cast<void>(store.attach("digits/labels"));
  report.add("attach_again_ns", microseconds_since(start) * 1000 / kRounds);

  start = Clock::now();
  const torch::Tensor images = tensord::as_torch(images_view);
  report.add("as_torch_us", microseconds_since(start));
  const torch::Tensor labels = tensord::as_torch(labels_view);
  const std::int64_t train_count = store.attach("digits/split").as<std::int64_t>()[0];
  const torch::Tensor train_images = images.narrow(0, 0, train_count);
  const torch::Tensor train_labels = labels.narrow(0, 0, train_count);

  report.add_location("images", images_view, images.data_ptr());
  report.add_location("labels", labels_view, labels.data_ptr());
  report.add("sum_of_image_bits", sum_of_bits(images));
  const auto after_attach = store.client_stats();
  report.add("copied_by_attach_bytes", after_attach.bytes_copied_in + after_attach.bytes_copied_out);
  std::cout << "attached " << images.size(0) << " images by name; training on the first " << train_count
            << '\n';

  DigitsNet net;
  const auto weights = share_parameters(store, "digits/model/", net);
  const tensord::View notes = tensord::put(store, "digits/notes", torch::zeros({2}, torch::kInt64), kLive);
  notes.as_mutable<std::int64_t>()[0] = note;
  const std::int64_t last_epoch = epochs;
  store.put("digits/model/last_epoch", std::span(&last_epoch, 1));
  // Last, because the watcher begins when it finds this name.
  const tensord::View epoch_view =
      tensord::put(store, "digits/model/epoch", torch::zeros({}, torch::kInt64), kLive);
  // Release: who sees the new epoch sees the weights that were reached by then.
  const std::atomic_ref<std::int64_t> epoch_reached(epoch_view.as_mutable<std::int64_t>()[0]);

  torch::optim::Adam optimizer(net.parameters(), torch::optim::AdamOptions(2e-3));
  const auto training_start = Clock::now();
  for (std::int64_t epoch = 1; epoch <= last_epoch; ++epoch) {
    double loss_sum = 0;
    const torch::Tensor order = torch::randperm(train_count);
    for (const torch::Tensor& batch : order.split(32)) {
      optimizer.zero_grad();
      const torch::Tensor loss = torch::cross_entropy_loss(net.forward(train_images.index_select(0, batch)),
                                                           train_labels.index_select(0, batch));
      loss.backward();
      optimizer.step();
      loss_sum += loss.item<double>() * static_cast<double>(batch.size(0));
    }
    epoch_reached.store(epoch, std::memory_order_release);
    std::cout << "epoch " << std::setw(2) << epoch << "  training loss " << std::fixed << std::setprecision(4)
              << loss_sum / static_cast<double>(train_count) << std::endl;
  }
  report.add("training_s", microseconds_since(training_start) / 1e6);

  bool parameters_are_shared = true;
  for (const auto& parameter : net.named_parameters()) {
    const void* shared = weights.at(parameter.key()).data();
    parameters_are_shared = parameters_are_shared && parameter.value().const_data_ptr() == shared;
  }
  report.add("parameters_are_shared", static_cast<int>(parameters_are_shared));
  report.add("sum_of_weight_bits", sum_of_bits(net.fc->weight));
  report.add_location("weight", weights.at("fc.weight"), net.fc->weight.const_data_ptr());

  // The watcher leaves its note as soon as it has attached; wait for it within reason.
  const std::atomic_ref<std::int64_t> watchers_note(notes.as_mutable<std::int64_t>()[1]);
  const auto deadline = Clock::now() + std::chrono::seconds(20);
  while (watchers_note.load() == 0 && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  report.add("note_read", watchers_note.load());

  const auto at_end = store.client_stats();
  report.add("copied_in_bytes", at_end.bytes_copied_in);
  report.add("copied_out_bytes", at_end.bytes_copied_out);
  report.write(report_path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: trainer REPORT NOTE [EPOCHS]\n";
    return 2;
  }
  try {
    train(argv[1], std::atoll(argv[2]), argc > 3 ? std::atoi(argv[3]) : 20);
  } catch (const std::exception& error) {
    std::cerr << "trainer: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
