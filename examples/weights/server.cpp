// Server: finds speech in audio, always with the newest whole version of the weights that somebody publishes.
//
//   server REPORT RESULTS STREAM...
//
// Two threads. One answers requests, one after the other: all of a stream speech/STREAM, with the version
// that was the newest when the request came. The other looks for a newer version, loads it without a copy,
// and swaps it in by one pointer; who is in the middle of a request keeps the older one until it is done.
// Each request leaves a line in RESULTS: version, stream, and what came out. The live tensors server/requests
// and server/version say how far it is; it ends when server/stop is set.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <torch/utils.h>

#include <tensord/torch_module.hpp>

#include "vad.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLookEvery = std::chrono::microseconds(100);
constexpr tensord::PutOptions kLive{.kind = tensord::Kind::kLive};

// A live number that others look at.
class Shared {
 public:
  Shared(const tensord::Store& store, const std::string& name, std::int64_t value)
      : view_(store.put(name, std::span<const std::int64_t>(&value, 1), kLive)) {}
  explicit Shared(tensord::View view) : view_(std::move(view)) {}
  void set(std::int64_t value) { number().store(value); }
  [[nodiscard]] std::int64_t get() const { return number().load(); }

 private:
  [[nodiscard]] std::atomic_ref<std::int64_t> number() const {
    return std::atomic_ref<std::int64_t>(view_.as_mutable<std::int64_t>()[0]);
  }
  tensord::View view_;
};

// Which tensors these are: no two that were ever in a store have the same number.
std::vector<std::uint64_t> generations(std::span<const tensord::View> views) {
  std::vector<std::uint64_t> result;
  for (const tensord::View& view : views) result.push_back(view.generation());
  return result;
}

struct Served {
  weights::Vad vad;
  std::int64_t version = 0;
};

// Watches the names below vad/, and has the newest whole version ready.
class Loader {
 public:
  struct Counts {
    std::int64_t loaded = 0, torn = 0;             // by load_module()
    std::int64_t together = 0, together_torn = 0;  // new sets that attach_many() gave
    std::int64_t single = 0, single_torn = 0;      // new sets that attach(), name by name, gave
    std::int64_t mixtures = 0, recognised = 0;     // made here on purpose
    double load_us = 0;
  };

  explicit Loader(tensord::Store store) : store_(std::move(store)) {
    for (const auto& [name, tensor] : weights::Vad().tensors()) keys_.push_back("vad/" + name);
    names_.assign(keys_.begin(), keys_.end());
    load();
  }

  [[nodiscard]] std::shared_ptr<Served> newest() const { return newest_.load(); }
  [[nodiscard]] const Counts& counts() const { return counts_; }

  void look() {
    // The way that has no guarantee, for comparison: the publisher may come in between two names.
    std::vector<tensord::View> singly;
    for (const std::string_view name : names_) singly.push_back(store_.attach(name));
    count_if_new(singly, last_single_, counts_.single, counts_.single_torn);

    const std::vector<tensord::View> together = store_.attach_many(names_);
    if (!count_if_new(together, last_together_, counts_.together, counts_.together_torn)) return;
    load();
    try_mixture(together);
    views_ = together;
  }

 private:
  bool count_if_new(std::span<const tensord::View> views, std::vector<std::uint64_t>& last,
                    std::int64_t& count, std::int64_t& torn) const {
    std::vector<std::uint64_t> these = generations(views);
    if (these == last) return false;
    last = std::move(these);
    count += 1;
    torn += weights::is_whole(names_, views) ? 0 : 1;
    return true;
  }

  void load() {
    const auto start = Clock::now();
    auto next = std::make_shared<Served>();
    tensord::load_module(store_, "vad", next->vad);
    counts_.load_us += std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    counts_.loaded += 1;
    if (!weights::is_whole(next->vad.tensors())) {
      counts_.torn += 1;
      return;  // and nobody is served with it
    }
    next->version = next->vad.version();
    newest_.store(std::move(next));
  }

  // Whether the check would see it: this version with one tensor of the one before.
  void try_mixture(std::span<const tensord::View> now) {
    if (views_.empty()) return;
    std::vector<tensord::View> mixed(now.begin(), now.end());
    const std::size_t odd = static_cast<std::size_t>(counts_.loaded) % mixed.size();
    if (std::equal(now[odd].data(), now[odd].data() + now[odd].size_bytes(), views_[odd].data())) return;
    mixed[odd] = views_[odd];
    counts_.mixtures += 1;
    counts_.recognised += weights::is_whole(names_, mixed) ? 0 : 1;
  }

  tensord::Store store_;
  std::vector<std::string> keys_;
  std::vector<std::string_view> names_;
  std::vector<tensord::View> views_;
  std::vector<std::uint64_t> last_single_, last_together_;
  std::atomic<std::shared_ptr<Served>> newest_;
  Counts counts_;
};

void serve(const std::string& report_path, const std::string& results_path, std::span<char*> streams) {
  torch::set_num_threads(1);  // the trainer needs the other core
  const torch::NoGradGuard no_grad;
  const tensord::Store store = tensord::Store::connect();
  std::vector<torch::Tensor> audio;
  for (const char* name : streams)
    audio.push_back(tensord::as_torch(store.attach(std::string("speech/") + name)));

  Loader loader(store);
  const Shared stop(store.attach("server/stop", tensord::Mode::kReadWrite));
  Shared version(store, "server/version", loader.newest()->version), requests(store, "server/requests", 0);

  std::exception_ptr failure;
  std::jthread watching([&](const std::stop_token& token) {
    try {
      while (!token.stop_requested()) {
        loader.look();
        std::this_thread::sleep_for(kLookEvery);
      }
    } catch (...) {
      failure = std::current_exception();
    }
  });

  std::ofstream results(results_path);
  for (std::int64_t request = 0; stop.get() == 0; ++request) {
    const std::size_t stream = static_cast<std::size_t>(request) % audio.size();
    const std::shared_ptr<Served> served = loader.newest();
    results << served->version << ' ' << streams[stream];
    for (const float probability : served->vad.speech(audio[stream])) results << ' ' << probability;
    results << '\n';
    version.set(served->version);
    requests.set(request + 1);
  }
  watching.request_stop();
  watching.join();
  if (failure) std::rethrow_exception(failure);

  const Loader::Counts& counts = loader.counts();
  std::ofstream(report_path) << "{\"loaded\": " << counts.loaded << ", \"torn\": " << counts.torn
                             << ", \"together\": " << counts.together
                             << ", \"together_torn\": " << counts.together_torn
                             << ", \"single\": " << counts.single
                             << ", \"single_torn\": " << counts.single_torn
                             << ", \"mixtures\": " << counts.mixtures
                             << ", \"recognised\": " << counts.recognised
                             << ", \"load_us\": " << counts.load_us / static_cast<double>(counts.loaded)
                             << ", \"copied_bytes\": " << store.client_stats().bytes_copied_out << "}\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: server REPORT RESULTS STREAM...\n";
    return 2;
  }
  try {
    serve(argv[1], argv[2], {argv + 3, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "server: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
