"""Faces turned to the front: drawn ones against the truth, photographed ones against the person's own frontal photos.

    python benchmarks/frontalize.py ../shared/data/cfp --holdout identity:10 --vaegan runs/vaegan-faces \\
      --drawn runs/frontalize-drawn --picture sheet.png --card

The bundle has seen photos alone, and of them nobody knows the true front. So that turning a face is right is measured
on a run of the same model that has seen drawn faces alone, with an embedder taught what drawn people are drawn from:

    vaekit train embed --data rendered:200000 --set data.labels=traits --set 'train.image_size=[32, 32]' \\
      --set model.side=32 --set model.dim=21 --set 'model.widths=[24, 48, 96]' --set model.dropout=0 \\
      --set train.precision=float32 --set train.steps_per_epoch=300 --set train.epochs=6 --out runs/embed-drawn
    vaekit train frontalize --data rendered:200000 --set 'train.start=["runs/embed-drawn"]' --set model.mixed=false \\
      --set 'model.image_shape=[64, 64, 3]' --set 'train.image_size=[64, 64]' --set model.side=32 \\
      --set model.identity_dim=21 --set 'model.embedder_widths=[24, 48, 96]' --set model.style_dim=256 \\
      --set 'model.encoder_widths=[24, 48, 96]' --set 'model.decoder_widths=[112, 64, 32]' \\
      --set model.squared=true --set model.pixel=600 --set model.kl=2e-4 --set model.adversarial=0 \\
      --set model.identity=0.1 --set model.feature=0.1 --set train.average=0.99 --set train.steps_per_epoch=500 \\
      --set train.epochs=24 --set 'optimizers={}' --set optimizers.generator.learning_rate=1.5e-3 \\
      --set optimizers.generator.final_learning_rate=2e-5 --set optimizers.generator.beta_1=0.9 \\
      --set optimizers.generator.clip_norm=100 --set optimizers.pose_mapper.learning_rate=1e-3 \\
      --set optimizers.pose_mapper.final_learning_rate=1e-5 --set optimizers.pose_mapper.beta_1=0.9 \\
      --set optimizers.identity_adapter.learning_rate=5e-3 --set optimizers.identity_adapter.final_learning_rate=5e-5 \\
      --out runs/frontalize-drawn

Who a face is, is told by verifier.onnx, and where its eyes and nose are by MTCNN; neither is a part of the bundle. The
Frechet distances are of the features of features.onnx, to the frontal photos of validation; the VAE-GAN redraws those
photos themselves, and has seen no photo of validation either:

    vaekit train vaegan --data ../shared/data/cfp --set data.holdout.column=identity --set data.holdout.every=10 \\
      --set model.base=16 --set 'model.image_shape=[64, 64, 3]' --set 'train.image_size=[64, 64]' \\
      --set train.precision=mixed_bfloat16 --set train.average=0.99 --set train.steps_per_epoch=100 \\
      --set train.epochs=40 --set optimizers.encoder.learning_rate=6e-4 --set optimizers.decoder.learning_rate=6e-4 \\
      --set optimizers.discriminator.learning_rate=6e-4 --out runs/vaegan-faces
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from common import add_source, write_card
from features import Features
from keras import ops
from verifier import Verifier, poses, verification

from vaekit import faces, images
from vaekit.apps import task
from vaekit.apps.frontalize.editor import Editor
from vaekit.data.rendered import Look, RenderedFaces, render
from vaekit.game import AdversarialModel
from vaekit.metrics import frechet_distance, psnr
from vaekit.training import restore

DRAWN = 200
"""Drawn faces, each of another person."""


def drawn(run: Path) -> dict[str, float]:
    """PSNR in dB of drawn faces turned by 15 to 50 degrees, and of what a run makes of them, to the true front."""
    model = _model(run)
    side = model.image_shape[0]
    people = RenderedFaces(10 * DRAWN, side, seed=1)  # training draws others, with seed 0
    rng = np.random.default_rng(0)
    pairs = []
    for person in range(DRAWN):
        look = Look.draw(rng)
        yaw = float(rng.choice((-1, 1)) * rng.uniform(15, 50))
        looks = (replace(look, yaw=angle) for angle in (yaw, 0.0))
        pairs.append([_unit(render(people.identity(person), shown, side)) for shown in looks])
    turned, fronts = (np.stack(column) for column in zip(*pairs, strict=True))
    with model.averages():
        made = np.concatenate([ops.convert_to_numpy(model.frontalize(turned[i : i + 50])) for i in range(0, DRAWN, 50)])
    before, after = (np.mean([psnr(*both) for both in zip(shown, fronts, strict=True)]) for shown in (turned, made))
    return {"before": float(before), "after": float(after)}


def asymmetry(pictures, finder) -> np.ndarray:
    """|d(left eye, nose) - d(right eye, nose)| by their sum, of each face that is found; NaN of others."""
    found = []
    for picture in pictures:
        large = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_CUBIC)
        framed = cv2.copyMakeBorder(large, 64, 64, 64, 64, cv2.BORDER_REPLICATE)
        seen = faces.find(np.rint(255 * framed.clip(0, 1)).astype(np.uint8), finder)
        if not seen:
            found.append(np.nan)
            continue
        left, right, nose = seen[0].points[:3].astype(float)
        a, b = np.hypot(*(left - nose)), np.hypot(*(right - nose))
        found.append(abs(a - b) / (a + b))
    return np.array(found)


def vaegan_redraws(run: Path, pictures, side: int) -> np.ndarray:
    """What a VAE-GAN of `vaekit train` redraws of pictures, [N, side, side, 3]."""
    model = _model(run)
    height, width = model.image_shape[:2]
    small = np.stack([cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures])
    with model.averages():
        redrawn = [ops.convert_to_numpy(model.reconstruct(small[i : i + 64])) for i in range(0, len(small), 64)]
    return np.stack([cv2.resize(p, (side, side)) for p in np.concatenate(redrawn)])


def _model(run: Path) -> AdversarialModel:
    model, *_ = restore(run, task)
    return model


def _unit(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255.0


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)


def sheet(rows: list[list[np.ndarray]], columns: int = 3) -> np.ndarray:
    """Rows of pictures side by side, several rows in one line."""
    lines = [np.concatenate(row, axis=1) for row in rows]
    blank = np.ones_like(lines[0])
    lines += [blank] * (-len(lines) % columns)
    return _bytes(
        np.concatenate([np.concatenate(lines[i : i + columns], axis=1) for i in range(0, len(lines), columns)])
    )


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    editor, verifier, features = Editor(arguments.bundle), Verifier(), Features()
    figures = {}
    if arguments.drawn:
        found = drawn(arguments.drawn)
        figures["drawn faces, PSNR to the true front"] = (
            f"{found['after']:.2f} dB, {found['after'] - found['before']:+.2f} against the turned face, of a run on "
            f"drawn faces ({DRAWN} people)"
        )
    pictures, people, pose = poses(arguments.folder, arguments.holdout)
    side, front = np.flatnonzero(pose == 1), np.flatnonzero(pose == 0)
    turned = [_unit(editor(_bytes(pictures[i]))) for i in side]
    who = verifier(pictures)
    gallery = who[front], people[front]
    auc = verification(verifier(turned), people[side], *gallery)
    raw = verification(who[side], people[side], *gallery)
    title = f"{len(side)} profiles of {len(set(people[side]))} people against {len(front)} frontal photos"
    figures["verification AUC"] = f"{auc:.3f}, of the profiles themselves {raw:.3f} ({title})"
    finder = faces.open_finder()
    after, before = asymmetry(turned, finder), asymmetry([pictures[i] for i in side], finder)
    both = np.isfinite(after) & np.isfinite(before)
    figures["left-right asymmetry"] = (
        f"{after[both].mean() / before[both].mean():.2f} x the profile's ({both.sum()} faces found in both)"
    )
    rng = np.random.default_rng(0)
    pairs = [(a, b) for a, b in rng.integers(0, len(pictures), (600, 2)) if people[a] != people[b]][:400]
    moved = verifier([_unit(editor.transfer(_bytes(pictures[a]), _bytes(pictures[b]))) for a, b in pairs])
    first, second = ((moved * who[list(rows)]).sum(axis=1) for rows in zip(*pairs, strict=True))
    figures["transfer, identity cosine"] = (
        f"{first.mean():.3f} to the identity photo, {second.mean():.3f} to the attributes', "
        f"{(first - second).mean():+.3f} ({len(pairs)} pairs)"
    )
    real = features([pictures[i] for i in front])
    ours = frechet_distance(features(turned), real)
    line = f"{ours:.3f}"
    if arguments.vaegan:
        # As many redrawn photos as profiles: the distance is biased by their number.
        few = rng.permutation(front)[: len(side)]
        theirs = frechet_distance(features(vaegan_redraws(arguments.vaegan, [pictures[i] for i in few], 128)), real)
        line += f", {ours / theirs:.2f} x the VAE-GAN's {theirs:.3f}"
    figures["Frechet distance to frontal photos"] = f"{line} ({len(side)} faces)"
    for name, value in figures.items():
        print(f"{name:38} {value}")
    if arguments.card:
        write_card(arguments.bundle, f"{Path(arguments.folder).name}, validation {arguments.holdout}", figures)
    if arguments.picture:
        rows = []
        for index, drawn_face in list(zip(side, turned, strict=True))[: arguments.rows]:
            own = front[people[front] == people[index]]
            rows.append([pictures[index], drawn_face, pictures[own[0]] if len(own) else np.ones_like(drawn_face)])
        images.write(arguments.picture, sheet(rows), overwrite=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_source(parser)
    parser.add_argument("--bundle", default="frontalize")
    parser.add_argument("--vaegan", type=Path, help="a run of `vaekit train vaegan` on faces")
    parser.add_argument("--drawn", type=Path, help="a run of `vaekit train frontalize` on drawn faces")
    parser.add_argument("--picture", type=Path, help="profile, turned, and a frontal photo of the same person")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--card", action="store_true", help="write the figures into the bundle's card")
    main(parser.parse_args())
