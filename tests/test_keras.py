"""Models of the family used as Keras's documentation says that a model is used."""

import contextlib
import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from models import TABLE, use_small_networks

import vaekit
from vaekit import ACGAN, CVAEGAN, GAN, IPGAN, VAE, VAEGAN, WAEMMD, WGANGP, AdversarialModel, Pix2Pix, Siamese
from vaekit.family import FAMILY
from vaekit.models.generative import Generative
from vaekit.specs import Labels

ROWS = {row.name: row for row in TABLE}
TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        use_small_networks(patch.setattr)
        yield


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def pictures(count=4, shape=(8, 8, 1), seed=0):
    return np.random.default_rng(seed).uniform(size=(count, *shape)).astype(np.float32)


def tiny(cls=VAE, shape=(8, 8, 1), **kwargs):
    return cls(shape, latent_dim=2, base=4, **kwargs)


def weights(model):
    return [numbers(v) for v in model.weights]


def asked(model, batch, signature):
    """Rows of a batch, or numbers, for every input of a signature."""
    rng = np.random.default_rng(1)
    given = {}
    for name, spec in signature.inputs.items():
        if isinstance(spec, Labels):
            given[name] = np.eye(spec.count, dtype=np.float32)[np.arange(3) % spec.count]
        elif name in batch or name == "shown_as":
            given[name] = batch.get(name, batch["image"])
        else:
            given[name] = rng.normal(size=(3, *spec.shape)).astype(np.float32)
    return given


# === The script of fifteen lines ===


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("scripts")


@pytest.mark.skipif(not TENSORFLOW, reason="export needs TensorFlow")
@pytest.mark.xdist_group("scripts")
@pytest.mark.parametrize("name", FAMILY)
def test_arrays_compile_fit_predict_save_and_export(name, folder):
    """Three rows in batches of two: the last batch is of one."""
    keras.utils.set_random_seed(1)
    model = ROWS[name].create(ROWS[name].shapes[1])
    batch = {key: numbers(value) for key, value in ROWS[name].batch(ROWS[name].shapes[1], count=3).items()}
    model.compile("adam", average=0, run_eagerly=True)
    history = model.fit(batch, batch_size=2, epochs=1, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(own).all() for own in weights(model))
    first = next(iter(model.signatures.values()))
    given = asked(model, batch, first)
    predicted = model.predict(given, batch_size=2, verbose=0)
    np.testing.assert_allclose(predicted, numbers(model(given)), rtol=1e-4, atol=1e-5)
    model.save(folder / f"{name}.keras")
    model.export(folder / name)
    np.savez(folder / f"{name}.npz", predicted=predicted, **given)
    for number, (signature, does) in enumerate(model.signatures.items()):
        given = asked(model, batch, does)
        tensors = [ops.convert_to_tensor(value) for value in given.values()]
        np.savez(folder / f"{name}.{number}.npz", signature=signature, **{does.output: numbers(does.call(*tensors))})
        np.savez(folder / f"{name}.{number}.given.npz", **given)


FRESH = """
import sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf
import vaekit
assert keras.saving.get_registered_object("vaekit>VAE")  # before the tests' table imports the models
from models import use_small_networks
use_small_networks()
folder = Path(sys.argv[1])
for file in sorted(folder.glob("*.keras")):
    model = keras.saving.load_model(file)
    given = dict(np.load(folder / f"{file.stem}.npz"))
    predicted = given.pop("predicted")
    np.testing.assert_allclose(model(given), predicted, rtol=1e-4, atol=1e-5, err_msg=file.stem)
    saved = tf.saved_model.load(str(folder / file.stem)).signatures
    number = 0
    while (folder / f"{file.stem}.{number}.npz").exists():
        expected = dict(np.load(folder / f"{file.stem}.{number}.npz"))
        signature = str(expected.pop("signature"))
        given = dict(np.load(folder / f"{file.stem}.{number}.given.npz"))
        for rows in (3, 1, 0):
            found = saved[signature](**{name: tf.constant(value[:rows]) for name, value in given.items()})
            for name, value in expected.items():
                np.testing.assert_allclose(
                    found[name], value[:rows], rtol=1e-3, atol=1e-5, err_msg=f"{file.stem} {signature}"
                )
        number += 1
    assert set(saved) == {*model.signatures, "serving_default"}
print(len(list(folder.glob("*.keras"))))
"""


