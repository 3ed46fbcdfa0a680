"""Producer: a NumPy process that knows nothing of torch. It loads scikit-learn's digits (1,797 real
8x8 images that the package ships), normalises them, and puts them into the store.

    producer.py REPORT
"""

import sys
import time
from typing import Any

import numpy as np
from evidence import Report
from sklearn.datasets import load_digits

import tensord

TEST_SHARE = 0.2


def prepare() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images (float32, Nx1x8x8) and labels (int64), shuffled; the last fifth is held out."""
    digits = load_digits()
    order = np.random.default_rng(8).permutation(len(digits.target))
    train_count = round(len(order) * (1 - TEST_SHARE))
    images = digits.images[order].astype(np.float32)[:, np.newaxis]
    # Only training images may decide the scale: the held-out ones are not to leak into it.
    images -= images[:train_count].mean()
    images /= images[:train_count].std()
    labels = digits.target[order].astype(np.int64)
    split = np.array([train_count, len(order) - train_count], dtype=np.int64)
    return images, labels, split


def main(report_path: str) -> None:
    images, labels, split = prepare()
    store = tensord.connect()
    start = time.perf_counter()
    view = store.put("digits/images", images)
    put_us = (time.perf_counter() - start) * 1e6
    store.put("digits/labels", labels)
    store.put("digits/split", split)
    print(f"put {images.shape} {images.dtype} images and {len(labels)} labels; {split[1]} are held out", flush=True)

    report = Report(put_us=put_us, size_bytes=images.nbytes + labels.nbytes + split.nbytes)
    report["sum_of_image_bits"] = int(images.view(np.int32).sum(dtype=np.int64))
    report.add_location("images", view, view.numpy().__array_interface__["data"][0])
    stats = store.stats()
    report["copied_in_bytes"], report["copied_out_bytes"] = stats.bytes_copied_in, stats.bytes_copied_out
    assert "torch" not in sys.modules
    report.write(report_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
