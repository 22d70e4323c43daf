"""The face finder: false faces in photos without any, and faces found that are pasted at any angle.

    python benchmarks/finder.py ../shared/data/photos/more ../shared/data/celeb2 --holdout identity:15

False faces: photos of everyday things, places and animals, chosen by looking at contact sheets of the whole folder: no
person, and no likeness of a face either, such as a statue, a painting, a doll, a mask or a monkey. FACE_FREE has them,
of the folder's `cam`, `cid`, `clic` and `cq` series, by number. (The two series of landscapes are left out as too
easy.) Those whose number 3 divides were used to choose thresholds, with --tuning; the first 200 of the others count.

Faces found: validation faces of CelebA, one in each face-free photo, of 80 to 320 pixels (the crop with hair and
chin; the photos have 640), turned by any angle, with a soft edge. A face is found where the finder's default
confidence is reached and no point is off by more than half the distance between the eyes; it is wrong where a face is
reported that is elsewhere, or the wrong way up. Scores for other thresholds than the default come from the same
searches, which stop at the angle at which the default is reached.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from common import add_source, described, fit, items
from rich.progress import track

from vaekit import faces, images

FACE_FREE = {
    "cam": """
        001 004 005 006 008 010 015 016 020 021 024 029 032 035 036 037 041 042 043 044 045 046 047 048 053 054 055
        056 057 064 065 066 067 070 071 072 073 074 075 078 080 081 082 083 084 085 086 087 090 093 097 101 102 103
        104 109 112 114 115 117 118 119 120 121 122 126 127 131 132 133 134 136 137 138 139 140 141 142 143 145 146
        148 152 153 155 156 157 158 160 161 163 164 167 170 171 172 173 175 176 179 180 185 186 187 189 191 192 193
        194 195 197 198 199 200 201 202 207 209 211 214 215 218 221 222 223 224
    """,
    "cid": """
        001 002 003 004 005 006 009 010 011 012 013 014 015 017 018 019 020 021 023 026 027 028 032 033 034 036 038
        041 042 043 044 046 047 048 050 051 052 053 055 056 057 060 062 063 065 066 068 070 071 072 073 074 075 076
        078 080 083 085 086 087 090 091 093 095 096 097 098 099 101 102 105 106 108 109 112 117 119 120 125 126 127
        129 132 133 135 136 139 140 143 144 145 146 148 149 150 152 153 172 179 182 186 189 191 194 198 200 201 202
        204 206 208 210 211 213 215 216 217 218 220 222 223 225 230 231 232 234 235 236 237 238 241 243 244 246 248
        249 250
    """,
    "clic": """
        002 006 010 017 022 028 029 033 037
    """,
    "cq": """
        001 002 006 007 008 010 011 012 013 014 017 019 020 021 022 024 026 027 028 029 030 031 032 034 035 036 037
        038 040 041 042 043 044 045 046 047 049 050 052 053 054 055 056 059 061 063 064 065 066 067 068 070 071 072
        073 074 075 076 078 080 081 082 083 085 087 088 090 092 094 095 096 097 099 100
    """,
}
"""The first letters of files' names, and their numbers."""
COUNT = 200
CROP = (80, 320)
"""Sides of the pasted crops, in pixels."""
THRESHOLDS = (0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.99)


def face_free(folder: Path, tuning: bool) -> list[Path]:
    """The files of FACE_FREE that count."""
    numbered = [(kind, number) for kind, text in FACE_FREE.items() for number in text.split()]
    return [folder / f"{kind}_{number}.webp" for kind, number in numbered if tuning == (int(number) % 3 == 0)][:COUNT]


