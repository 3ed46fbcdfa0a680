// What Store, View and Builder promise, one process, a real daemon.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

using namespace tensord;
using tensord::test::DaemonProcess;
using tensord::test::eventually;

namespace {

using Shape = std::vector<std::int64_t>;

std::vector<float> ramp(std::size_t length) {
  std::vector<float> values(length);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  std::abort();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what was put is what is attached, for every dtype and shape", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const std::vector<Shape> shapes = {{},
                                     {0},
                                     {1},
                                     {7},
                                     {3, 5},
                                     {2, 0, 4},
                                     {1, 1},
                                     {5, 1, 3},
                                     Shape(16, 1),
                                     {4096},
                                     Shape{2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 3}};
  for (const DType dtype : supported_dtypes()) {
    for (const Shape& shape : shapes) {
      const auto count = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
      std::vector<unsigned char> bytes(static_cast<std::size_t>(count) * dtype.itemsize());
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 + 11);
      const std::string name = "all/" + std::string(dtype_name(dtype));
      INFO(name << " with " << shape.size() << " dimensions");

      store.put(name, dtype, shape, bytes.data(), {.replace = true});
      const View view = store.attach(name);
      CHECK(view.name() == name);
      CHECK(view.dtype() == dtype);
      CHECK(std::ranges::equal(view.shape(), shape));
      CHECK(view.numel() == count);
      REQUIRE(view.size_bytes() == bytes.size());
      CHECK(view.data() != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(view.data()) % 64 == 0);
      CHECK(std::equal(bytes.begin(), bytes.end(), reinterpret_cast<const unsigned char*>(view.data())));
    }
  }
}

TEST_CASE("attaching copies nothing, put and clone copy once", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", ramp(1000));
  CHECK(store.client_stats().bytes_copied_in == 4000);
  const View one = store.attach("a/x");
  const View two = store.attach("a/x");
  CHECK(one.data() == two.data());
  CHECK(store.client_stats().bytes_copied_out == 0);
  std::vector<float> mine(1000);
  one.clone_to(std::as_writable_bytes(std::span(mine)));
  CHECK(mine == ramp(1000));
  CHECK(store.client_stats().bytes_copied_out == 4000);
  CHECK(store.client_stats().bytes_copied_in == 4000);
}

TEST_CASE("a sealed tensor cannot be written through any view of it", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const View view = store.put<float>("a/x", ramp(10));
  CHECK(error_of([&] { (void)view.mutable_data(); }).code() == Errc::kPermissionDenied);
  const Error error = error_of([&] { (void)store.attach("a/x", Mode::kReadWrite); });
  CHECK(error.code() == Errc::kPermissionDenied);
  CHECK(contains(error.what(), "sealed"));

  // The private mapping may be written, and nobody sees it.
  const auto first = view.map_private();
  const auto second = view.map_private();
  reinterpret_cast<float*>(first.get())[3] = -1;
  CHECK(reinterpret_cast<float*>(second.get())[3] == 3);
  CHECK(view.as<float>()[3] == 3);
}

TEST_CASE("a live tensor shows every write to everybody", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  const Store other = daemon.connect();
  const View writer = store.put<float>("a/live", ramp(10), {.kind = Kind::kLive});
  CHECK(writer.mode() == Mode::kReadWrite);
  const View reader = other.attach("a/live");
  const View second_writer = other.attach("a/live", Mode::kReadWrite);
  writer.as_mutable<float>()[4] = 40;
  CHECK(reader.as<float>()[4] == 40);
  second_writer.as_mutable<float>()[5] = 50;
  CHECK(reader.as<float>()[5] == 50);
  CHECK(error_of([&] { (void)reader.mutable_data(); }).code() == Errc::kPermissionDenied);
  CHECK(writer.location().inode == reader.location().inode);
  CHECK(writer.location().offset_bytes == reader.location().offset_bytes);
}

TEST_CASE("replace makes a new tensor, and old views keep the old bytes", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  store.put<float>("a/x", ramp(10));
  const View old = store.attach("a/x");
  CHECK(error_of([&] { store.put<float>("a/x", ramp(20)); }).code() == Errc::kAlreadyExists);
  store.put<float>("a/x", ramp(20), {.replace = true});
  CHECK(old.as<float>().size() == 10);
  CHECK(old.as<float>()[9] == 9);
  CHECK(store.attach("a/x").as<float>().size() == 20);
  CHECK(store.stats().dying_tensors == 1);
}

TEST_CASE("a view outlives deletion, its Store, and copies of itself", "[client]") {
  const DaemonProcess daemon;
  const Store watcher = daemon.connect();
  View kept;
  {
    Store store = daemon.connect();
    store.put<float>("a/x", ramp(10));
    const View view = store.attach("a/x");
    const View copy = view;
    kept = copy;
    store.remove("a/x");
    store.close();
    CHECK(error_of([&] { (void)store.attach("a/x"); }).code() == Errc::kConnectionLost);
  }
  CHECK(kept.as<float>()[9] == 9);
  CHECK_FALSE(watcher.contains("a/x"));
  CHECK(watcher.stats().dying_tensors == 1);
  CHECK(watcher.stats().connections == 2);
  const auto private_map = kept.map_private();
  kept.reset();
  CHECK(reinterpret_cast<float*>(private_map.get())[9] == 9);
  CHECK(watcher.stats().dying_tensors == 1);
}

