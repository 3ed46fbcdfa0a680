"""What a process of the demo can show for itself, for `run` to compare (see evidence.hpp)."""

import json
from pathlib import Path
from typing import Any

import tensord


def kernel_location(address: int) -> tuple[int, int]:
    """The inode and offset of the file behind an address, from the kernel's own table of mappings."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, _permissions, offset, _device, inode = line.split(maxsplit=5)[:5]
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= address < end:
                return int(inode), int(offset, 16) + address - start
    raise RuntimeError("/proc/self/maps does not know the address")


class Report(dict[str, Any]):
    def add_location(self, key: str, view: tensord.View, address: int) -> None:
        """Where the view says that it lies, and where the kernel says that `address` lies."""
        location = view.location
        self[f"{key}.inode"], self[f"{key}.offset"] = location.inode, location.offset
        self[f"{key}.kernel_inode"], self[f"{key}.kernel_offset"] = kernel_location(address)

    def write(self, path: str | Path) -> None:
        with open(path, "w") as file:
            json.dump(self, file, indent=2)
