"""Which peers there are, and what each needs."""

import importlib
from dataclasses import dataclass

from peers.peer import Peer


@dataclass(frozen=True)
class Entry:
    place: str  # "module:Class" in this package
    # Of the folder with its dependencies (environments.py); None: it needs nothing that our own tests do not.
    environment: str | None = None
    role: str = "peer"


# In the order of the report; the first is what ratios are made with.
ENTRIES = {
    "tensord": Entry("ours:Tensord", role="ours"),
    "tensord-live": Entry("ours:LiveTensord", role="ours"),
    "floor": Entry("floor:Floor", role="floor"),
    "shared-memory": Entry("shared_memory:Tracked"),
    "shared-memory-untracked": Entry("shared_memory:Untracked"),
    "shared-array": Entry("shared_array:SharedArrays", "shared_array"),
    "torch-descriptor": Entry("torch_queue:FileDescriptor"),
    "torch-file": Entry("torch_queue:FileSystem"),
    "ray": Entry("ray:Ray", "ray"),
    "plasma": Entry("plasma:Plasma", "plasma"),
    "vineyard": Entry("vineyard:Arrays", "vineyard"),
    "vineyard-blobs": Entry("vineyard:Blobs", "vineyard"),
    "iceoryx2": Entry("iceoryx2:Iceoryx2", "iceoryx2"),
    "iceoryx2-payload": Entry("iceoryx2:Payload", "iceoryx2"),
    "ultra-dict": Entry("ultra_dict:UltraDictionary", "ultra_dict"),
}


def peer_class(key: str) -> type[Peer]:
    """Imports what the peer imports: call it only in the peer's environment."""
    module, _, name = ENTRIES[key].place.partition(":")
    found: type[Peer] = getattr(importlib.import_module("peers." + module), name)
    return found
