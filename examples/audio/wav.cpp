// A WAV file is a RIFF container: chunks of an identifier, a size, and that many bytes, all little-endian.
// "fmt " says how samples are written, "data" holds them; others are skipped. Sizes are compared with what
// the file has before anything is believed, since recorders that were stopped leave headers that promise too
// much.
#include "wav.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace audio {
namespace {

static_assert(std::endian::native == std::endian::little, "samples are taken as they lie in the file");

constexpr std::uint64_t kChunkHeaderBytes = 8;
constexpr std::uint64_t kFormatBytes = 16;      // of a "fmt " chunk, at least
constexpr std::uint64_t kExtensibleBytes = 40;  // of one that names its format by a GUID
constexpr unsigned kPcm = 1, kFloat = 3, kExtensible = 0xFFFE;
// What follows the two bytes of the format's number in such a GUID.
constexpr std::array<unsigned char, 14> kGuidTail = {0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80,
                                                     0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71};

template <class Number>
Number number_at(std::span<const unsigned char> bytes, std::size_t offset) {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

std::string_view tag_at(std::span<const unsigned char> bytes, std::size_t offset) {
  return {reinterpret_cast<const char*>(bytes.data()) + offset, 4};
}

std::string quoted(std::string_view tag) {
  std::string text = "'";
  for (const char c : tag) text += c >= ' ' && c <= '~' ? c : '?';
  return text + "'";
}

float integer_sample(const unsigned char* bytes, std::int64_t count) {
  if (count == 1) return static_cast<float>(*bytes - 128) / 128.0F;  // alone of all, unsigned
  // To the top of 32 bits, so that one scale is right for all sizes.
  std::uint32_t bits = 0;
  std::memcpy(reinterpret_cast<unsigned char*>(&bits) + 4 - count, bytes, static_cast<std::size_t>(count));
  return static_cast<float>(static_cast<std::int32_t>(bits)) / 2147483648.0F;
}

float float_sample(const unsigned char* bytes, std::int64_t count) {
  if (count == 8) return static_cast<float>(number_at<double>({bytes, 8}, 0));
  return number_at<float>({bytes, 4}, 0);
}

}  // namespace

WavFile::WavFile(const std::string& path) : path_(path), file_(path, std::ios::binary) {
  if (!file_) fail(std::generic_category().message(errno));
  std::error_code error;
  size_bytes_ = std::filesystem::file_size(path, error);
  if (error) fail(error.message());

  const auto riff = bytes(12, "a RIFF header");
  if (tag_at(riff, 0) == "RIFX") fail("is big-endian (RIFX); convert it to a little-endian WAV");
  if (tag_at(riff, 0) == "RF64") fail("is an RF64 file (for more than 4 GiB); convert it to a plain WAV");
  if (tag_at(riff, 0) != "RIFF" || tag_at(riff, 8) != "WAVE") {
    fail("is no WAV file: it begins with " + quoted(tag_at(riff, 0)));
  }
  while (left() > 0) {
    const auto header = bytes(kChunkHeaderBytes, "a chunk's header");
    const auto tag = tag_at(header, 0);
    const std::uint64_t size = number_at<std::uint32_t>(header, 4);
    if (tag == "data") {
      enter_data(size);
      return;
    }
    if (size > left()) {
      fail("ends too early: its " + quoted(tag) + " chunk promises " + std::to_string(size) + " bytes, and " +
           std::to_string(left()) + " are left");
    }
    const auto chunk = bytes(size, "a chunk");
    if (tag == "fmt ") read_format(chunk);
    if (size % 2 == 1 && left() > 0) bytes(1, "a chunk's padding");
  }
  fail("has no 'data' chunk, so no samples");
}

void WavFile::read_format(std::span<const unsigned char> chunk) {
  if (chunk.size() < kFormatBytes)
    fail("has a 'fmt ' chunk of only " + std::to_string(chunk.size()) + " bytes");
  unsigned number = number_at<std::uint16_t>(chunk, 0);
  if (number == kExtensible && chunk.size() >= kExtensibleBytes &&
      std::equal(kGuidTail.begin(), kGuidTail.end(), chunk.begin() + 26)) {
    number = number_at<std::uint16_t>(chunk, 24);
  }
  format_.channels = number_at<std::uint16_t>(chunk, 2);
  format_.rate_hz = number_at<std::uint32_t>(chunk, 4);
  format_.bits = number_at<std::uint16_t>(chunk, 14);
  format_.sample_bytes = (format_.bits + 7) / 8;
  format_.is_float = number == kFloat;

  if (number != kPcm && number != kFloat) {
    fail("is compressed (format " + std::to_string(number) + "); PCM (1) and floats (3) can be read");
  }
  if (format_.channels == 0 || format_.rate_hz == 0) {
    fail("says that it has " + std::to_string(format_.channels) + " channels at " +
         std::to_string(format_.rate_hz) + " Hz");
  }
  const bool known = format_.is_float ? format_.bits == 32 || format_.bits == 64
                                      : format_.sample_bytes >= 1 && format_.sample_bytes <= 4;
  if (!known) {
    fail("has " + std::string(format_.is_float ? "floats" : "samples") + " of " +
         std::to_string(format_.bits) + " bits; integers up to 32 bits, and floats of 32 or 64, can be read");
  }
  const std::int64_t frame_bytes = number_at<std::uint16_t>(chunk, 12);
  if (frame_bytes != format_.channels * format_.sample_bytes) {
    fail("contradicts itself: " + std::to_string(format_.channels) + " channels of " +
         std::to_string(format_.bits) + " bits, and frames of " + std::to_string(frame_bytes) + " bytes");
  }
}

void WavFile::enter_data(std::uint64_t size_bytes) {
  if (format_.channels == 0) fail("has its 'data' chunk before a 'fmt ' chunk");
  if (size_bytes > left()) {
    fail("ends too early: its 'data' chunk promises " + std::to_string(size_bytes) + " bytes, and " +
         std::to_string(left()) + " are left");
  }
  const auto frame_bytes = static_cast<std::uint64_t>(format_.channels * format_.sample_bytes);
  if (size_bytes % frame_bytes != 0) {
    fail("has " + std::to_string(size_bytes) + " bytes of samples, which is no whole number of frames of " +
         std::to_string(frame_bytes));
  }
  format_.frames = static_cast<std::int64_t>(size_bytes / frame_bytes);
  frames_left_ = format_.frames;
}

std::int64_t WavFile::read(std::span<float> samples) {
  const std::int64_t room = static_cast<std::int64_t>(samples.size()) / format_.channels;
  const std::int64_t frames = std::min(room, frames_left_);
  const std::int64_t size = format_.sample_bytes;
  const auto raw = bytes(static_cast<std::uint64_t>(frames * format_.channels * size), "samples");
  for (std::int64_t i = 0; i < frames * format_.channels; ++i) {
    const unsigned char* const sample = raw.data() + i * size;
    samples[static_cast<std::size_t>(i)] =
        format_.is_float ? float_sample(sample, size) : integer_sample(sample, size);
  }
  frames_left_ -= frames;
  return frames;
}

std::vector<unsigned char> WavFile::bytes(std::uint64_t count, const char* of_what) {
  // The file may have become shorter since it was opened, so the read is asked, too.
  std::vector<unsigned char> result(std::min(count, left()));
  file_.read(reinterpret_cast<char*>(result.data()), static_cast<std::streamsize>(result.size()));
  if (result.size() < count || static_cast<std::uint64_t>(file_.gcount()) < count) {
    fail(std::string("ends in the middle of ") + of_what);
  }
  at_ += count;
  return result;
}

void WavFile::fail(const std::string& what) const { throw WavError(path_ + ": " + what); }

}  // namespace audio
