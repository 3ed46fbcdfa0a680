"""Cutter: cuts the patches straight into the store, and goes.

cutter.py COUNT
"""

import sys

import numpy as np
from patches import SHAPE, Patches

import tensord


def main(count: str) -> None:
    patches = Patches(int(count))
    store = tensord.connect(start=False)
    with store.build_many(
        {"photos/patches": ((len(patches), *SHAPE), "uint8"), "photos/numbers": ((len(patches),), "int64")}
    ) as views:
        patches.fill(views["photos/patches"].numpy())
        views["photos/numbers"].numpy()[:] = np.arange(len(patches))
    print(f"{len(patches):,} patches, {views['photos/patches'].nbytes >> 20} MiB, are in the store; bye", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
