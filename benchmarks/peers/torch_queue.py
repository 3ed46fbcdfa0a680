"""torch.multiprocessing: tensors that travel through a pipe as descriptors or as file names."""

from typing import Any, ClassVar

import torch
import torch.multiprocessing

from peers.peer import Floats, Handle, Peer


class FileDescriptor(Peer):
    title = "torch, file_descriptor"
    settings = (
        "tensors in shared memory, sent through a multiprocessing.Pipe: a Queue adds a thread to that; "
        "no names: each attach receives what was sent for it"
    )
    strategy: ClassVar[str] = "file_descriptor"

    @staticmethod
    def version() -> str:
        return str(torch.__version__)

    @staticmethod
    def queue_limit(length: int) -> int:
        return 16  # so that no pipe is full

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        torch.multiprocessing.set_sharing_strategy(self.strategy)  # type: ignore[no-untyped-call]
        torch.set_num_threads(1)

    def connect(self) -> None:
        self.made: dict[str, torch.Tensor] = {}

    def put(self, name: str, array: Floats) -> None:
        self.made[name] = torch.from_numpy(array).share_memory_()  # type: ignore[no-untyped-call]

    def delete(self, name: str) -> None:
        del self.made[name]

    def offer(self, name: str, array: Floats, times: int) -> None:
        tensor = self.made[name]
        for _ in range(times):
            self.pipe.send(tensor)

    def give(self, name: str, array: Floats, soon: bool) -> None:
        self.put(name, array)
        self.pipe.send(self.made[name])

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return self.pipe.recv().numpy(), None

    def attach_torch(self, name: str, length: int) -> tuple[Any, Handle]:
        return self.pipe.recv(), None

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        return self.pipe.recv().numpy(), None


class FileSystem(FileDescriptor):
    title = "torch, file_system"
    settings = "the same with the file_system strategy, which needs no descriptor for each tensor"
    strategy = "file_system"
