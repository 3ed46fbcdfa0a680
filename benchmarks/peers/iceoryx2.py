"""iceoryx2: samples that are loaned, filled and sent to whoever subscribed."""

import ctypes
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import iceoryx2
import numpy as np

from peers.peer import PATIENCE_S, Floats, Handle, Peer

Key = tuple[str, int]  # purpose, length: each has a service of its own


@cache
def array_type(length: int) -> Any:
    return ctypes.c_float * length


class Iceoryx2(Peer):
    title = "iceoryx2"
    settings = (
        "one service for each question and size, made beforehand; slices of float, published with safe overflow to "
        "one reader, up to 64 ahead; a sleeping reader is woken by an event service, one that expects a sample "
        "at once polls; it has no names: each attach receives what was sent for it"
    )

    @staticmethod
    def version() -> str:
        return metadata.version("iceoryx2")

    @staticmethod
    def configuration(place: Path, prefix: str) -> Any:
        configuration = iceoryx2.config.default()
        configuration.global_cfg.root_path = iceoryx2.Path.new(str(place / "iceoryx2"))
        configuration.global_cfg.prefix = iceoryx2.FileName.new(prefix)
        return configuration

    @staticmethod
    def queue_limit(length: int) -> int:
        return 64 if length <= 1024 else 32 if length <= 1 << 18 else 8

    def connect(self) -> None:
        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        self.node = (
            iceoryx2.NodeBuilder.new()
            .config(self.configuration(self.place, self.prefix))
            .signal_handling_mode(iceoryx2.SignalHandlingMode.Disabled)
            .create(iceoryx2.ServiceType.Ipc)
        )
        self.services: dict[Key, Any] = {}
        self.publishers: dict[Key, Any] = {}
        self.subscribers: dict[Key, Any] = {}
        self.event: Any = None
        self.notifier: Any = None
        self.listener: Any = None

    def close(self) -> None:
        for port in [*self.publishers.values(), *self.subscribers.values(), self.notifier, self.listener]:
            if port is not None:
                port.delete()
        del self.publishers, self.subscribers, self.notifier, self.listener, self.event, self.services, self.node

    def key(self, name: str, length: int) -> Key:
        return name.partition("/")[0], length

    def service(self, key: Key) -> Any:
        if key not in self.services:
            purpose, length = key
            ahead, borrowed = {"hold": (10_000, 10_000), "attach": (self.queue_limit(length), 2)}.get(purpose, (2, 2))
            self.services[key] = (
                self.node.service_builder(iceoryx2.ServiceName.new(f"{purpose}/{length}"))
                .publish_subscribe(iceoryx2.Slice[ctypes.c_float])
                .max_publishers(1)
                .max_subscribers(1)
                .history_size(0)
                .subscriber_max_buffer_size(ahead)
                .subscriber_max_borrowed_samples(borrowed)
                .enable_safe_overflow(True)
                .open_or_create()
            )
        return self.services[key]

    def publisher(self, key: Key) -> Any:
        publisher = self.publishers.get(key)
        if publisher is None:
            builder = self.service(key).publisher_builder().initial_max_slice_len(key[1])
            publisher = self.publishers[key] = builder.create()
        return publisher

    def subscriber(self, key: Key) -> Any:
        subscriber = self.subscribers.get(key)
        if subscriber is None:
            subscriber = self.subscribers[key] = self.service(key).subscriber_builder().create()
        return subscriber

    def event_service(self) -> Any:
        if self.event is None:
            self.event = self.node.service_builder(iceoryx2.ServiceName.new("given")).event().open_or_create()
        return self.event

    # ---- the producer ----

    def send(self, key: Key, array: Floats) -> None:
        sample = self.publisher(key).loan_slice_uninit(array.size)
        place = np.frombuffer(array_type(array.size).from_address(sample.payload_ptr), np.float32)
        np.copyto(place, array)
        sample.assume_init().send()

    def put(self, name: str, array: Floats) -> None:
        self.send(self.key(name, array.size), array)

    def delete(self, name: str) -> None:
        pass  # the oldest sample makes room for the next one

    def offer(self, name: str, array: Floats, times: int) -> None:
        key = self.key(name, array.size)
        self.publisher(key)
        end = time.monotonic() + PATIENCE_S
        while self.service(key).dynamic_config.number_of_subscribers == 0:
            if time.monotonic() > end:
                raise TimeoutError(f"nobody subscribed to {key}")
            time.sleep(0)
        for _ in range(times):
            self.send(key, array)

    def give(self, name: str, array: Floats, soon: bool) -> None:
        if self.notifier is None:
            self.notifier = self.event_service().notifier_builder().create()
        self.send(self.key(name, array.size), array)
        if not soon:
            self.notifier.notify()

    # ---- the consumer ----

    def prepare(self, name: str, length: int) -> None:
        if self.listener is None and name.startswith("handoff/"):
            self.listener = self.event_service().listener_builder().create()
        self.subscriber(self.key(name, length))

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        receive = self.subscriber(self.key(name, length)).receive
        sample = receive()
        while sample is None:
            sample = receive()
        return np.frombuffer(array_type(length).from_address(sample.payload_ptr), np.float32), sample

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        subscriber = self.subscriber(self.key(name, length))
        if not soon:
            while not subscriber.has_samples():
                self.listener.blocking_wait()
        return self.attach(name, length)


class Payload(Iceoryx2):
    title = "iceoryx2, payload()"
    settings = (
        "the same, but the reader asks each sample for its payload, as the documentation does, not for its address"
    )
    questions = frozenset({"attach"})

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        receive = self.subscriber(self.key(name, length)).receive
        sample = receive()
        while sample is None:
            sample = receive()
        # The length of the slice is not to be trusted: this version counts bytes as elements.
        return np.frombuffer(sample.payload().as_memory_view(), np.float32, length), sample
