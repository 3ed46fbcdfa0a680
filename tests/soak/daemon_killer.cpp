#include "daemon_killer.hpp"

#include <csignal>

#include "processes.hpp"

namespace tensord::soak {
namespace {

// Where a daemon changes what the next one has to know: in the order of a client's life, and a tensor's.
struct Point {
  const char* name;
  unsigned max_count;  // it dies at one of so many times that it comes there
};
constexpr Point kPoints[] = {
    {"client.entered", 10},   {"client.kept", 10},         {"client.greeted", 10},
    {"segment.granted", 30},  {"segment.kept", 5},         {"segment.entered", 5},
    {"segment.dropped", 5},   {"draft.begun", 500},        {"slot.described", 500},
    {"tensor.enters", 500},   {"tensor.entered", 500},     {"tensor.published", 500},
    {"batch.checked", 30},    {"batch.begins", 30},        {"batch.entered", 500},
    {"tensor.unlisted", 300}, {"tensor.dies", 300},        {"slot.freed", 500},
    {"client.goes", 10},      {"client.gone", 10},         {"message.answered", 100},
    {"request.done", 1'000},  {"request.answered", 1'000}, {"*", 5'000},
};

}  // namespace

void DaemonKiller::look_around() {
  if (stopped_ && std::chrono::steady_clock::now() >= goes_on_) {
    ::kill(*stopped_, SIGCONT);
    stopped_.reset();
  }
  if (kills_.come()) kill();
  if (stops_.come()) stop();
}

void DaemonKiller::kill() {
  note_death();
  const std::optional<pid_t> daemon = test::child_of(store_.keeper_pid());
  if (!daemon) return;  // between two of them
  if (random_.one_in(2)) {
    const Point& point = kPoints[random_.below(std::size(kPoints))];
    point_ = point.name;
    store_.let_next_daemon_die_at(point_, static_cast<int>(1 + random_.below(point.max_count)));
  }
  ::kill(*daemon, SIGKILL);
  ++counts_["killed: the daemon"];
}

void DaemonKiller::stop() {
  const std::optional<pid_t> daemon = test::child_of(store_.keeper_pid());
  if (!daemon || stopped_) return;
  ::kill(*daemon, SIGSTOP);
  stopped_ = daemon;
  goes_on_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(1 + random_.below(300));
  ++counts_["stopped for a while: the daemon"];
}

void DaemonKiller::note_death() {
  if (!point_.empty() && store_.did_die()) ++counts_["the daemon died at " + point_];
  point_.clear();
}

void DaemonKiller::end() {
  note_death();
  if (stopped_) ::kill(*stopped_, SIGCONT);
  stopped_.reset();
}

}  // namespace tensord::soak
