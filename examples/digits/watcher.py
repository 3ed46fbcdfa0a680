"""Watcher: attaches to the weights of a training job while it trains, and tests them.

    watcher.py REPORT NOTE

The parameters of its network are views of the job's own weights in shared memory. The job sends no
message: the live tensor digits/model/epoch says how far it has come. NOTE is a number to leave in
digits/notes for the trainer.
"""

import sys
import time
from collections.abc import Callable

import torch
from evidence import Report
from torch import nn

import tensord

POLL_S = 0.001
PATIENCE_S = 120


class DigitsNet(nn.Module):
    """The network of trainer.cpp, by the names of its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        logits: torch.Tensor = self.fc(x.flatten(1))
        return logits


def make_network() -> DigitsNet:
    """A network that has no weights of its own."""
    with torch.device("meta"):
        return DigitsNet().requires_grad_(False)


def wait_until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {PATIENCE_S} s")
        time.sleep(POLL_S)


def main(report_path: str, note: str) -> None:
    torch.set_num_threads(1)  # the trainer needs the other core
    store = tensord.connect()
    print("waiting for a model to appear", flush=True)
    wait_until(lambda: "digits/model/epoch" in store, "a model")

    start = time.perf_counter()
    images_view = store.attach("digits/images")
    attach_us = (time.perf_counter() - start) * 1e6
    images, labels = images_view.torch(), store.attach("digits/labels").torch()
    train_count = int(store.attach("digits/split").numpy()[0])
    test_images, test_labels = images[train_count:], labels[train_count:]

    # "r+" because torch has no read-only tensors; the watcher writes nothing but its note.
    network = make_network()
    views = {name: store.attach(f"digits/model/{name}", mode="r+") for name in network.state_dict()}
    network.load_state_dict({name: view.torch() for name, view in views.items()}, assign=True)
    epoch_view = store.attach("digits/model/epoch")
    epoch = epoch_view.numpy()
    last_epoch = int(store.attach("digits/model/last_epoch").numpy()[0])
    notes = store.attach("digits/notes", mode="r+").numpy()
    notes[1] = int(note)

    report = Report(attach_first_us=attach_us, note_read=int(notes[0]))
    accuracies = {}
    seen = 0
    while seen < last_epoch:
        wait_until(lambda: int(epoch) != seen, f"the epoch after {seen}")
        seen = int(epoch)
        with torch.inference_mode():
            accuracy = (network(test_images).argmax(1) == test_labels).float().mean().item()
        accuracies[seen] = accuracy
        print(f"epoch {seen:2}  test accuracy {accuracy:.2%}", flush=True)

    weight = network.fc.weight
    report["test_accuracy"] = accuracies[last_epoch]
    report["test_images"] = len(test_labels)
    report["epochs_seen"] = len(accuracies)
    report["last_epoch"] = last_epoch
    report["sum_of_image_bits"] = int(images.view(torch.int32).sum())
    report["sum_of_weight_bits"] = int(weight.view(torch.int32).sum())
    report.add_location("images", images_view, images.data_ptr())
    report.add_location("weight", views["fc.weight"], weight.data_ptr())
    stats = store.stats()
    report["copied_in_bytes"], report["copied_out_bytes"] = stats.bytes_copied_in, stats.bytes_copied_out
    report.write(report_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