@pytest.mark.skipif(not TENSORFLOW, reason="export needs TensorFlow")
@pytest.mark.xdist_group("scripts")
def test_files_are_read_in_a_fresh_process_and_bundles_answer_as_the_models_do(folder):
    """Whatever of the scripts above has run."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        check=False, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == len(list(folder.glob("*.keras")))


@pytest.mark.skipif(not TENSORFLOW, reason="export needs TensorFlow")
def test_onnx_has_a_file_for_each_signature(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    model = tiny(classes=2)
    model.export(tmp_path / "vae", format="onnx")
    assert {path.stem for path in (tmp_path / "vae").iterdir()} == set(model.signatures)
    for name, does in model.signatures.items():
        given = asked(model, {"image": pictures(3)}, does)
        session = onnxruntime.InferenceSession(tmp_path / "vae" / f"{name}.onnx")
        (found,) = session.run([does.output], given)
        np.testing.assert_allclose(found, numbers(does.call(*given.values())), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="tf_saved_model or onnx, not torch"):
        model.export(tmp_path / "vae", format="torch")


@pytest.mark.skipif(not TENSORFLOW, reason="export needs TensorFlow")
def test_averages_are_what_is_exported(tmp_path):
    import tensorflow as tf

    model = tiny()
    model.compile("sgd", average=0.5, run_eagerly=True)
    model.fit(pictures(), batch_size=1, verbose=0)
    model.export(tmp_path / "vae")
    z = np.ones((2, 2), np.float32)
    found = tf.saved_model.load(str(tmp_path / "vae")).signatures["decode"](z=tf.constant(z))["image"]
    raw = numbers(model.decode(z))
    with model.averages():
        np.testing.assert_allclose(found, numbers(model.decode(z)), rtol=1e-4)
    assert np.abs(raw - found).max() > 1e-4


# === Importing ===


def test_importing_vaekit_imports_no_backend_and_its_models_are_named():
    code = (
        "import sys, vaekit, vaekit.family\n"
        "assert 'VAEGAN' in dir(vaekit)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'vaekit.models'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(FAMILY.values()) <= set(vaekit.MODELS)
    for name in vaekit.MODELS:
        assert getattr(vaekit, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'StyleGAN'"):
        _ = vaekit.StyleGAN


# === Data ===


def batches_of(kind, x, y):
    """The same rows as Keras takes them, in batches of two."""
    pairs = [(x[i : i + 2], y[i : i + 2]) for i in range(0, len(x), 2)]
    if kind == "generator":
        return {"x": (pair for pair in pairs), "steps_per_epoch": len(pairs)}
    if kind == "dicts":
        return {"x": {"image": x, "label": y}, "batch_size": 2}
    if kind == "dataset":

        class Pairs(keras.utils.PyDataset):
            def __len__(self):
                return len(pairs)

            def __getitem__(self, index):
                return pairs[index]

        return {"x": Pairs()}
    if kind == "tf.data":
        tf = pytest.importorskip("tensorflow")
        return {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(2)}
    return {"x": x, "y": y, "batch_size": 2}


KINDS = ("arrays", "dicts", "generator", "dataset", "tf.data")


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_data_train_to_the_same_weights(kind):
    x, y = (255 * pictures(5)).astype(np.uint8), np.array([0, 1, 2, 1, 0])

    def trained(kind, x, y):
        keras.utils.set_random_seed(1)
        model = tiny(classes=3)
        model.compile("sgd", run_eagerly=True)
        model.fit(**batches_of(kind, x, y), shuffle=False, verbose=0)
        return weights(model)

    one_hot = np.eye(3, dtype=np.float32)[y]
    for own, other in zip(trained(kind, x, y[:, None]), trained("arrays", x / np.float32(255), one_hot), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_out_of_range_are_refused_in_all_kinds_of_data(kind):
    model = tiny(classes=3)
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(Exception, match=r"labels are 0..2; found 0..3"):
        model.fit(**batches_of(kind, pictures(4), np.array([0, 1, 0, 3])), shuffle=False, verbose=0)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (255 * pictures(), [0, 1, 0, 1], r"pictures in 0..1; found .*\(uint8 is 0..255\)"),
        ((255 * pictures()).astype(np.int32), [0, 1, 0, 1], "uint8, or floats in 0..1; found int32"),
        (pictures().reshape(4, 64), [0, 1, 0, 1], r"image: \[N, 8, 8, 1\] is asked for; found float32 \[N, 64\]"),
        (pictures(shape=(8, 8, 3)), [0, 1, 0, 1], r"image: \[N, 8, 8, 1\] is asked for"),
        (pictures(), ["a", "b", "a", "b"], "labels are numbers, found strings; np.unique"),
        (pictures(), [0, 1, -1, 1], r"labels are 0..2; found -1..1"),
        (pictures(), [0, 0.5, 1, 1], "labels are whole numbers; found 0.5"),
        (pictures(), np.zeros((4, 7), np.float32), r"integers \[N\] or \[N, 3\]; found \[N, 7\]"),
        (pictures(), -np.ones((4, 3), np.float32), r"rows of labels are numbers in 0..1; found -1..-1"),
        (pictures(), None, "CVAEGAN takes image, label: label missing"),
        (np.array(["a.png", "b.png"]), [0, 1], "found strings"),
    ],
)
def test_what_a_model_would_misunderstand_is_refused(x, y, match):
    model = tiny(CVAEGAN, classes=3)
    model.compile(run_eagerly=True)
    with pytest.raises(ValueError, match=match):
        model.fit(x, None if y is None else np.asarray(y), verbose=0)
    with pytest.raises(ValueError, match=match):
        model.evaluate(x, None if y is None else np.asarray(y), verbose=0)


def test_nothing_that_is_given_is_ignored():
    model = tiny()
    for arguments in ({"loss": "mse"}, {"metrics": ["mae"]}, {"loss_weights": [1.0]}, {"weighted_metrics": ["mae"]}):
        with pytest.raises(ValueError, match=f"compile takes no {next(iter(arguments))}"):
            model.compile("adam", **arguments)
    model.compile("adam", run_eagerly=True)
    x = pictures()
    for arguments in ({"sample_weight": np.ones(4)}, {"class_weight": {0: 1.0}}):
        with pytest.raises(ValueError, match=f"take no {next(iter(arguments))}"):
            model.fit(x, verbose=0, **arguments)
    with pytest.raises(ValueError, match="takes image alone: y would be ignored"):
        model.fit(x, np.zeros(4, int), verbose=0)
    with pytest.raises(ValueError, match="take no sample_weight"):
        model.fit(x, validation_data=(x, None, np.ones(4)), verbose=0)


def test_x_and_y_are_what_a_model_draws_from_and_what_it_draws():
    model = Pix2Pix(1, condition_channels=1, latent_dim=2, widths=(8, 8))
    x, y = pictures(2, (16, 16, 1)), pictures(2, (16, 16, 1), seed=1)
    batch = model.as_batch((x, y))
    np.testing.assert_array_equal(batch["condition"], x)
    np.testing.assert_array_equal(batch["image"], y)
    assert list(Siamese((16, 16, 1)).takes) == ["image", "partner", "label"]
    people = IPGAN((8, 8, 1), identities=3, identity_dim=3, attribute_dim=2, base=4)
    np.testing.assert_array_equal(numbers(people.as_batch((x[:, :8, :8], np.eye(3)[[2, 0]]))["label"]), [2, 0])


def test_pictures_of_eight_bits_are_the_same_pictures_everywhere():
    model = tiny(classes=2)
    x = (255 * pictures()).astype(np.uint8)
    labels = np.array([0, 1, 1, 0])
    expected = numbers(model.reconstruct(x / np.float32(255), labels))
    for found in (model((x, labels)), model.reconstruct(x, labels), model.predict({"image": x, "label": labels})):
        np.testing.assert_allclose(numbers(found), expected, rtol=1e-5)
    for call in (
        model,
        model.encode,
        lambda images: model.predict(images, verbose=0),
        lambda _: model.decode([[0, 1]]),
    ):
        with pytest.raises(ValueError, match=r"needs labels|label missing"):
            call(x)


# === Seeds ===


def test_the_seed_of_keras_decides_the_noise():
    def drawn(seed):
        keras.utils.set_random_seed(seed)
        return numbers(tiny(GAN).prior(3))

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert np.abs(drawn(1) - drawn(2)).min() > 0


def test_samples_of_given_noise_are_those_of_the_prior():
    model = ROWS["infogan"].create((16, 16, 1))
    assert model.drawn_dim == 4 + 1 + 1
    noise = np.array([[0.1, 0.2, 0.3, 0.4, -9.0, 0.0], [0.1, 0.2, 0.3, 0.4, 9.0, 1.0]], np.float32)
    drawn = []
    model.decode = lambda z, labels: drawn.append(numbers(z))
    model.from_noise(ops.convert_to_tensor(noise[:, [4, 5, 0, 1, 2, 3]]))
    # The category, then the continuous code, then the noise are drawn; a latent has them in another order.
    np.testing.assert_allclose(drawn[0][:, :4], noise[:, :4])
    np.testing.assert_array_equal(drawn[0][:, 4:7], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(drawn[0][:, 7], [0.0, 2 * 0.8413447 - 1], rtol=1e-5)
    assert "random_normal" not in vars(model)


# === compile ===


@pytest.mark.parametrize("how", ["name", "one", "dict", "keywords", "nothing"])
def test_every_player_has_an_optimizer_of_its_own(how):
    model = tiny(VAEGAN)
    adam = keras.optimizers.Adam(0.5, beta_1=0.25)
    ways = {
        "name": ("adam", {}), "one": (adam, {}), "dict": ({"decoder": adam, "encoder": adam}, {}),
        "keywords": (None, {"decoder": adam}), "nothing": (None, {}),
    }  # fmt: skip
    optimizer, players = ways[how]
    model.compile(optimizer, **players)
    own = model.optimizer.by_player
    assert len({id(o) for o in own.values()}) == 3
    rates = {player: round(float(o.learning_rate), 6) for player, o in own.items()}
    default = 3e-4
    expected = {
        "name": (0.001, 0.001, 0.001), "one": (0.5, 0.5, 0.5), "dict": (0.5, 0.5, default),
        "keywords": (default, 0.5, default), "nothing": (default, default, default),
    }[how]  # fmt: skip
    assert tuple(rates[player] for player in ("encoder", "decoder", "discriminator")) == expected
    if how == "one":
        assert {o.beta_1 for o in own.values()} == {0.25}
    model.compile(optimizer, **players)  # again, though the optimizers have slots now


def test_unknown_players_are_named():
    with pytest.raises(ValueError, match="no player is called banker; there are encoder, decoder, discriminator"):
        tiny(VAEGAN).compile(banker="adam")


def test_the_learning_rate_is_the_players():
    model = tiny(VAEGAN)
    model.compile({"encoder": keras.optimizers.SGD(0.1), "decoder": keras.optimizers.SGD(0.4)})
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    model.optimizer.learning_rate = 0.05
    rates = [float(o.learning_rate) for o in model.optimizer.optimizers]
    np.testing.assert_allclose(rates, [0.05, 0.2, 1.5e-4], rtol=1e-5)


class Rates(keras.callbacks.Callback):
    """Keeps the players' rates of every epoch."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append([float(o.learning_rate) for o in self.model.optimizer.optimizers])


