// Roles: what a worker does all its life, until it is told to stop or dies.
// Fails  by an exception that is none of the answers it may get: a fault of the store.
#pragma once

#include "actor.hpp"

namespace tensord::soak {

void produce(const Task& task, unsigned range);  // put, build, replace, delete, in a range of its own
void consume(const Task& task);                  // attach, verify, hold, wait, write live ones
void fork_about(const Task& task);               // hold views and fork, exec, spawn

}  // namespace tensord::soak
