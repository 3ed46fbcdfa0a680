// ExitCode: what tensorctl tells a script. The man page and --help list the same.
#pragma once

namespace tensord::tools {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,    // the reason is on standard error
  kUsage = 2,     // the command line makes no sense
  kNoDaemon = 3,  // no tensord runs there
  kTimedOut = 4,
};

}  // namespace tensord::tools
