// How long does attach by name take, and how does it grow with the number of tensors?
//
// One operation is attach and detach of one name. A round goes over the names in use in an order that
// no prefetcher guesses. With all of a million in use every operation meets cold cache lines and
// pages: an index entry, then a slot and a counter. A job that attaches again and again to the thousand
// tensors it works on does not, however many others there are.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>
#include <tensord/tensord.hpp>

#include "copies.hpp"
#include "daemon_process.hpp"
#include "measure.hpp"
#include "partner.hpp"
#include "seccomp.hpp"
#include "shm/name_hash.hpp"

namespace {

using namespace tensord;
using bench::Role;

constexpr std::size_t kDefaultTensors = 65'536;  // of a daemon that is told nothing

// What no attach by name that survives crashes can leave out: hash the name, say in memory that the
// daemon reads that you look, look, and take it back. Two of these are sequentially consistent
// read-modify-writes. And a name leads to its tensor by some table, and the tensor's entry holds its name,
// since a hash proves nothing; so it touches, as cold as we do, and in shared memory on huge pages
// where the kernel grants some, as a catalog of many tensors gets:
//   - one of 2n index entries of 8 bytes, which says which slot: nothing else can begin before that is there;
//   - one of n counters of 4 bytes, twice;
//   - one of n slots of 128 bytes: the line with its state, and the line with its name.
// It compares no name, looks up no segment and makes no View.
class PinFloor {
 public:
  explicit PinFloor(std::size_t slots) {
    std::size_t capacity = 2;
    while (capacity < 2 * slots) capacity *= 2;
    mask_ = capacity - 1;
    index_ = map<std::atomic<std::uint64_t>>(index_memory_, capacity);
    counters_ = map<std::atomic<std::uint32_t>>(counter_memory_, slots);
    slots_ = map<Slot>(slot_memory_, slots);
    // As a store that fills up does: each entry with a slot of its own, in no order that memory knows.
    std::vector<std::uint32_t> order(capacity);
    for (std::size_t i = 0; i < capacity; ++i) order[i] = static_cast<std::uint32_t>(i % slots);
    std::shuffle(order.begin(), order.end(), std::minstd_rand(1));
    for (std::size_t i = 0; i < capacity; ++i) index_[i].store(order[i], std::memory_order_relaxed);
  }
  std::uint64_t pin_and_unpin(std::string_view name) {
    const std::uint64_t entry = index_[shm::name_hash(name, 1) & mask_].load(std::memory_order_acquire);
    const Slot& slot = slots_[entry];
    __builtin_prefetch(&slot);
    __builtin_prefetch(&slot.name);
    counters_[entry].fetch_add(1, std::memory_order_seq_cst);
    const std::uint64_t found =
        slot.word.load(std::memory_order_seq_cst) + slot.name.load(std::memory_order_relaxed);
    counters_[entry].fetch_sub(1, std::memory_order_seq_cst);
    return found;
  }
  // The two read-modify-writes alone, as warm as can be.
  std::uint64_t pin_and_unpin_warm(std::string_view name) {
    const std::uint64_t hash = shm::name_hash(name, 1);
    counters_[0].fetch_add(1, std::memory_order_seq_cst);
    counters_[0].fetch_sub(1, std::memory_order_seq_cst);
    return hash;
  }

 private:
  using Region = boost::interprocess::mapped_region;
  struct Slot {
    alignas(64) std::atomic<std::uint64_t> word;
    alignas(64) std::atomic<std::uint64_t> name;
  };
  template <class T>
  static T* map(Region& region, std::size_t count) {
    const std::size_t size_bytes = count * sizeof(T);
    region = bench::warm_shared_memory(size_bytes);
    return static_cast<T*>(region.get_address());
  }

  std::uint64_t mask_ = 0;
  Region index_memory_, counter_memory_, slot_memory_;
  std::atomic<std::uint64_t>* index_ = nullptr;
  std::atomic<std::uint32_t>* counters_ = nullptr;
  Slot* slots_ = nullptr;
};

// A shared-memory object of the kernel's, found by name and mapped: attach without a daemon.
class PosixObject {
 public:
  PosixObject() {
    const int fd = ::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ::ftruncate(fd, 4096) != 0) throw std::runtime_error("shm_open failed");
    ::close(fd);
  }
  ~PosixObject() { ::shm_unlink(name_.c_str()); }
  void attach() const {
    const int fd = ::shm_open(name_.c_str(), O_RDONLY, 0);
    struct stat status {};
    if (fd < 0 || ::fstat(fd, &status) != 0) throw std::runtime_error("shm_open failed");
    const auto size_bytes = static_cast<std::size_t>(status.st_size);
    void* const address = ::mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    bench::keep(address);
    ::munmap(address, size_bytes);
  }

 private:
  const std::string name_ = "/tensord-bench-" + std::to_string(::getpid());
};

class Tensors {
 public:
  explicit Tensors(Store store) : store_(std::move(store)) {}
  const Store& store() const { return store_; }