def test_schedulers_work_on_every_player_or_raise():
    model, x, rates = tiny(GAN), pictures(2), Rates()
    model.compile(
        {"generator": keras.optimizers.SGD(0.1), "discriminator": keras.optimizers.SGD(0.2)}, run_eagerly=True
    )
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model.fit(x, epochs=2, callbacks=[halve, rates], verbose=0)
    np.testing.assert_allclose(rates.seen, [[0.05, 0.1], [0.025, 0.05]], rtol=1e-5)
    plateau = keras.callbacks.ReduceLROnPlateau("generator_loss", 0.1, patience=1, mode="min", min_delta=1e9)
    model.fit(x, epochs=2, callbacks=[plateau, rates], verbose=0)
    np.testing.assert_allclose(rates.seen[-1], [0.0025, 0.005], rtol=1e-5)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model.compile(keras.optimizers.SGD(schedule), run_eagerly=True)
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        model.fit(x, callbacks=[halve], verbose=0)


def test_standard_callbacks_work(tmp_path):
    model, x = tiny(VAEGAN), pictures()
    model.compile("adam", run_eagerly=True)
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "val_encoder_loss", mode="min", save_best_only=True)
    stop = keras.callbacks.EarlyStopping("val_encoder_loss", min_delta=1e9, mode="min", restore_best_weights=True)
    callbacks = [best, stop, keras.callbacks.CSVLogger(tmp_path / "log.csv"), keras.callbacks.TerminateOnNaN()]
    if TENSORFLOW:
        callbacks.append(keras.callbacks.TensorBoard(tmp_path / "logs"))
    history = model.fit(x, epochs=5, validation_data=x, callbacks=callbacks, verbose=0).history
    names = {"encoder_loss", "decoder_loss", "discriminator_loss", "kl", "likelihood", "gan"}
    assert names | {f"val_{name}" for name in names} <= set(history)
    assert len(history["kl"]) == 2  # nothing is better by 1e9
    assert (tmp_path / "log.csv").read_text().startswith("epoch,")
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0].shape, model.get_weights()[0].shape)
    if TENSORFLOW:
        tags = rates_in(tmp_path / "logs" / "train")
        assert {f"epoch_learning_rate_{p}": pytest.approx(0.001) for p in model.players}.items() <= tags.items()


