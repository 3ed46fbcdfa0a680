// Recurring: work that is done again and again for as long as it is needed. An idle daemon has no timer that
// wakes it.
//
// Threads  one, that of the io_context.
#pragma once

#include <chrono>
#include <functional>

#include <boost/asio.hpp>

namespace tensord::daemon {

class Recurring {
 public:
  Recurring(boost::asio::io_context& loop, std::chrono::milliseconds interval,
            std::function<bool()> is_needed, std::function<void()> work);

  // To be called when it may have become needed: then the work is done after each interval, until it is not.
  void while_needed();

 private:
  const std::chrono::milliseconds interval_;
  const std::function<bool()> is_needed_;
  const std::function<void()> work_;
  boost::asio::steady_timer timer_;
  bool waiting_ = false;
};

}  // namespace tensord::daemon
