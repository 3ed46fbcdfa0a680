#include <utility>

#include "recurring.hpp"

namespace tensord::daemon {

Recurring::Recurring(boost::asio::io_context& loop, std::chrono::milliseconds interval,
                     std::function<bool()> is_needed, std::function<void()> work)
    : interval_(interval), is_needed_(std::move(is_needed)), work_(std::move(work)), timer_(loop) {}

void Recurring::while_needed() {
  if (waiting_ || !is_needed_()) return;
  waiting_ = true;
  timer_.expires_after(interval_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    waiting_ = false;
    if (error) return;
    work_();
    while_needed();
  });
}

}  // namespace tensord::daemon
