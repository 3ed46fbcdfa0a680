"""The C++ blocks of docs/copies.md as one source file: a function for each, and a table of them.

    generate.py OUTPUT

One file, as each that includes LibTorch costs some twenty seconds. Errors of the compiler name the page.
"""

import sys
from pathlib import Path

import page

HEAD = """\
// Made by tests/copies/generate.py from docs/copies.md.
#include <tensord/torch.hpp>
#include <tensord/torch_module.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "held_torch.hpp"
"""

FUNCTION = """
namespace {{
std::unique_ptr<Held> {name}([[maybe_unused]] const tensord::Store& store) {{
#line {line} "{path}"
{code}
  return hold(view, weights);
}}
}}  // namespace
"""


def main() -> None:
    functions, entries = [], []
    for number, example in enumerate(page.examples()):
        for role in page.ROLES:
            name = f"{role}_{number}"
            line, code = example.blocks[role, "cpp"]
            functions.append(FUNCTION.format(name=name, line=line, path=page.PATH, code=code))
            entries.append(f'    {{"{role}", {number}, &{name}}},  // {example.title}')
    table = "\nconst std::vector<Block> kBlocks = {\n" + "\n".join(entries) + "\n};\n"
    Path(sys.argv[1]).write_text(HEAD + "".join(functions) + table)


if __name__ == "__main__":
    main()
