"""VAE/GAN's training step beside pythae's (Chadebec et al. 2022): the same layers, batch and optimizer in one run.

    pip install pythae                        # and PyTorch with it
    python benchmarks/beside_pythae.py

pythae's VAEGAN takes the step of pythae's own trainer; the networks, which a user of it writes, are vaekit's, layer
for layer. Rounds alternate, medians are printed, and the ratio is the median of the ratios within a round.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from rates import BATCH, SHAPE, batch, make, stepper


def main(rounds: int) -> None:
    """Print the table."""
    play = stepper(make("vaegan"), batch("vaegan"))
    command = [sys.executable, str(Path(__file__).with_name("pythae_vaegan.py"))]
    times: dict[str, list[float]] = {"vaekit": [], "pythae": []}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as pythae:
        assert pythae.stdin and pythae.stdout
        version = pythae.stdout.readline().strip()
        for _ in range(rounds):
            times["vaekit"].append(play())
            pythae.stdin.write("step\n")
            times["pythae"].append(float(pythae.stdout.readline()))
        pythae.stdin.close()
    print(f"VAE/GAN, {SHAPE} float32, batch {BATCH}, {rounds} rounds; PyTorch {version}")
    for name, seconds in times.items():
        print(f"{name:10} {BATCH / statistics.median(seconds):6.0f} images/s")
    ours, theirs = times.values()
    print(f"faster: {statistics.median(b / a for a, b in zip(ours, theirs, strict=True)):.2f} x")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    main(parser.parse_args().rounds)
