// Layouts that put keeps or packs, and sub-views.
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <tensord/tensord.hpp>

#include "catch.hpp"
#include "daemon_process.hpp"

namespace tensord {
namespace {

using test::DaemonProcess;

using Extents = std::vector<std::int64_t>;

Extents vector_of(std::span<const std::int64_t> values) { return {values.begin(), values.end()}; }

struct Matrix {
  DaemonProcess daemon;
  Store store = daemon.connect();
  std::vector<std::int32_t> elements = [] {
    std::vector<std::int32_t> values(12);
    std::iota(values.begin(), values.end(), 0);
    return values;
  }();

  View put(std::string_view name, Extents shape, Extents strides, std::size_t first = 0,
           PutOptions options = {}) {
    return store.put(name, Array{kInt32, shape, strides, elements.data() + first}, options);
  }
};

std::vector<std::int32_t> clone(const View& view) {
  std::vector<std::int32_t> copy(static_cast<std::size_t>(view.numel()));
  view.clone_to(std::as_writable_bytes(std::span(copy)));
  return copy;
}

std::int32_t at(const View& view, std::int64_t row, std::int64_t column) {
  return reinterpret_cast<const std::int32_t*>(
      view.data())[row * view.strides()[0] + column * view.strides()[1]];
}

}  // namespace

TEST_CASE_METHOD(Matrix, "a put keeps the strides of dense elements", "[layout]") {
  const View columns = put("columns", {3, 4}, {1, 3});
  CHECK(vector_of(columns.strides()) == Extents{1, 3});
  CHECK(at(columns, 1, 2) == 7);
  CHECK(clone(columns) == elements);
  CHECK(columns.size_bytes() == 48);
  CHECK_THROWS_AS(columns.as<std::int32_t>(), InvalidArgumentError);
}

TEST_CASE_METHOD(Matrix, "a put packs elements with gaps, repetitions and negative strides once",
                 "[layout]") {
  const View evens = put("evens", {3, 2}, {4, 2});
  CHECK(vector_of(evens.strides()) == Extents{2, 1});
  CHECK(clone(evens) == std::vector<std::int32_t>{0, 2, 4, 6, 8, 10});

  const View reversed = put("reversed", {12}, {-1}, 11);
  CHECK(vector_of(reversed.strides()) == Extents{1});
  CHECK(clone(reversed) == std::vector<std::int32_t>{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});

  const View repeated = put("repeated", {2, 3}, {0, 1});
  CHECK(clone(repeated) == std::vector<std::int32_t>{0, 1, 2, 0, 1, 2});
  CHECK(store.client_stats().bytes_copied_in == 24 + 48 + 24);
}

TEST_CASE_METHOD(Matrix, "a sub-view shares the bytes of its tensor and pins them by itself", "[sub-view]") {
  View rows;
  {
    const View whole = put("whole", {3, 4}, {4, 1});
    rows = whole.narrow(0, 1, 2);
    CHECK(rows.data() == whole.data() + 16);
    CHECK(rows.location().offset_bytes == whole.location().offset_bytes + 16);
    CHECK(rows.generation() == whole.generation());
  }
  store.remove("whole");
  CHECK(store.stats().dying_tensors == 1);
  CHECK(rows.name() == "whole");
  CHECK(vector_of(rows.shape()) == Extents{2, 4});
  CHECK(rows.size_bytes() == 32);
  const auto row_elements = rows.as<std::int32_t>();
  CHECK(std::vector(row_elements.begin(), row_elements.end()) ==
        std::vector<std::int32_t>{4, 5, 6, 7, 8, 9, 10, 11});
  rows.reset();
  CHECK(store.stats().dying_tensors == 0);
}

TEST_CASE_METHOD(Matrix, "sub-views of sub-views select and narrow any dimension", "[sub-view]") {
  const View whole = put("whole", {3, 4}, {4, 1});
  const View column = whole.select(1, -1);
  CHECK(vector_of(column.shape()) == Extents{3});
  CHECK(vector_of(column.strides()) == Extents{4});
  CHECK(clone(column) == std::vector<std::int32_t>{3, 7, 11});
  CHECK(column.extent_bytes() == 36);

  const View inner = whole.narrow(0, 1, 2).narrow(-1, 1, 2);
  CHECK(clone(inner) == std::vector<std::int32_t>{5, 6, 9, 10});
  const View scalar = inner.select(0, 1).select(0, 0);
  CHECK(scalar.ndim() == 0);
  CHECK(scalar.as<std::int32_t>()[0] == 9);
  const View nothing = whole.narrow(0, 3, 0);
  CHECK(nothing.numel() == 0);
  CHECK(clone(nothing).empty());

  View copy = inner;
  View moved = std::move(copy);
  copy = moved;
  moved.reset();
  CHECK(clone(copy) == std::vector<std::int32_t>{5, 6, 9, 10});
  const std::shared_ptr<std::byte> mapping = inner.map_private();
  CHECK(reinterpret_cast<const std::int32_t*>(mapping.get())[0] == 5);
}

TEST_CASE_METHOD(Matrix, "what lies outside of a view is refused as a sub-view of it", "[sub-view]") {
  const View whole = put("whole", {3, 4}, {4, 1});
  CHECK_THROWS_AS(whole.narrow(0, 2, 2), InvalidArgumentError);
  CHECK_THROWS_AS(whole.narrow(2, 0, 1), InvalidArgumentError);
  CHECK_THROWS_AS(whole.narrow(0, -4, 1), InvalidArgumentError);
  CHECK_THROWS_AS(whole.narrow(0, 0, -1), InvalidArgumentError);
  CHECK_THROWS_AS(whole.select(0, 3), InvalidArgumentError);
  CHECK_THROWS_AS(whole.select(-3, 0), InvalidArgumentError);
  const View row = whole.select(0, 1);
  CHECK_THROWS_AS(row.as_strided(Extents{5}, Extents{1}), InvalidArgumentError);
  CHECK_THROWS_AS(row.as_strided(Extents{4}, Extents{1}, 1), InvalidArgumentError);
  CHECK_THROWS_AS(row.as_strided(Extents{4}, Extents{-1}, 3), InvalidArgumentError);
  CHECK_THROWS_AS(row.as_strided(Extents{4}, Extents{1}, -1), InvalidArgumentError);
  CHECK_THROWS_AS(row.as_strided(Extents{4}, Extents{}), InvalidArgumentError);
  CHECK(clone(row.as_strided(Extents{2}, Extents{2}, 1)) == std::vector<std::int32_t>{5, 7});
}

TEST_CASE_METHOD(Matrix, "sub-views of a live tensor share its versions", "[sub-view][live]") {
  const View whole = put("live", {3, 4}, {4, 1}, 0, {.kind = Kind::kLive});
  const View row = whole.select(0, 2);
  const View column = store.attach("live").select(1, 0);
  {
    const Writing writing = row.writing();
    for (std::int32_t& element : row.as_mutable<std::int32_t>()) element = -1;
  }
  CHECK(whole.version() == 1);
  CHECK(column.wait(0) == 1);
  CHECK(clone(column) == std::vector<std::int32_t>{0, 4, -1});
  CHECK_THROWS_AS(column.writing(), PermissionDeniedError);
}

TEST_CASE_METHOD(Matrix, "a tensor may be built with strides of one's own", "[layout]") {
  Builder builder = store.build("padded", kInt32, Extents{2, 3}, Extents{4, 1});
  CHECK(builder.size_bytes() == 24);
  CHECK(builder.extent_bytes() == 28);
  auto* const data = reinterpret_cast<std::int32_t*>(builder.mutable_data());
  for (int row = 0; row < 2; ++row) {
    for (int column = 0; column < 3; ++column) data[row * 4 + column] = 10 * row + column;
  }
  const View padded = builder.publish();
  CHECK(vector_of(padded.strides()) == Extents{4, 1});
  CHECK(clone(padded) == std::vector<std::int32_t>{0, 1, 2, 10, 11, 12});
  CHECK_THROWS_AS(store.build("no", kInt32, Extents{2, 3}, Extents{2, 1}), InvalidArgumentError);
  CHECK_THROWS_AS(store.build("no", kInt32, Extents{2}, Extents{0}), InvalidArgumentError);
  CHECK_THROWS_AS(store.build("no", kInt32, Extents{2}, Extents{-1}), InvalidArgumentError);
  CHECK_THROWS_AS(store.build("no", kInt32, Extents{2}, Extents{}), InvalidArgumentError);
}

}  // namespace tensord
