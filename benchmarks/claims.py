"""What the notes and the papers claim of the models, tried on real data at a size for two cores.

    python benchmarks/claims.py --data ../shared/data wgan
    python benchmarks/claims.py --data ../shared/data --all

Prints, for each claim, what is claimed, what came out, on how many images, and the seconds it took.
"""

import argparse
import importlib
import time
from pathlib import Path

from claimed.common import Trial

NAMES = (
    "wgan", "wgan_gp", "ebgan", "infogan", "acgan", "vaegan", "three_class_vaegan", "cvaegan", "repair", "aegan",
    "gaia", "siamese", "semi_supervised_gan", "optimum", "latents", "segmentation", "video", "pix2pixhd", "text",
    "captions", "small_objects",
)  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--data", type=Path, required=True, help="the folder of mnist.npz, celeb, celeba64, cfp")
    parser.add_argument("--share", type=float, default=1.0, help="of the training steps: below 1 to try it out")
    parser.add_argument("--features", choices=("own", "inception"), default="own", help="of Frechet distances")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of what came out")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown or not (arguments.names or arguments.all):
        parser.error(f"no claim {', '.join(sorted(unknown))}" if unknown else "name a claim, or --all")
    trial = Trial(arguments.data, arguments.share, arguments.features == "inception", arguments.pictures)
    for name in NAMES if arguments.all else arguments.names:
        claim = importlib.import_module(f"claimed.{name}")
        print(f"== {name}: {claim.__doc__.splitlines()[0]}", flush=True)
        started = time.monotonic()
        claim.main(trial)
        print(f"{time.monotonic() - started:.0f} s", flush=True)
