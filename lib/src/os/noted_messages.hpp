// Noted messages: the texts of all errors that tests saw, in the file that $TENSORD_MESSAGES names, so that a
// test can say which messages none of them goes through (tests/messages). Built in only with
// TENSORD_CRASH_POINTS, as those are; in a release this is nothing at all.
// Threads  any.
#pragma once

#include <string_view>

namespace tensord::os {

#if defined(TENSORD_CRASH_POINTS)
// Appends a line, unless this process has done so for the same text.
void note_message(std::string_view text) noexcept;
#else
inline void note_message(std::string_view) noexcept {}
#endif

}  // namespace tensord::os
