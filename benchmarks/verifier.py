"""Who a face is, for benchmarks: a network that no bundle was trained with, taught a face recogniser's embeddings.

It is another network than the one in the bundles, on the same data (people kept for validation left out):

    vaekit train embed --set root=../shared/data --set train.seed=7 --set train.epochs=30 --set model.contrastive=0 \\
      --set "model.widths=[24, 48, 96, 160, 160]" --out runs/verifier
    python benchmarks/verifier.py runs/verifier ../shared/data/cfp --holdout identity:10

The second command writes verifier.onnx and prints how well it tells the people of validation apart.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from common import add_source

from vaekit.data import Holdout, open_source
from vaekit.metrics import roc_auc

PATH = Path(__file__).with_name("verifier.onnx")
SIDE = 64
"""Side of the faces (template N) that it looks at, in pixels."""


class Verifier:
    """The loaded verifier: verifier(images) -> embeddings [N, 128] of unit length."""

    def __init__(self):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(PATH, providers=["CPUExecutionProvider"])

    def __call__(self, images) -> np.ndarray:
        """Of [h, w, 3] float pictures in 0..1."""
        rows = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images])
        parts = [self.session.run(None, {"image": rows[i : i + 64]})[0] for i in range(0, len(rows), 64)]
        return np.concatenate(parts)


def poses(folder: str, holdout: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Faces of validation, [H, W, 3] float32 in 0..1; who they are; 0 where frontal and 1 where in profile."""
    column, _, every = holdout.partition(":")
    kept = {"split": "validation", "holdout": Holdout(column, int(every))}
    people, turned = (open_source(folder, labels=labels, **kept) for labels in ("identity", "pose"))
    images = [people[i]["image"].astype(np.float32) / 255.0 for i in range(len(people))]
    labels = (np.array(source.source.labels)[source.indices] for source in (people, turned))
    return images, *labels


def verification(queries, people, gallery, gallery_people) -> float:
    """Area under the ROC curve of cosines between all queries and all of a gallery, of one person or of two."""
    cosines = queries @ gallery.T
    same = people[:, None] == gallery_people[None]
    return roc_auc(cosines[same], cosines[~same])


def save(run: Path) -> None:
    """Write verifier.onnx of a run's averaged embedder, weights in float16."""
    import tensorflow as tf
    import tf2onnx

    from vaekit.apps import task
    from vaekit.training import restore
    from vaekit.weights import halve_weights

    model, *_ = restore(run, task)
    spec = [tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, "image")]
    with model.averages():
        function = tf.function(
            lambda image: {"embedding": model.embedder(image, training=False)["embedding"]}, spec, autograph=False
        )
        proto, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=18)
    PATH.write_bytes(halve_weights(proto).SerializeToString())
    print(f"{PATH.name}: {PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    add_source(parser)
    arguments = parser.parse_args()
    save(arguments.run)
    images, people, pose = poses(arguments.folder, arguments.holdout)
    found = Verifier()(images)
    front, side = found[pose == 0], found[pose == 1]
    print(f"{len(set(people))} people, {len(front)} frontal faces and {len(side)} in profile")
    print(f"AUC frontal to profile {verification(side, people[pose == 1], front, people[pose == 0]):.3f}")
