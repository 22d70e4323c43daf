"""What reads captions."""

import keras
from keras import layers


def text_encoder(words: int, length: int, dim: int = 64, width: int = 64) -> keras.Model:
    """Map captions [N, length], words by number, to vectors [N, dim].

    Convolutions over three words each; of every feature the largest of all places is taken (Kim 2014).

    Args:
        words: size of the vocabulary.
        length: words of a caption.
        dim: size of the vector.
        width: features of a word.
    """
    text = layers.Input((length,), name="text")
    x = layers.Embedding(words, width)(text)
    x = layers.LeakyReLU(0.2)(layers.Conv1D(2 * width, 3, padding="same", kernel_initializer="he_normal")(x))
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(text, layers.Dense(dim, activation="tanh", dtype="float32")(x), name="text_encoder")