def pasted(photo: np.ndarray, face: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A photo with an aligned face somewhere in it, at any angle, and where the five points should be."""
    height, width = photo.shape[:2]
    side = min(np.exp(rng.uniform(*np.log(CROP))), 0.95 * min(height, width))
    turn = side / len(face) * np.exp(1j * rng.uniform(0, 2 * np.pi))
    reach = 0.72 * side  # half a diagonal, and a little
    x, y = (rng.uniform(min(reach, length / 2), max(length - reach, length / 2)) for length in (width, height))
    matrix = np.array([[turn.real, -turn.imag, x], [turn.imag, turn.real, y]])
    matrix[:, 2] -= matrix[:, :2] @ np.full(2, (len(face) - 1) / 2)
    share = cv2.warpAffine(faces.oval(len(face)), matrix, (width, height))[..., None]
    there = cv2.warpAffine(face.astype(np.float32), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    points = cv2.transform((len(face) * faces.WIDE_TEMPLATE - 0.5)[None], matrix)[0]
    return np.rint(photo + share * (there - photo)).clip(0, 255).astype(np.uint8), points


def is_found(face: faces.Face, points: np.ndarray) -> bool:
    """Whether a face is the one with these points."""
    distance = np.hypot(*(points[1] - points[0]))
    return bool(np.hypot(*(face.points - points).T).max() <= 0.5 * distance)


def marked(photo: np.ndarray, found: list[faces.Face], least: float) -> np.ndarray:
    """A photo with boxes, points and scores drawn in, green from the default confidence on, else yellow."""
    photo = photo.copy()
    for face in found:
        colour = (0, 255, 0) if face.score >= least else (255, 220, 0)
        left, top, width, height = np.rint(face.box).astype(int).tolist()
        cv2.rectangle(photo, (left, top), (left + width, top + height), colour, 2)
        for (x, y), shade in zip(np.rint(face.points).astype(int).tolist(), POINTS, strict=True):
            cv2.circle(photo, (x, y), 3, shade, -1)
        place = max(left, 0), max(top - 4, 12)
        cv2.putText(photo, f"{face.score:.3f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 2)
    return photo


POINTS = ((255, 0, 0), (255, 120, 0), (255, 255, 255), (0, 80, 255), (0, 200, 255))
"""Colours of eyes, nose and corners of the mouth."""


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="the folder of photos")
    add_source(parser)
    parser.add_argument("--yunet", type=Path, help="measure YuNet too, from this file")
    parser.add_argument("--tuning", action="store_true", help="the photos that thresholds were chosen on")
    parser.add_argument("--first", type=int, help="only so many photos")
    parser.add_argument("--pictures", type=Path, help="write sheets of what was found into this folder")
    arguments = parser.parse_args()
    files = face_free(arguments.photos, arguments.tuning)[: arguments.first]
    photos = [images.read(file).pixels[..., :3] for file in files]
    people = [item["image"] for item in items(arguments)]
    chosen = np.random.default_rng(0).permutation(len(people))[: len(photos)]
    scenes = [
        pasted(photo, people[index], np.random.default_rng(number))
        for number, (photo, index) in enumerate(zip(photos, chosen, strict=False))
    ]
    print(f"{len(photos)} photos without faces; {described(arguments, len(scenes))} pasted into them at any angle")
    for name, model in {"MTCNN": None, "YuNet": arguments.yunet}.items():
        if name == "YuNet" and model is None:
            continue
        finder = faces.open_finder(model)
        false = [faces.find(photo, finder) for photo in track(photos, name, transient=True)]
        found = [faces.find(scene, finder) for scene, _ in track(scenes, name, transient=True)]
        tell(name, finder.least, false, [(seen, points) for seen, (_, points) in zip(found, scenes, strict=True)])
        for file, seen in zip(files, false, strict=True):
            if seen and seen[0].score >= THRESHOLDS[2]:
                print(f"  {file.name}: {seen[0].score:.3f}")
        if arguments.pictures:
            sheets = {"false": [p for p in zip(photos, false, strict=True) if p[1]], "found": []}
            sheets["found"] = [(scene, seen) for (scene, _), seen in zip(scenes, found, strict=True)]
            sheets["missed"] = [
                (scene, seen)
                for (scene, points), seen in zip(scenes, found, strict=True)
                if not any(face.score >= finder.least and is_found(face, points) for face in seen)
            ]
            for title, cells in sheets.items():
                write(arguments.pictures / f"{name}_{title}.png", cells[:60], finder.least)


def tell(name: str, least: float, false: list[list[faces.Face]], found: list) -> None:
    """Print the table of a finder."""
    print(f"{name}, default confidence {least:g}")
    print(f"{'score from':>10} {'photos with a false face':>25} {'faces found':>12} {'wrong':>7}")
    for threshold in sorted({*THRESHOLDS, least}):
        mistakes = np.mean([any(face.score >= threshold for face in seen) for seen in false])
        sure = [([face for face in seen if face.score >= threshold], points) for seen, points in found]
        hits = np.mean([any(is_found(face, points) for face in seen) for seen, points in sure])
        wrong = np.mean([any(not is_found(face, points) for face in seen) for seen, points in sure])
        mark = " *" if threshold == least else ""
        print(f"{threshold:10.2f} {mistakes:25.1%} {hits:12.1%} {wrong:7.1%}{mark}")


def write(path: Path, cells: list[tuple[np.ndarray, list[faces.Face]]], least: float) -> None:
    """Write a sheet of six columns."""
    if not cells:
        return
    small = [fit(marked(photo, seen, least), 320) for photo, seen in cells]
    small += [np.zeros_like(small[0])] * (-len(small) % 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [np.concatenate(small[first : first + 6], axis=1) for first in range(0, len(small), 6)]
    images.write(path, np.concatenate(rows), overwrite=True)


if __name__ == "__main__":
    main()
