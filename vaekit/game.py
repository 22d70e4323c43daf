"""The game: networks grouped into players, each with its own loss and its own optimizer.

A model names its players and writes `objective`, a function from a batch to one scalar loss a player.
Everything else stands here: one forward pass a round, the gradient of every player's loss with respect
to its own variables only, optimizers that save, load and resume exactly, loss scaling, replicas.
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import ops

from vaekit import presets
from vaekit.backends import replicas
from vaekit.networks.own import fitting
from vaekit.players import PlayerOptimizers
from vaekit.specs import Specs, as_batch, checked

BACKENDS = ("tensorflow", "jax")
if keras.backend.backend() not in BACKENDS:
    raise ImportError(f"vaekit trains on {' or '.join(BACKENDS)}, not on {keras.backend.backend()}")
backend_step = importlib.import_module(f"vaekit.backends.{keras.backend.backend()}_step")


@dataclass(frozen=True)
class Signature:
    """Something that a model does, as it is exported.

    Attributes:
        inputs: what it takes, by name, in the order of `call`'s arguments.
        call: tensors -> tensor.
        output: what the tensor is called.
    """

    inputs: Specs
    call: Callable
    output: str


class AdversarialModel(keras.Model):
    """Base of every model: a subclass sets `players` and `terms` and writes `objective`.

    `compile`, `fit`, `evaluate`, `predict`, callbacks and saving are Keras's. The losses are the model's own.

    Attributes that a subclass defines:
        players: dict from a player's name to the list of its networks (built, disjoint).
        terms: names of the further scalars that `objective` returns for logging.
        update_phases: tuples of the players that move together; a step plays the update_phases in turn.
        averaged: players whose weights are also kept as an exponential moving average, which
            `averages` swaps in (the generating ones).
        frozen: as `players`: networks that lend their features and never move. A run starts from one that has
            trained them.
    """

    players: dict[str, list]
    terms: tuple[str, ...] = ()
    update_phases: tuple[tuple[str, ...], ...]
    averaged: tuple[str, ...] = ()
    frozen: dict[str, list]
    replaceable: tuple[str, ...] = ()
    """Networks, by attribute, that __init__ takes as keyword arguments: functional models in place of the model's."""

    def __init__(self, **kwargs):
        given = {name: kwargs.pop(name) for name in self.replaceable if kwargs.get(name) is not None}
        super().__init__(**{name: value for name, value in kwargs.items() if name not in self.replaceable})
        self.own = tuple(given)
        self.__dict__["_given"] = given  # past Keras, which would save them under this name

    def network(self, name: str, make: Callable, /, *args, **kwargs) -> keras.Model:
        """The network of this name that __init__ was given, or one that is made here.

        Raises:
            ValueError: what was given takes or returns other tensors than the model's own network does.
        """
        given = self._given.get(name)
        if given is None:
            return make(*args, **kwargs)
        return fitting(given, name, make(*args, **kwargs))

    def set_players(self, players: dict, update_phases=None):
        """Name the players, and who moves together (by default all, from one forward pass)."""
        self.players, self.frozen = players, {}
        self.update_phases = tuple(update_phases or (tuple(players),))
        # As every layer's: drawn from Python's generator, which keras.utils.set_random_seed sets.
        self.seeds = keras.random.SeedGenerator()
        playing = [player for player in players if any(player in phase for phase in self.update_phases)]
        names = (*(f"{player}_loss" for player in playing), *self.terms)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.__dict__.pop("_given", None)
        # Its networks are functional and built, so the model is; a step never calls the model itself.
        self.built = True

    def freeze(self, name: str, networks: list):
        """Name networks that take part but never move: a run starts from one that has trained them."""
        for network in networks:
            network.trainable = False
        self.frozen = {**self.frozen, name: networks}

    def objective(self, batch: dict, training: bool = True) -> tuple[dict, dict]:
        """Return ({player: scalar loss}, {term: scalar}) of one batch, from one forward pass."""
        raise NotImplementedError

    def step_sizes(self, terms: dict) -> dict:
        """What shares of their steps players take, 0 to rest: scalars by player; who is not named takes all of it.

        A learning rate that a model balances by itself: scaling a loss would do nothing to an Adam.

        Args:
            terms: what `objective` has returned for this step.
        """
        return {}

    @property
    def takes(self) -> Specs:
        """What a batch of `fit` holds, by name: of x and y, x is the first, and y "label" or the last.

        Where nothing is named, batches are dicts that `objective` knows, and are not checked.
        """
        return {}

    @property
    def signatures(self) -> dict[str, Signature]:
        """What the model does, by name; the first is what `model(x)` and `predict` do."""
        return {}

    def call(self, inputs, label=None):
        """What the first of `signatures` does.

        Args:
            inputs: its first tensor, or a tuple or dict of all.
            label: labels, where it takes some.
        """
        does = next(iter(self.signatures.values()), None)
        if does is None:
            raise NotImplementedError(f"{type(self).__name__} has nothing that it does by itself")
        batch = self.as_batch(inputs if label is None else (inputs, label), does.inputs)
        return does.call(*(batch[name] for name in does.inputs))

    def as_batch(self, data, specs=None) -> dict:
        """What `fit` hands over, as the dict that `objective` takes (vaekit.specs.as_batch)."""
        return as_batch(type(self).__name__, self.takes if specs is None else specs, data)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Train, as keras.Model.fit.

        Args:
            x: an array, a dict of arrays, or batches of either: tf.data, a generator, a PyDataset. Pictures are uint8
                or floats in 0..1.
            y: labels [N], [N, 1] or one-hot, or what else the model draws; as the class says.
            *args: as Keras has them.
            **kwargs: as Keras has them.

        Raises:
            ValueError: the data are not what the model takes, or sample_weight or class_weight is given.
        """
        bound = inspect.signature(keras.Model.fit).bind(self, x, y, *args, **kwargs).arguments
        bound.pop("self")
        self._refuse_weights(bound)
        bound["x"] = self._checked(x, y)
        if bound.get("validation_data") is not None:
            val_x, val_y, weight = keras.utils.unpack_x_y_sample_weight(bound["validation_data"])
            self._refuse_weights({"sample_weight": weight})
            val_x = self._checked(val_x, val_y)
            bound["validation_data"] = val_x if val_y is None else (val_x, val_y)
        return super().fit(**bound)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Losses and terms of data, as keras.Model.evaluate; takes what `fit` takes."""
        self._refuse_weights(kwargs)
        if not kwargs.get("_use_cached_eval_dataset"):
            x = self._checked(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def train_on_batch(self, x, y=None, *args, **kwargs):
        """One step, as keras.Model.train_on_batch; takes what `fit` takes."""
        self._refuse_weights(kwargs)
        return super().train_on_batch(self._checked(x, y), y, *args, **kwargs)

    def _checked(self, x, y):
        return checked(type(self).__name__, self.takes, x, y)

    def _refuse_weights(self, arguments: dict) -> None:
        for name in ("sample_weight", "class_weight"):
            if arguments.get(name) is not None:
                raise ValueError(f"{type(self).__name__}: its losses are means over a batch, which take no {name}")

    def predict_step(self, *args):
        """What the model does with a batch, labels included."""
        return backend_step.predict_step(self, *args)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: the model is built, and Keras's own would take a batch of tf.distribute's for it."""

    def train_step(self, *args):
        """Play every round once; takes and returns what `fit` expects of the backend."""
        return backend_step.train_step(self, *args)

    def test_step(self, *args):
        """Losses and terms of a batch, nobody moves."""
        return backend_step.test_step(self, *args)

    def default_optimizers(self) -> dict:
        """One optimizer a player, as the paper has it."""
        return {player: keras.optimizers.Adam(2e-4, beta_1=0.5) for player in self.players}

    def compile(
        self,
        optimizer=None,
        loss=None,
        metrics=None,
        *,
        average=0.999,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
        loss_weights=None,
        weighted_metrics=None,
        **players,
    ):
        """Give every player its optimizer and build them.

        Args:
            optimizer: None for the paper's; the name of an optimizer or an optimizer, of which each player gets a copy;
                or a dict from player to optimizer, in which players left out take the paper's.
            loss, metrics, loss_weights, weighted_metrics: not taken: a model has its own losses and terms.
            average: momentum m of the moving average of `averaged` players' weights, 0 for none. It begins lower,
                min(m, (1 + t) / (10 + t)) after t steps.
            run_eagerly, steps_per_execution, jit_compile: as in Keras.
            auto_scale_loss: whether losses are scaled where the model computes in mixed_float16.
            **players: optimizers by player, in place of a dict.

        Raises:
            ValueError: an optimizer is named for a player that the model has not, or a loss or metric is given.
        """
        given = {
            "loss": loss, "metrics": metrics, "loss_weights": loss_weights, "weighted_metrics": weighted_metrics
        }  # fmt: skip
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{type(self).__name__} has losses and terms of its own: compile takes no {name}")
        if not isinstance(optimizer, PlayerOptimizers):
            optimizer = self._player_optimizers(optimizer, players, average, auto_scale_loss)
        optimizer.build({player: self.player_variables(player) for player in self.players})
        super().compile(
            optimizer=optimizer,
            auto_scale_loss=False,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )

    def _player_optimizers(self, optimizer, players: dict, average: float, scale: bool) -> PlayerOptimizers:
        if optimizer is not None and not isinstance(optimizer, dict):
            one = keras.optimizers.get(optimizer)
            optimizer = {player: _copy(one) for player in self.players}
        given = {**(optimizer or {}), **players}
        unknown = sorted(set(given) - set(self.players))
        if unknown:
            raise ValueError(f"no player is called {', '.join(unknown)}; there are {', '.join(self.players)}")
        chosen = {**self.default_optimizers(), **given}
        seen: list = []
        for player, chosen_optimizer in chosen.items():
            own = keras.optimizers.get(chosen_optimizer)
            # One that another player has, or another model, keeps the slots of its variables.
            if own.built or any(own is other for other in seen):
                own = _copy(own)
            seen.append(own)
            own.name = player
            if scale and self.dtype_policy.name == "mixed_float16":
                own = keras.optimizers.LossScaleOptimizer(own, name=player)
            chosen[player] = own
        return PlayerOptimizers(chosen, dict.fromkeys(self.averaged, average) if average else None)

    def get_compile_config(self):
        """The optimizers and switches that compile_from_config takes; None before `compile`."""
        if not self.compiled:
            return None
        return {
            "optimizer": keras.optimizers.serialize(self.optimizer),
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def compile_from_config(self, config):
        """Compile as the saved model was."""
        self.compile(**{**config, "optimizer": keras.optimizers.deserialize(config["optimizer"])})

    def player_variables(self, player: str) -> list:
        """Trainable variables of one player."""
        return [v for network in self.players[player] for v in network.trainable_variables]

    @property
    def metrics(self):
        """One mean a player's loss and a term; reset every epoch by Keras."""
        return list(self.trackers.values())

    def track(self, losses: dict, terms: dict) -> None:
        """Add one step's losses and terms to their means."""
        for player, loss in losses.items():
            self.trackers[f"{player}_loss"].update_state(loss)
        for name, value in terms.items():
            self.trackers[name].update_state(value)

    @contextlib.contextmanager
    def averages(self):
        """Swap in the moving averages of the `averaged` players within the context: for looking and for export.

        Before the first step there are none yet, and the weights stay as they are.
        """
        held = {}
        for player in self.averaged if self.compiled else ():
            averages = self.optimizer.averaged(player)
            if averages is not None:
                variables = self.player_variables(player)
                held[player] = [ops.convert_to_numpy(v) for v in variables]
                for variable, value in zip(variables, averages, strict=True):
                    variable.assign(value)
        try:
            yield self
        finally:
            for player, values in held.items():
                for variable, value in zip(self.player_variables(player), values, strict=True):
                    variable.assign(value)

    def random_normal(self, shape):
        """Draw N(0, I) from the model's own generator, whose state is saved with the model."""
        return replicas.local_rows(lambda rows: keras.random.normal(rows, seed=self.seeds), shape)

    def random_uniform(self, shape):
        """Draw from the uniform distribution over 0..1 from the same generator."""
        return replicas.local_rows(lambda rows: keras.random.uniform(rows, seed=self.seeds), shape)

    def sample_posterior(self, mean, log_variance):
        """z = mean + eps * s, eps ~ N(0, I): the reparameterisation of Kingma & Welling 2014, eq. 4."""
        return mean + ops.exp(0.5 * log_variance) * self.random_normal(ops.shape(mean))

    def get_config(self):
        """Mirror __init__: a model keeps every argument of its own under the argument's name."""
        config = super().get_config()
        config |= {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.own}
        for base in type(self).__mro__[: type(self).__mro__.index(AdversarialModel)]:
            if "__init__" in vars(base):
                parameters = inspect.signature(vars(base)["__init__"]).parameters
                config |= {name: getattr(self, name) for name in parameters if name not in ("self", "kwargs")}
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make the model again, with networks of its user's where it had some."""
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in cls.replaceable
            if isinstance(config.get(name), dict)
        }
        return super().from_config({**config, **networks}, custom_objects)

    def save_to_preset(self, folder) -> None:
        """Write the model's settings and weights, averaged ones where there are some, into a folder."""
        presets.save(self, folder)

    @classmethod
    def from_preset(cls, name):
        """A model from the folder that `save_to_preset` has written, or from a bundle, such as "inpaint".

        Of a bundle, the networks that it holds have its weights; others, such as discriminators, are new.

        Raises:
            ValueError: it holds a model of another class.
            vaekit.errors.UserError: there is no such folder or bundle, or it is damaged.
        """
        model = presets.load(name)
        if not isinstance(model, cls):
            raise ValueError(f"{name} holds a {type(model).__name__}, not a {cls.__name__}")
        return model

    def export(self, filepath, format="tf_saved_model", verbose=False):
        """Write what the model does as a SavedModel with a signature for each of `signatures`, or as ONNX.

        Inputs and outputs are dicts of named tensors, with a batch of any size; images are float32 in 0..1 and labels
        float32 rows, one-hot or of attributes. `serving_default` is what `predict` does. Averaged weights are exported
        where there are some.

        Args:
            filepath: the folder to write; of ONNX, a file NAME.onnx in it for each signature.
            format: "tf_saved_model" or "onnx".
            verbose: whether the folder is told.

        Raises:
            ValueError: another format.
            ImportError: TensorFlow, or for ONNX tf2onnx, is not installed, or Keras runs on another backend.
        """
        if format not in ("tf_saved_model", "onnx"):
            raise ValueError(f"format is tf_saved_model or onnx, not {format}")
        if keras.backend.backend() != "tensorflow":
            raise ImportError(
                f"export needs the TensorFlow backend, and this is {keras.backend.backend()}: save the model, and "
                "export it where KERAS_BACKEND=tensorflow"
            )
        from vaekit import exported

        with self.averages():
            (exported.save_onnx if format == "onnx" else exported.save_model)(self.signatures, filepath)
        if verbose:
            print(f"{type(self).__name__} exported to {filepath}: {', '.join(self.signatures)}")

    # Keras saves weights, but not the state of random generators: without it a resumed run would
    # draw other noise than the uninterrupted one.

    def _seed_states(self):
        weights = {id(v) for v in self.weights}
        return [v for v in self.variables if id(v) not in weights]

    def save_own_variables(self, store):
        """Save own weights and the state of every random generator below."""
        super().save_own_variables(store)
        for index, variable in enumerate(self._seed_states()):
            store[f"seed_{index}"] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load what save_own_variables has written."""
        states = self._seed_states()
        own = {key: store[key] for key in list(store.keys()) if not key.startswith("seed_")}
        super().load_own_variables(own)
        for index, variable in enumerate(states):
            variable.assign(store[f"seed_{index}"])


def _copy(optimizer):
    """An optimizer of the same settings, without slots."""
    return type(optimizer).from_config(optimizer.get_config())
