// Every command of tensorctl; each is the file of its name.
#pragma once

namespace tensord::tools {

class Commands;

void add_doctor(Commands& commands);
void add_holders(Commands& commands);
void add_ls(Commands& commands);
void add_restart(Commands& commands);
void add_rm(Commands& commands);
void add_start(Commands& commands);
void add_stat(Commands& commands);
void add_status(Commands& commands);
void add_stop(Commands& commands);
void add_users(Commands& commands);
void add_wait(Commands& commands);
void add_waiters(Commands& commands);

}  // namespace tensord::tools
