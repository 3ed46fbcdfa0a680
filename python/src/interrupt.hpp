// Interrupt: Ctrl-C ends a request that waits for the daemon.
#pragma once

namespace tensord::python {

void register_interrupt_check();

}  // namespace tensord::python
