// The client against a daemon that writes garbage into the catalog, the ledger and the ring, and answers what
// the input says: honestly, almost so, or not at all. Whatever it does, the client throws an Error or
// returns; what it hands out it may touch, which AddressSanitizer and the kernel watch over.
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <tensord/store.hpp>

#include "fake_daemon.hpp"
#include "input.hpp"
#include "shm/live_header.hpp"

using namespace tensord;
using namespace tensord::protocol;
using fuzz::Input;
using fuzz::require;
using test::FakeDaemon;

namespace {

constexpr std::size_t kSteps = 24;  // of one input, at most
constexpr std::chrono::milliseconds kSoon{1};

// The daemon's thread and the client's take turns at the input: a request waits for its reply.
class Daemon {
 public:
  explicit Daemon(Input& input) : input_(input) {
    daemon.show(1, "live", 8192 + shm::kLivePrefixBytes, 8, Kind::kLive);
    daemon.show(2, std::string(100, 'n'), 12288, 8);
    daemon.answer = [this](std::span<const std::byte> request) { return answer(request); };
    daemon.lies_ahead = true;
    daemon.welcome = [this](FakeDaemon::Reply reply) { return change(std::move(reply), 6); };
  }

  void scribble() {
    const std::lock_guard lock(input_mutex_);
    const auto catalog = daemon.catalog();
    const auto slots = std::as_writable_bytes(std::span(&daemon.slot(0), FakeDaemon::kSlots));
    const auto tails = std::as_writable_bytes(std::span(&daemon.tail(0), FakeDaemon::kSlots));
    switch (input_.below(7)) {
      case 0: return input_.scribble(catalog);
      case 1: return input_.scribble(slots);
      case 2: return input_.scribble(tails);
      case 3: return input_.scribble(std::as_writable_bytes(std::span(&daemon.slot(), 1)));
      case 4: return input_.scribble(std::as_writable_bytes(std::span(&daemon.tail(), 1)).first(256));
      case 5: return input_.scribble(daemon.ledger());
      default: return input_.scribble(daemon.segment().subspan(8192, 128));
    }
  }
  // In the name of its clients, who take the input where the daemon does not.
  std::size_t below(std::size_t count) {
    const std::lock_guard lock(input_mutex_);
    return input_.below(count);
  }
  std::int64_t number() {
    const std::lock_guard lock(input_mutex_);
    return static_cast<std::int64_t>(input_.number());
  }
  bool is_over() {
    const std::lock_guard lock(input_mutex_);
    return input_.empty();
  }

  FakeDaemon daemon;

 private:
  FakeDaemon::Reply answer(std::span<const std::byte> request) {
    FakeDaemon::Reply reply = daemon.honest(request);
    return change(std::move(reply), 3);
  }

  // Every so-and-so-many-th reply is not what it should be.
  FakeDaemon::Reply change(FakeDaemon::Reply reply, std::size_t every) {
    const std::lock_guard lock(input_mutex_);
    if (input_.below(every) != 1) return reply;
    switch (input_.below(6)) {
      case 0: reply.bytes.resize(1 + input_.take<std::uint16_t>() % kMaxMessageBytes); break;
      case 1: reply.fds.clear(); break;
      case 2: reply.fds = {daemon.segment_fds[0], daemon.segment_fds[1]}; break;
      case 3: reply.bytes.clear(); break;
      default: {
        // Past the header, which most often should fit.
        const std::size_t from =
            input_.below(4) == 0 || reply.bytes.size() <= sizeof(ReplyHeader) ? 0 : sizeof(ReplyHeader);
        if (reply.bytes.size() > from) input_.scribble(std::span(reply.bytes).subspan(from));
      }
    }
    return reply;
  }

  Input& input_;
  std::mutex input_mutex_;
};

// Every byte that the client says may be read.
unsigned touch(const std::byte* data, std::size_t size_bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < size_bytes; i += 509) sum += std::to_integer<unsigned>(data[i]);
  if (size_bytes > 0) sum += std::to_integer<unsigned>(data[size_bytes - 1]);
  return sum;
}

void use(const View& view, Daemon& daemon) {
  unsigned sum = 0;
  switch (daemon.below(9)) {
    case 0: {
      const auto elements = view.as<float>();
      sum = touch(reinterpret_cast<const std::byte*>(elements.data()), elements.size_bytes());
      break;
    }
    case 1: {
      const std::size_t size_bytes = view.size_bytes();
      if (size_bytes > FakeDaemon::kSegmentBytes) break;
      std::vector<std::byte> own(size_bytes);
      view.clone_to(own, kSoon);
      view.read(std::span(own), kSoon);
      break;
    }
    case 2: {
      const std::size_t size_bytes = view.extent_bytes();
      require(size_bytes <= FakeDaemon::kSegmentBytes, "a tensor is no larger than its segment");
      sum = touch(view.data(), size_bytes);
      break;
    }
    case 3: {
      const auto mapping = view.map_private();
      sum = touch(mapping.get(), 1);
      break;
    }
    case 4:
      sum = static_cast<unsigned>(view.name().size() + view.generation() + view.location().inode);
      break;
    case 5: {
      const View part = view.narrow(static_cast<int>(daemon.below(3)), daemon.number(), daemon.number());
      sum = touch(part.data(), part.extent_bytes());
      break;
    }
    case 6: {
      const View part = view.select(static_cast<int>(daemon.below(3)), daemon.number());
      sum = touch(part.data(), part.extent_bytes());
      break;
    }
    case 7: sum = static_cast<unsigned>(view.version() + view.wait(0, kSoon)); break;
    default: {
      Writing writing = view.writing(kSoon, daemon.below(2) == 1);
      daemon.scribble();
      if (daemon.below(2) == 1) writing.give_up();
    }
  }
  static volatile unsigned sink = 0;
  sink = sink + sum;
}

void step(const Store& store, Daemon& daemon, std::vector<View>& held) {
  const std::string names[] = {"x", "live", std::string(100, 'n'), "nobody"};
  const auto name = names[daemon.below(std::size(names))];
  static const std::vector<float> values(300, 1.0f);
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(1 + daemon.below(256))};
  const Array array{kFloat32, shape, {}, values.data()};
  switch (daemon.below(12)) {
    case 0:
    case 1:
    case 2: held.push_back(store.attach(name)); break;
    case 3: held.push_back(store.attach(name, Mode::kReadWrite)); break;
    case 4: held.push_back(store.put(name, array, {.kind = static_cast<Kind>(daemon.below(2))})); break;
    case 5: held = store.put_many(std::vector<PutItem>{{"a", array}, {"b", array}}); break;
    case 6: held = store.attach_many(std::vector<std::string_view>{"x", "live"}); break;
    case 7: static_cast<void>(store.names()); break;
    case 8: static_cast<void>(store.info(name)); break;
    case 9:
      daemon.below(2) == 0 ? static_cast<void>(store.stats()) : static_cast<void>(store.holders());
      break;
    case 10: held.clear(); break;
    default:
      for (const View& view : held) use(view, daemon);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  Daemon daemon(input);
  try {
    const Store store = daemon.daemon.connect();
    std::vector<View> held;
    for (std::size_t i = 0; i < kSteps && !daemon.is_over(); ++i) {
      try {
        step(store, daemon, held);
      } catch (const ConnectionLostError&) {
        for (const View& view : held) use(view, daemon);
        break;
      } catch (const Error&) {
        // What it should be.
      }
      daemon.scribble();
    }
  } catch (const Error&) {
  }
  return 0;
}
