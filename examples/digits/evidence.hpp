// Evidence: what a process of the demo can show for itself, for `run` to compare.
#pragma once

#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include <tensord/view.hpp>

namespace digits {

// The file (inode) and offset behind an address, from the kernel's own table of mappings: a proof
// of sharing that does not lean on the library's word.
inline tensord::Location kernel_location(const void* address_of) {
  const auto address = reinterpret_cast<std::uintptr_t>(address_of);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t start = 0, end = 0, offset = 0, inode = 0;
    char dash = 0;
    std::string permissions, device;
    std::istringstream fields(line);
    fields >> std::hex >> start >> dash >> end >> permissions >> offset >> device >> std::dec >> inode;
    if (start <= address && address < end)
      return {.inode = inode, .offset_bytes = offset + (address - start)};
  }
  throw std::runtime_error("/proc/self/maps does not know the address");
}

// A flat JSON object of numbers, written when the process is done.
class Report {
 public:
  template <class Number>
  void add(const std::string& key, Number value) {
    body_ << (empty_ ? "" : ",") << "\n  \"" << key << "\": " << value;
    empty_ = false;
  }
  void add_location(const std::string& key, const tensord::View& view, const void* address) {
    const tensord::Location said = view.location(), seen = kernel_location(address);
    add(key + ".inode", said.inode);
    add(key + ".offset", said.offset_bytes);
    add(key + ".kernel_inode", seen.inode);
    add(key + ".kernel_offset", seen.offset_bytes);
  }
  void write(const std::string& path) const {
    std::ofstream file(path);
    file << "{" << body_.str() << "\n}\n";
    if (!file.flush()) throw std::runtime_error("cannot write the report " + path);
  }

 private:
  std::ostringstream body_;
  bool empty_ = true;
};

}  // namespace digits