def rates_in(folder: Path) -> dict[str, float]:
    """The last value of every scalar that TensorBoard would show."""
    import tensorflow as tf

    found = {}
    for file in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value:
                if value.tag.startswith("epoch_learning_rate"):
                    found[value.tag] = float(tf.make_ndarray(value.tensor))
    return found


# === Networks of one's own, and presets ===


def own_encoder():
    image = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3, strides=2, activation="relu")(image))
    return keras.Model(image, [layers.Dense(2)(x), layers.Dense(2)(x)])


def own_decoder():
    return keras.Sequential([keras.Input((2,)), layers.Dense(64), layers.Reshape((8, 8, 1))])


def test_own_networks_take_the_place_of_the_models_and_are_saved_with_it(tmp_path):
    encoder, decoder = own_encoder(), own_decoder()
    model = tiny(encoder=encoder, decoder=decoder)
    assert {id(v) for v in model.trainable_variables} == {
        id(v) for network in (encoder, decoder) for v in network.trainable_variables
    }
    model.compile("adam", run_eagerly=True)
    model.fit(pictures(), verbose=0)
    model.save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    assert loaded.encoder.count_params() == encoder.count_params()
    x = pictures()
    np.testing.assert_allclose(numbers(loaded(x)), numbers(model(x)), rtol=1e-5)
    model.save_to_preset(tmp_path / "preset")
    with model.averages():
        expected = numbers(model(x))
    for read in (VAE.from_preset, AdversarialModel.from_preset):
        np.testing.assert_allclose(numbers(read(tmp_path / "preset")(x)), expected, rtol=1e-5)
    assert {path.name for path in (tmp_path / "preset").iterdir()} == {"config.json", "model.weights.h5"}
    assert json.loads((tmp_path / "preset" / "config.json").read_text())["class_name"] == "VAE"
    with pytest.raises(ValueError, match="holds a VAE, not a GAN"):
        GAN.from_preset(tmp_path / "preset")


