// Word: one byte from a process to another, which may be nobody's child any more.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tensord::test {

class Word {
 public:
  Word() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  Word(const Word&) = delete;
  Word& operator=(const Word&) = delete;
  ~Word() { ::close(ends_[0]), ::close(ends_[1]); }
  void say(char byte) const {
    if (::write(ends_[1], &byte, 1) != 1) throw std::system_error(errno, std::generic_category(), "write");
  }
  // Waits for it.
  [[nodiscard]] char hear() const {
    char byte = 0;
    return ::read(ends_[0], &byte, 1) == 1 ? byte : '\0';
  }

 private:
  int ends_[2];
};

}  // namespace tensord::test
