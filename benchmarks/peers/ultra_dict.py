"""UltraDict2: a dictionary whose changes travel through shared memory; every reader has a copy of its own."""

from importlib import metadata

from UltraDict2 import UltraDict

from peers.peer import Floats, Handle, Peer


class UltraDictionary(Peer):
    title = "UltraDict2"
    settings = (
        "a stream of 512 MiB, so that arrays of 64 MiB need no full dump; one dictionary for each question; every "
        "attach is the first read of a new value: later ones only look into the reader's private copy"
    )

    # The first read brings all that was put before it.
    untimed_attaches = 0

    @staticmethod
    def version() -> str:
        return metadata.version("UltraDict2")

    @staticmethod
    def queue_limit(length: int) -> int:
        return 16 if length < 1 << 20 else 4

    def connect(self) -> None:
        self.dictionaries: dict[str, UltraDict] = {}
        self.creates = False

    def close(self) -> None:
        for dictionary in self.dictionaries.values():
            dictionary.close(unlink=self.creates)

    def dictionary(self, name: str) -> UltraDict:
        purpose = name.partition("/")[0]
        found = self.dictionaries.get(purpose)
        if found is None:
            found = self.dictionaries[purpose] = UltraDict(
                name=self.prefix + purpose, create=self.creates, buffer_size=512 << 20
            )
        return found

    def put(self, name: str, array: Floats) -> None:
        self.creates = True
        self.dictionary(name)[name] = array

    def delete(self, name: str) -> None:
        del self.dictionary(name)[name]

    def offer(self, name: str, array: Floats, times: int) -> None:
        for _ in range(times):
            self.put(name, array)

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return self.dictionary(name)[name], None
