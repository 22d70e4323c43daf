"""Captions of faces, composed from CelebA's attributes by a small grammar, and the numbers of their words."""

from collections.abc import Iterable, Mapping

import numpy as np

HAIR = {"Black_Hair": "black", "Blond_Hair": "blond", "Brown_Hair": "brown", "Gray_Hair": "grey"}
NAMED = ("Male", "Smiling", "Young", "Eyeglasses", "Bald", "Wearing_Hat", "No_Beard", *HAIR)
"""The attributes that a caption may name."""
SMILING = ("smiling", "happy", "laughing")
GLASSES = ("glasses", "spectacles", "eyeglasses")
HEADWEAR = ("a hat", "a cap")


def describe(attributes: Mapping[str, int], rng: np.random.Generator) -> str:
    """A caption of a face, such as "a smiling young woman with black hair and glasses".

    Args:
        attributes: 0 or 1 by CelebA's name, of NAMED.
        rng: chooses synonyms and the order of what the person has.
    """
    person = ("man", "guy") if attributes["Male"] else ("woman", "lady")
    before = [str(rng.choice(SMILING))] if attributes["Smiling"] else []
    before += ["young" if attributes["Young"] else "old"]
    has = [f"{colour} hair" for name, colour in HAIR.items() if attributes[name]][:1]
    has += [str(rng.choice(GLASSES))] if attributes["Eyeglasses"] else []
    has += [str(rng.choice(HEADWEAR))] if attributes["Wearing_Hat"] else []
    has += ["no hair"] if attributes["Bald"] else []
    has += ["a beard"] if attributes["Male"] and not attributes["No_Beard"] else []
    rng.shuffle(before)
    rng.shuffle(has)
    article = "an" if before[0][0] in "aeiou" else "a"
    caption = " ".join([article, *before, str(rng.choice(person))])
    return f"{caption} with {' and '.join(has)}" if has else caption


class Vocabulary:
    """Words and their numbers, from 1 on; 0 stands behind a caption's end.

    Args:
        captions: all that has to be known.

    Attributes:
        words: in the order of their numbers; the first is empty.
        length: words of the longest caption.

    Example:
        >>> vocabulary = Vocabulary(["a man", "a happy woman"])
        >>> vocabulary.encode(["a woman"]).tolist()
        [[1, 4, 0]]
    """

    def __init__(self, captions: Iterable[str]):
        split = [caption.split() for caption in captions]
        self.words = ("", *sorted({word for words in split for word in words}))
        self.length = max(len(words) for words in split)
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def encode(self, captions: Iterable[str]) -> np.ndarray:
        """Numbers [N, length] int32 of captions.

        Raises:
            ValueError: a word is not known, or a caption is too long.
        """
        rows = []
        for caption in captions:
            words = caption.split()
            unknown = [word for word in words if word not in self._numbers]
            if unknown or len(words) > self.length:
                raise ValueError(
                    f"unknown words: {', '.join(unknown)}" if unknown else f"more than {self.length} words: {caption}"
                )
            rows.append([self._numbers[word] for word in words] + [0] * (self.length - len(words)))
        return np.array(rows, np.int32)
