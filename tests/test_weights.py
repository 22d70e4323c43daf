"""Weights made small for bundles: what is left of them, in the SavedModel and in ONNX."""

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
import tf2onnx
from keras import layers

from vaekit.weights import ByteWeights, HalfWeights, scales, to_bytes


def test_bytes_by_hand():
    weight = np.array([[1.27, 0.0, -5.08], [-0.636, 0.0, 0.0]], np.float32)
    scale = scales(weight)
    np.testing.assert_allclose(scale, [[0.01, 1 / 127, 0.04]], rtol=1e-6)
    # -63.6 steps are nearest to -64; a channel of zeros stays one.
    assert to_bytes(weight, scale).tolist() == [[127, 0, -127], [-64, 0, 0]]
    # A vector has one scale for all.
    np.testing.assert_allclose(scales(np.array([0.1, -2.54])), [0.02], rtol=1e-6)


@pytest.fixture(scope="module")
def network():
    """Every kind of layer with many weights, whose channels differ in size a hundredfold, and a long bias."""
    keras.utils.set_random_seed(0)
    vector = layers.Input((40,))
    x = layers.Reshape((4, 4, 130))(layers.Dense(4 * 4 * 130)(vector))
    x = layers.Conv2D(48, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2DTranspose(24, 4, strides=2, padding="same")(x)
    model = keras.Model(vector, layers.Conv2D(3, 1)(x))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        size = 10 ** rng.uniform(-2, 0, variable.shape[-1:])
        variable.assign(0.1 + rng.uniform(size=variable.shape) * size)
    return model


def stored(network, kind, folder):
    """The bare function with the weights swapped in, after it was saved and packed."""
    weights = kind([network])
    spec = [tf.TensorSpec((None, 40), tf.float32, "vector")]

    @tf.function(input_signature=spec)
    def call(vector):
        with weights.swapped_in():
            return {"image": network(vector, training=False)}

    tf.saved_model.save(weights.module, str(folder), signatures=call)
    proto, _ = tf2onnx.convert.from_function(call, input_signature=spec, opset=18)
    return weights, call, weights.pack(proto).SerializeToString()


def halved(networks):
    """What ByteWeights makes of networks that are to be kept more exactly."""
    return ByteWeights([], halved=networks)


@pytest.mark.parametrize(("kind", "size", "error"), [(HalfWeights, 2, 1e-3), (ByteWeights, 1, 1e-2), (halved, 2, 1e-3)])
def test_what_is_stored_is_small_and_the_same_in_both_files(network, tmp_path, kind, size, error):
    _, call, onnx = stored(network, kind, tmp_path)
    vector = np.random.default_rng(1).normal(size=(2, 40)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (here,), there = session.run(None, {"vector": vector}), call(vector)["image"].numpy()
    largest = np.abs(there).max()
    np.testing.assert_allclose(here, there, atol=2e-6 * largest)
    np.testing.assert_allclose(there, network.predict(vector, verbose=0), atol=error * largest)
    data = tmp_path / "variables" / "variables.data-00000-of-00001"
    numbers = sum(v.numpy().size for v in network.variables)
    for length in (len(onnx), data.stat().st_size):
        assert size * numbers < length < size * numbers + 15_000


@pytest.mark.parametrize(("kind", "error"), [(HalfWeights, 1e-3), (ByteWeights, 0.5 / 127 + 1e-3), (halved, 1e-3)])
def test_stored_weights_are_read_back(network, tmp_path, kind, error):
    weights, *_ = stored(network, kind, tmp_path)
    before = [v.numpy().copy() for v in network.variables]
    for variable in network.variables:
        variable.assign(tf.zeros_like(variable))
    weights.load(tmp_path)
    try:
        for variable, value in zip(network.variables, before, strict=True):
            largest = np.abs(value).max(axis=tuple(range(max(value.ndim - 1, 1))), keepdims=True)
            assert (np.abs(variable.numpy() - value) <= error * largest).all()
    finally:
        for variable, value in zip(network.variables, before, strict=True):
            variable.assign(value)
