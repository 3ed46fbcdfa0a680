// Doctor: `tensorctl doctor`.
#pragma once

#include <string>

namespace tensord::tools {

enum class DoctorWants { kFindings, kList };

// Looks at the machine, and at the store if one runs; starts none. Returns the exit code: 0 nothing stands in
// the way (advice or not), 1 something does.
int run_doctor(const std::string& asked_for, DoctorWants wants, bool json);

}  // namespace tensord::tools
