// Wav: a WAV file as a stream of samples in [-1, 1).
//
//   audio::WavFile file("Front_Center.wav");
//   std::vector<float> block(512 * file.format().channels);
//   while (const std::int64_t frames = file.read(block)) use(block, frames);
//
// Knows    PCM of 1 to 4 bytes a sample and IEEE floats of 32 and 64 bits, any number of channels, plain and
//          WAVE_FORMAT_EXTENSIBLE.
// Fails    with WavError, which names the file and what is wrong with it; when it is opened for all that the
//          header can tell, so that nobody gets half a file.
#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace audio {

struct WavError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Format {
  std::int64_t rate_hz = 0;
  std::int64_t channels = 0;
  std::int64_t bits = 0;    // of a sample, as the file says
  std::int64_t frames = 0;  // one frame has one sample for each channel
  std::int64_t sample_bytes = 0;
  bool is_float = false;
};

class WavFile {
 public:
  explicit WavFile(const std::string& path);
  [[nodiscard]] const Format& format() const { return format_; }
  // The next frames, channels interleaved, as many as there is room for; 0 at the end.
  std::int64_t read(std::span<float> samples);

 private:
  [[noreturn]] void fail(const std::string& what) const;
  std::vector<unsigned char> bytes(std::uint64_t count, const char* of_what);
  void read_format(std::span<const unsigned char> chunk);
  void enter_data(std::uint64_t size_bytes);
  [[nodiscard]] std::uint64_t left() const { return size_bytes_ - at_; }

  std::string path_;
  std::ifstream file_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t at_ = 0;
  Format format_;
  std::int64_t frames_left_ = 0;
};

}  // namespace audio