def test_own_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"decoder takes \[\(None, 2\)\] and returns \(None, 8, 8, 1\); this one"):
        tiny(decoder=keras.Sequential([keras.Input((3,)), layers.Dense(64), layers.Reshape((8, 8, 1))]))
    probabilities = [layers.Dense(64), layers.Reshape((8, 8, 1)), layers.Activation("sigmoid")]
    with pytest.raises(ValueError, match="decoder returns logits"):
        tiny(decoder=keras.Sequential([keras.Input((2,)), *probabilities]))
    with pytest.raises(ValueError, match="begins with an Input"):
        tiny(encoder=keras.Sequential([layers.Flatten()]))
    with pytest.raises(ValueError, match=r"discriminator takes .*'logits': \(None, 1\)"):
        tiny(VAEGAN, discriminator=keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)]))
    with pytest.raises((TypeError, ValueError), match="banker"):
        tiny(banker=own_encoder())


@pytest.mark.skipif(not TENSORFLOW, reason="bundles are read with TensorFlow")
def test_a_bundle_is_a_preset(monkeypatch):
    monkeypatch.delenv("VAEKIT_MODELS", raising=False)
    model = AdversarialModel.from_preset("inpaint")
    assert type(model).__name__ == "Inpainter"
    # An untrained network answers 0, so that the fill stays as it is.
    image, mask = pictures(1, (32, 32, 3)), np.zeros((1, 32, 32, 1), np.float32)
    mask[:, 8:24, 8:24] = 1
    batch = {"image": image, "mask": mask, "hint": np.zeros((1, 32, 32, 4), np.float32)}
    added = numbers(model.answer(batch, np.zeros((1, model.latent_dim), np.float32))) - numbers(model.given(batch)[1])
    assert np.abs(added).max() > 0.01