TEST_CASE("space of a deleted tensor comes back with its last view, and is used again", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  View view = store.put<float>("a/x", ramp(100'000));
  const Location first = view.location();
  store.remove("a/x");
  CHECK(store.stats().used_bytes >= 400'000);
  view.reset();
  CHECK(store.stats().used_bytes == 0);
  CHECK(store.put<float>("a/y", ramp(100'000)).location().inode == first.inode);
}

TEST_CASE("a tensor in the making is hidden until published, and dropped otherwise", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  {
    auto builder = store.build("a/x", kFloat32, Shape{2, 3});
    CHECK(builder.size_bytes() == 24);
    std::memset(builder.mutable_data(), 0, 24);
    CHECK_FALSE(store.contains("a/x"));
    CHECK(store.stats().building_tensors == 1);
  }
  CHECK(store.stats().building_tensors == 0);
  CHECK(store.stats().used_bytes == 0);

  auto builder = store.build("a/x", kFloat32, Shape{2, 3});
  reinterpret_cast<float*>(builder.mutable_data())[5] = 5.5f;
  const View view = builder.publish();
  CHECK(view.as<float>()[5] == 5.5f);
  CHECK(view.mode() == Mode::kRead);
  CHECK(error_of([&] { builder.publish(); }).code() == Errc::kInvalidArgument);

  SECTION("of two that build the same name, the first to publish has it") {
    auto first = store.build("a/y", kInt8, Shape{1});
    auto second = store.build("a/y", kInt8, Shape{1});
    second.publish();
    CHECK(error_of([&] { first.publish(); }).code() == Errc::kAlreadyExists);
  }
}

TEST_CASE("names are listed by prefix, sorted, however many there are", "[client]") {
  const DaemonProcess daemon;
  const Store store = daemon.connect();
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back("list/" + std::string(static_cast<std::size_t>(i) % 200 + 1, 'n') + std::to_string(i));
    store.put<float>(expected.back(), ramp(1));
  }
  store.put<float>("listless", ramp(1));
  std::sort(expected.begin(), expected.end());
  CHECK(store.names("list/") == expected);
  CHECK(store.names().size() == 301);
  CHECK(store.names("none/").empty());
  CHECK(store.names(std::string(300, 'x')).empty());
}

TEST_CASE("errors say what, with what, and what to do", "[client]") {
  const DaemonProcess daemon({"--max-bytes", "64MiB", "--max-tensors", "20"});
  const Store store = daemon.connect();
  store.put<float>("digits/images", ramp(10));

  const Error missing = error_of([&] { (void)store.attach("digits/image"); });
  CHECK(missing.code() == Errc::kNotFound);
  CHECK(contains(missing.what(), "'digits/image'"));
  CHECK(contains(missing.what(), "did you mean 'digits/images'?"));
  CHECK_FALSE(store.try_attach("digits/image").has_value());
  CHECK(error_of([&] { store.remove("nothing"); }).code() == Errc::kNotFound);

  for (const char* bad : {"", "/x", "x/", "a//b", "a\nb", "\xc3\x28"}) {
    INFO("name '" << bad << "'");
    CHECK(error_of([&] { store.put<float>(bad, ramp(1)); }).code() == Errc::kInvalidArgument);
    CHECK(error_of([&] { (void)store.attach(bad); }).code() == Errc::kInvalidArgument);
  }
  const Error long_name = error_of([&] { store.put<float>(std::string(256, 'n'), ramp(1)); });
  CHECK(contains(long_name.what(), "256 bytes; at most 255"));
  CHECK(store.put<float>(std::string(255, 'n'), ramp(1)).name().size() == 255);

  const Error dims = error_of([&] { (void)store.build("x", kFloat32, Shape(17, 1)); });
  CHECK(dims.code() == Errc::kLimitReached);
  CHECK(contains(dims.what(), "17 dimensions"));
  CHECK(error_of([&] { (void)store.build("x", kFloat32, Shape{-1}); }).code() == Errc::kInvalidArgument);
  CHECK(error_of([&] {
          (void)store.build("x", kFloat32, Shape{INT64_MAX, 8});
        }).code() == Errc::kInvalidArgument);
  CHECK(error_of([&] { (void)store.build("x", DType{1, 4, 1}, Shape{1}); }).code() == Errc::kUnsupportedType);

  const Error space = error_of([&] { (void)store.build("big", kUInt8, Shape{100 << 20}); });
  CHECK(space.code() == Errc::kOutOfSpace);
  CHECK(contains(space.what(), "asked 100 MiB"));
  CHECK(contains(space.what(), "limit 64 MiB"));
  CHECK(store.attach("digits/images").as<float>()[9] == 9);

  for (int i = 0; i < 18; ++i) store.put<float>("few/" + std::to_string(i), ramp(1));
  const Error slots = error_of([&] { store.put<float>("one/more", ramp(1)); });
  CHECK(slots.code() == Errc::kOutOfSpace);
  CHECK(contains(slots.what(), "20 tensors"));

  const View view = store.attach("digits/images");
  CHECK(contains(error_of([&] { (void)view.as<double>(); }).what(), "holds float32, not float64"));
}

TEST_CASE("the memory of large tensors goes back to the system when it is not kept warm", "[client]") {
  const DaemonProcess daemon({"--keep-warm", "0"});
  const Store store = daemon.connect();
  store.put<float>("a/x", ramp(8 << 20));
  CHECK(store.stats().reserved_bytes >= 32u << 20);
  store.remove("a/x");
  CHECK(store.stats().reserved_bytes == 0);
  CHECK(store.stats().segments == 0);
  // A later tensor lies in a segment of its own time, not in the mapping of the dropped one.
  CHECK(store.put<float>("a/y", ramp(100)).as<float>()[99] == 99);
}
