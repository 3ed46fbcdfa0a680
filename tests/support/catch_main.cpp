// Catch2's main, compiled once and linked into every test program: version 2 takes seconds for it.
#define CATCH_CONFIG_MAIN
#include "catch.hpp"
