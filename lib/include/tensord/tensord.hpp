// All of tensord's C++ interface that needs no LibTorch. With LibTorch, include tensord/torch.hpp too.
#pragma once

#include <tensord/dtype.hpp>
#include <tensord/error.hpp>
#include <tensord/layout.hpp>
#include <tensord/store.hpp>
#include <tensord/view.hpp>
