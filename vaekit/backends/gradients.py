"""The gradient of a network by its input, and functions of tensors compiled, on the backend that Keras has."""

import keras


def input_gradient(score, x):
    """d sum(score(x)) / dx, of x's shape, through which gradients go on to the network's weights.

    Args:
        score: a function of x [N, ...] that updates no variable.
        x: float32.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(lambda value: keras.ops.sum(score(value)))(x)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(score(x))
    return tape.gradient(total, x)


def compiled(function):
    """A function of tensors, traced once for each shape; the variables that it reads are not to change."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False, reduce_retracing=True)
