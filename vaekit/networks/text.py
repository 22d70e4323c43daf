"""What reads and writes captions."""

import keras
from keras import layers


def text_encoder(words: int, length: int, dim: int = 64, width: int = 64, one_hot: bool = False) -> keras.Model:
    """Map captions [N, length], words by number, to vectors [N, dim].

    Convolutions over three words each; of every feature the largest of all places is taken (Kim 2014).

    Args:
        words: size of the vocabulary.
        length: words of a caption.
        dim: size of the vector.
        width: features of a word.
        one_hot: whether words come as rows [N, length, words], which gradients can go back through.
    """
    if one_hot:
        text = layers.Input((length, words), name="text")
        x = layers.Dense(width, use_bias=False)(text)
    else:
        text = layers.Input((length,), name="text")
        x = layers.Embedding(words, width)(text)
    x = layers.LeakyReLU(0.2)(layers.Conv1D(2 * width, 3, padding="same", kernel_initializer="he_normal")(x))
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(text, layers.Dense(dim, activation="tanh", dtype="float32")(x), name="text_encoder")


def next_word(words: int, state_dim: int, latent_dim: int, width: int = 64) -> keras.Model:
    """Map (word [N, words] one-hot, state [N, state_dim], noise [N, latent_dim]) to (scores [N, words], state).

    One step of a gated recurrent unit (Cho et al. 2014), which reads the noise with every word.
    """
    word = layers.Input((words,), name="word")
    state = layers.Input((state_dim,), name="state")
    noise = layers.Input((latent_dim,), name="noise")
    x = layers.Concatenate()([layers.Dense(width, use_bias=False)(word), noise])
    new, _ = layers.GRUCell(state_dim)(x, [state])
    return keras.Model([word, state, noise], [layers.Dense(words, dtype="float32")(new), new], name="next_word")