  void grow_to(std::size_t tensors) {
    constexpr std::size_t kBatch = 1'000;
    const std::int64_t length = static_cast<std::int64_t>(elements_.size());
    std::vector<PutItem> items;
    const std::size_t first = names_.size();
    for (std::size_t i = first; i < tensors; ++i)
      names_.push_back("bench/layer." + std::to_string(i) + ".weight");
    for (std::size_t i = first; i < tensors; ++i) {
      items.push_back({names_[i], {.dtype = kFloat32, .shape = {&length, 1}, .data = elements_.data()}});
      if (items.size() < kBatch && i + 1 < tensors) continue;
      (void)store_.put_many(items);
      items.clear();
    }
  }
  std::vector<std::string> some(std::size_t in_use) {
    std::vector<std::string> shuffled = names_;
    std::shuffle(shuffled.begin(), shuffled.end(), random_);
    shuffled.resize(in_use);
    // Copied, so that the strings' own bytes lie in the order in which they are read.
    return std::vector<std::string>(shuffled.begin(), shuffled.end());
  }

 private:
  Store store_;
  std::vector<std::string> names_;
  std::vector<float> elements_ = std::vector<float>(16, 1.0f);
  std::mt19937_64 random_{1};
};

// One by one: which name comes next is known only once the last tensor was found, so that this is how long
// one attach takes. Ahead: all names are known, and a core has as many attaches under way as fit into it.
enum class Order { kOneByOne, kAhead };

void measure(const Store& store, const std::vector<std::string>& names, std::size_t tensors, PinFloor& floor,
             Order order, int rounds) {
  const PosixObject posix_object;

  // Enough operations that reading the clock is nothing.
  constexpr std::size_t kMinOperations = 20'000, kPosixOperations = 200;
  const std::size_t passes = std::max<std::size_t>(1, kMinOperations / names.size());
  const std::size_t operations = passes * names.size();
  const auto over_all = [&](auto&& operation) {
    return bench::times(passes, [&names, operation, order] {
      if (order == Order::kAhead) {
        for (const std::string& name : names) bench::keep(operation(name));
      } else {
        std::uint64_t nothing = 0, found = 0;
        bench::hide(nothing);
        for (std::size_t i = 0; i < names.size(); ++i) found = operation(names[i + (found & nothing)]);
        bench::keep(found);
      }
    });
  };
  bench::compare(order == Order::kAhead ? "attach, names known ahead" : "attach",
                 {{"tensors", tensors}, {"in use", names.size()}}, rounds,
                 {{"tensord: attach, detach", Role::kOurs, operations, over_all([&](const std::string& name) {
                     return reinterpret_cast<std::uintptr_t>(store.attach(name).data());
                   })},
                  {"hash, 2 fetch_add, the same cache lines", Role::kFloor, operations,
                   over_all([&](const std::string& name) { return floor.pin_and_unpin(name); })},
                  // What of the floor is not cold memory.
                  {"hash, 2 fetch_add, one warm line", Role::kAside, operations,
                   over_all([&](const std::string& name) { return floor.pin_and_unpin_warm(name); })},
                  {"shm_open, mmap, munmap", Role::kPeer, kPosixOperations,
                   bench::times(kPosixOperations, [&] { posix_object.attach(); })}});
}

void measure(Tensors& tensors, std::size_t slots, std::size_t count, std::size_t in_use, int rounds) {
  tensors.grow_to(count);
  const std::vector<std::string> names = tensors.some(in_use);
  PinFloor floor(slots);
  for (const Order order : {Order::kOneByOne, Order::kAhead})
    measure(tensors.store(), names, count, floor, order, rounds);
}

// ---- system calls ---------------------------------------------------------------------------------

volatile std::sig_atomic_t system_calls = 0;

// Every system call of this process from here on runs the handler instead, but for writing and leaving.
void count_system_calls() {
  struct sigaction action {};
  action.sa_handler = [](int) { system_calls = system_calls + 1; };
  ::sigaction(SIGSYS, &action, nullptr);
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (!test::install_seccomp_filter(program)) throw std::runtime_error("no seccomp filter");
}

void count_calls_of_attach(const test::DaemonProcess& daemon, const std::vector<std::string>& names) {
  const bench::Shared<std::atomic<std::uint64_t>> counted, proof;
  test::in_child([&] {
    const Store store = daemon.connect();
    (void)store.attach(names.front());
    count_system_calls();
    for (const std::string& name : names) bench::keep(store.attach(name).data());
    counted->store(static_cast<std::uint64_t>(system_calls));
    ::getppid();  // that this counts at all
    proof->store(static_cast<std::uint64_t>(system_calls) - counted->load());
    return 0;
  });
  if (proof->load() != 1) throw std::runtime_error("system calls cannot be counted here");
  bench::count("attach", {{"attaches", names.size()}}, {{"system calls", counted->load()}});
}

// ---- all ------------------------------------------------------------------------------------------

void measure_all() {
  {
    const test::DaemonProcess daemon;
    Tensors tensors(daemon.connect());
    for (const std::size_t count : {1, 10, 100, 1'000}) measure(tensors, kDefaultTensors, count, count, 41);
    count_calls_of_attach(daemon, tensors.some(1'000));
    if (bench::small()) return;
    measure(tensors, kDefaultTensors, 10'000, 10'000, 41);
    measure(tensors, kDefaultTensors, kDefaultTensors, 1'000, 41);
    measure(tensors, kDefaultTensors, kDefaultTensors, kDefaultTensors, 31);
  }
  constexpr std::size_t kMany = 1'000'000;
  const test::DaemonProcess daemon({"--max-tensors", std::to_string(kMany)});
  Tensors tensors(daemon.connect());
  measure(tensors, kMany, 250'000, 250'000, 11);
  measure(tensors, kMany, kMany, kMany, 11);
}

}  // namespace

int main(int argc, char** argv) { return bench::answer(argc, argv, "attach", measure_all); }
