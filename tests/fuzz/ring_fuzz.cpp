// The two ends of a ring, each over memory that the other end fills with whatever it likes, between any two
// looks. The memory is exactly as large as a ring, so that AddressSanitizer sees what lies outside.
#include <cstdlib>
#include <memory>
#include <vector>

#include "input.hpp"
#include "shm/ring.hpp"

using namespace tensord;
using fuzz::Input;
using fuzz::require;

namespace {

struct Ring {
  std::unique_ptr<shm::RingMemory> memory = std::make_unique<shm::RingMemory>();

  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(memory.get(), 1)); }
  // What the other side does meanwhile.
  void scribble(Input& input) {
    switch (input.below(5)) {
      case 0: return input.scribble(bytes());
      case 1: return memory->posted.store(input.take<std::uint32_t>());
      case 2: return memory->answered.store(input.take<std::uint32_t>());
      case 3:
        memory->entries[input.below(shm::kRingEntries)].request_bytes = input.take<std::uint32_t>();
        break;
      default: memory->entries[input.below(shm::kRingEntries)].reply_bytes = input.take<std::uint32_t>();
    }
  }
};

void serve(Input& input) {
  Ring ring;
  shm::RingServer server(*ring.memory);
  std::array<std::byte, shm::kRingRequestBytes> buffer;
  std::array<std::byte, shm::kRingReplyBytes> reply{};
  std::uint32_t answered = 0;
  while (!input.empty()) {
    ring.scribble(input);
    const std::uint32_t posted = ring.memory->posted.load();
    const auto look = server.look();
    const std::uint32_t waiting = posted - answered;
    require(look == (waiting == 0                   ? shm::RingServer::Look::kNothing
                     : waiting <= shm::kRingEntries ? shm::RingServer::Look::kRequest
                                                    : shm::RingServer::Look::kBroken),
            "the server counts answers in memory of its own");
    if (look != shm::RingServer::Look::kRequest) {
      static_cast<void>(server.leave());
      continue;
    }
    require(server.copy_request(buffer) <= buffer.size(), "a request is no larger than its buffer");
    ring.scribble(input);
    static_cast<void>(
        server.answer(std::span(reply).first(input.take<std::uint16_t>() % (reply.size() + 1))));
    require(ring.memory->answered.load() == ++answered, "each answer is counted once");
  }
}

void ask(Input& input) {
  Ring ring;
  shm::RingClient client(*ring.memory);
  std::array<std::byte, shm::kRingRequestBytes> request{};
  std::vector<std::byte> taken;
  std::uint32_t posted = 0;
  while (!input.empty()) {
    ring.scribble(input);
    const auto size = input.take<std::uint16_t>() % (request.size() + 1);
    require(client.post(std::span(request).first(size), input.byte()) == posted++, "requests are numbered");
    if (client.must_ring()) client.rang();
    ring.scribble(input);
    const std::uint32_t number = posted - 1 - static_cast<std::uint32_t>(input.below(shm::kRingEntries));
    if (!client.answered(number) && !client.begin_sleep(number)) client.end_sleep();
    const auto reply = client.reply(number);
    require(reply.size() <= shm::kRingReplyBytes, "a reply is no larger than its entry");
    taken.assign(reply.begin(), reply.end());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  input.flip() ? serve(input) : ask(input);
  return 0;
}
