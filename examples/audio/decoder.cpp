// Decoder: WAV files into live tensors, block by block, for whoever looks at them.
//
//   decoder SPEED NAME=FILE...
//
// SPEED 1 is the pace at which the audio plays, 0 is as fast as the reader takes it. For each file:
//
//   audio/NAME/format   sealed  rate, channels, bits, frames; comes last, so who has it finds the others
//   audio/NAME/ring     live    kRingBlocks x kBlockFrames x channels; its version is the number of blocks
//   written audio/NAME/taken    live    the reader's; its version is the number of blocks that he has taken
//
// So the versions are the whole protocol: block k lies at k % kRingBlocks as soon as the ring's version is
// above k, and stays there until `taken` is above k, too.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tensord/tensord.hpp>

#include "wav.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kRingBlocks = 16;
constexpr std::int64_t kBlockFrames = 512;
constexpr auto kPatience = std::chrono::seconds(30);  // with a reader that takes nothing
constexpr tensord::PutOptions kLive{.kind = tensord::Kind::kLive};

void stream(const tensord::Store& store, const std::string& name, audio::WavFile file, double speed) {
  const audio::Format& format = file.format();
  const std::string prefix = "audio/" + name + "/";
  const std::int64_t block_samples = kBlockFrames * format.channels;

  const std::array ring_shape = {kRingBlocks, kBlockFrames, format.channels};
  tensord::Builder builder = store.build(prefix + "ring", tensord::kFloat32, ring_shape, kLive);
  const tensord::View ring = builder.publish();
  const std::array<std::int64_t, 1> none = {0};
  const tensord::View taken = store.put(prefix + "taken", std::span<const std::int64_t>(none), kLive);
  const std::array facts = {format.rate_hz, format.channels, format.bits, format.frames};
  store.put(prefix + "format", std::span<const std::int64_t>(facts));

  const std::span<float> samples = ring.as_mutable<float>();
  const std::int64_t blocks = (format.frames + kBlockFrames - 1) / kBlockFrames;
  const auto start = Clock::now();
  for (std::int64_t block = 0; block < blocks; ++block) {
    const auto room_from = static_cast<std::uint64_t>(std::max<std::int64_t>(block - kRingBlocks + 1, 0));
    for (std::uint64_t seen = taken.version(); seen < room_from;) seen = taken.wait(seen, kPatience);
    if (speed > 0) {
      const double due_s =
          static_cast<double>((block + 1) * kBlockFrames) / static_cast<double>(format.rate_hz);
      std::this_thread::sleep_until(start + std::chrono::duration<double>(due_s / speed));
    }
    const tensord::Writing writing = ring.writing();
    file.read(samples.subspan(static_cast<std::size_t>(block % kRingBlocks * block_samples),
                              static_cast<std::size_t>(block_samples)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: decoder SPEED NAME=FILE...\n";
    return 2;
  }
  try {
    // All are opened first: a broken one is told before anybody waits for it.
    std::vector<std::pair<std::string, audio::WavFile>> files;
    for (int i = 2; i < argc; ++i) {
      const std::string argument = argv[i];
      const std::size_t equals = argument.find('=');
      files.emplace_back(argument.substr(0, equals), audio::WavFile(argument.substr(equals + 1)));
    }
    const tensord::Store store = tensord::Store::connect();
    for (auto& [name, file] : files) stream(store, name, std::move(file), std::atof(argv[1]));
  } catch (const std::exception& error) {
    std::cerr << "decoder: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