# === Short batches ===


@pytest.mark.parametrize("name", ["wae_mmd", "ebgan", "inpainter", "super_resolver", "gaia", "siamese"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_any_number_of_rows_trains(name, rows):
    row = ROWS[name]
    model = row.create(row.shapes[1])
    losses, terms = model.objective(row.batch(row.shapes[1], count=rows))
    assert all(np.isfinite(float(value)) for value in (*losses.values(), *terms.values()))


def test_a_step_of_one_row_leaves_numbers():
    for cls in (WAEMMD, WGANGP, ACGAN):
        model = tiny(cls)
        model.compile("sgd", run_eagerly=TENSORFLOW)
        batch = {"image": pictures(1), "label": np.zeros(1, int)}
        model.train_on_batch(batch)
        assert all(np.isfinite(own).all() for own in weights(model)), cls
    assert isinstance(model, Generative)


@pytest.mark.skipif(TENSORFLOW, reason="of another backend")
def test_export_on_another_backend_says_what_it_needs(tmp_path):
    with pytest.raises(ImportError, match="TensorFlow backend"):
        tiny().export(tmp_path / "vae")
    assert not os.listdir(tmp_path)


# === Documentation ===


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly` option:UserWarning")
@pytest.mark.parametrize("name", sorted(set(FAMILY.values())))
def test_the_example_of_a_class_runs(name):
    cls = getattr(vaekit, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(cls, name, globs=vars(sys.modules[cls.__module__]).copy())
    assert example.examples
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with eagerly():
        failed, _ = runner.run(example)
    assert not failed


@contextlib.contextmanager
def eagerly():
    """Without tracing, which would take most of the time."""
    if not TENSORFLOW:
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
