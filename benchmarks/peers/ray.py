"""Ray: objects in its shared-memory store, found by references; producer and consumer are two drivers."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray import cloudpickle

from peers.peer import Floats, Handle, Referenced


class Ray(Referenced):
    title = "Ray"
    settings = (
        "a local cluster without workers or dashboard, its object store 2 GiB; no names: each reader is sent a "
        "reference once, through a multiprocessing.Pipe, and attaching is ray.get of it"
    )

    @staticmethod
    def version() -> str:
        return str(ray.__version__)

    @classmethod
    def serve(cls, place: Path, prefix: str) -> Callable[[], None]:
        context = ray.init(
            num_cpus=0,
            include_dashboard=False,
            object_store_memory=2 << 30,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(place / "ray"),
            log_to_driver=False,
            logging_level="error",
        )
        (place / "address").write_text(context.address_info["address"])

        def stop() -> None:
            ray.shutdown()

        return stop

    def connect(self) -> None:
        address = (self.place / "address").read_text()
        ray.init(address=address, namespace="peers", log_to_driver=False, logging_level="error")
        self.made: dict[str, ray.ObjectRef] = {}

    def close(self) -> None:
        ray.shutdown()

    def put(self, name: str, array: Floats) -> None:
        self.made[name] = ray.put(array)

    def delete(self, name: str) -> None:
        del self.made[name]

    def offer(self, name: str, array: Floats, times: int) -> None:
        self.pipe.send_bytes(cloudpickle.dumps((name, self.made[name])))

    def learn(self) -> str:
        name: str
        name, reference = cloudpickle.loads(self.pipe.recv_bytes())
        self.known[name] = reference
        return name

    def attach(self, name: str, length: int) -> tuple[Floats, Handle]:
        return ray.get(self.reference(name)), None

    def take(self, name: str, length: int, soon: bool) -> tuple[Floats, Handle]:
        given = self.learn()
        return ray.get(self.known.pop(given)), None
