"""The game: networks grouped into players, each with its own loss and its own optimizer.

A model names its players and writes `objective`, a function from a batch to one scalar loss a player.
Everything else stands here: one forward pass a round, the gradient of every player's loss with respect
to its own variables only, optimizers that save, load and resume exactly, loss scaling, replicas.
"""

import contextlib
import importlib
import inspect

import keras
import numpy as np
from keras import ops

from vaekit.backends import replicas

BACKENDS = ("tensorflow", "jax")
if keras.backend.backend() not in BACKENDS:
    raise ImportError(f"vaekit trains on {' or '.join(BACKENDS)}, not on {keras.backend.backend()}")
backend_step = importlib.import_module(f"vaekit.backends.{keras.backend.backend()}_step")


@keras.saving.register_keras_serializable("vaekit")
class PlayerOptimizers(keras.optimizers.Optimizer):
    """One optimizer a player, behind the face of a single Keras optimizer, and moving averages of players' weights.

    Keras saves, restores and hands over state through `model.optimizer`; so every slot of every player
    has to be reachable from there. Its own `iterations` counts the steps of the game.

    Args:
        optimizers: dict from player to a Keras optimizer (or its serialised config).
        momenta: dict from player to the momentum of the moving average of its weights; who is not named has none.
    """

    def __init__(self, optimizers: dict, momenta: dict[str, float] | None = None, name="player_optimizers"):
        super().__init__(learning_rate=0.0, name=name)
        self.by_player = {player: keras.optimizers.get(o) for player, o in optimizers.items()}
        self.momenta = dict(momenta or {})
        self.places: dict[str, tuple[int, int]] = {}  # of the averages among an optimizer's variables
        for player, optimizer in self.by_player.items():
            inner = _inner(optimizer)
            if inner.use_ema:  # Keras's average has no warm-up: the one below takes its place
                self.momenta.setdefault(player, inner.ema_momentum)
                inner.use_ema = False

    def build(self, variables_by_player: dict):
        """Create the averages and the slots of every player for its own variables."""
        if self.built:
            return
        super().build([])
        for player, optimizer in self.by_player.items():
            variables = variables_by_player[player]
            if player in self.momenta:
                # They are the optimizer's own variables, and so are saved and handed over with its slots.
                inner = _inner(optimizer)
                self.places[player] = len(inner.variables), len(inner.variables) + len(variables)
                for variable in variables:
                    inner.add_variable_from_reference(variable, name="average")
            optimizer.build(variables)

    @property
    def variables(self):
        """Own step counter, then every player's state, in the players' order."""
        return [*self._variables, *(v for o in self.by_player.values() for v in o.variables)]

    def average(self, player: str, variables: list) -> None:
        """Take a player's weights into their moving average, after a step of its optimizer.

        The momentum is min(m, (1 + t) / (10 + t)) with t steps before this one, and 0 in the first: so the average
        holds the trained weights of a short run too, and the initial ones never.
        """
        if player not in self.momenta:
            return
        before = ops.cast(_inner(self.by_player[player]).iterations, "float32") - 1.0
        momentum = ops.where(before > 0.0, ops.minimum(self.momenta[player], (1.0 + before) / (10.0 + before)), 0.0)
        for average, variable in zip(self._averages(player), variables, strict=True):
            weight = ops.cast(momentum, variable.dtype)
            average.assign(weight * average + (1.0 - weight) * variable)

    def averaged(self, player: str) -> list[np.ndarray] | None:
        """The moving averages of a player's weights; None where there are none, or before its first step."""
        if player not in self.momenta or not ops.convert_to_numpy(_inner(self.by_player[player]).iterations):
            return None
        return [ops.convert_to_numpy(average) for average in self._averages(player)]

    def _averages(self, player: str) -> list:
        first, last = self.places[player]
        return _inner(self.by_player[player]).variables[first:last]

    def finalize_variable_values(self, var_list):
        """Keep the trained weights: averaged ones are taken where they are exported."""

    def save_own_variables(self, store):
        """Save the step counter; Keras walks on to the players' optimizers by itself."""
        for index, variable in enumerate(self._variables):
            store[str(index)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        """Load what save_own_variables has written."""
        for index, variable in enumerate(self._variables):
            variable.assign(store[str(index)])

    def get_config(self):
        """Mirror __init__."""
        serialize = keras.optimizers.serialize
        optimizers = {player: serialize(o) for player, o in self.by_player.items()}
        return {"optimizers": optimizers, "momenta": self.momenta, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Bring every player's optimizer back."""
        optimizers = {p: keras.optimizers.deserialize(o) for p, o in config["optimizers"].items()}
        return cls(**{**config, "optimizers": optimizers})


def _inner(optimizer):
    """The optimizer itself, where another scales its losses."""
    return getattr(optimizer, "inner_optimizer", optimizer)


class AdversarialModel(keras.Model):
    """Base of every model: a subclass sets `players` and `terms` and writes `objective`.

    Attributes that a subclass defines:
        players: dict from a player's name to the list of its networks (built, disjoint).
        terms: names of the further scalars that `objective` returns for logging.
        rounds: tuples of the players that move together; a step plays the rounds in turn.
        averaged: players whose weights are also kept as an exponential moving average, which
            `averages` wears (the generating ones).
        frozen: as `players`: networks that lend their features and never move. A run starts from one that has
            trained them.
    """

    players: dict[str, list]
    terms: tuple[str, ...] = ()
    rounds: tuple[tuple[str, ...], ...]
    averaged: tuple[str, ...] = ()
    frozen: dict[str, list]

    def set_players(self, players: dict, rounds=None):
        """Name the players, and who moves together (by default all, from one forward pass)."""
        self.players, self.frozen = players, {}
        self.rounds = tuple(rounds or (tuple(players),))
        self.seeds = keras.random.SeedGenerator(0)
        playing = [player for player in players if any(player in round_ for round_ in self.rounds)]
        names = (*(f"{player}_loss" for player in playing), *self.terms)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
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

    def compile(self, optimizer=None, average=0.999, **kwargs):
        """Give every player its optimizer and build them.

        Args:
            optimizer: dict from player to optimizer; players left out take the model's default.
            average: momentum m of the moving average of `averaged` players' weights, 0 for none. It begins lower,
                min(m, (1 + t) / (10 + t)) after t steps.
            **kwargs: run_eagerly, steps_per_execution, jit_compile, as in Keras.

        Raises:
            ValueError: an optimizer is named for a player that the model has not.
        """
        if not isinstance(optimizer, PlayerOptimizers):
            optimizer = self._player_optimizers(optimizer or {}, average)
        optimizer.build({player: self.player_variables(player) for player in self.players})
        super().compile(optimizer=optimizer, auto_scale_loss=False, **kwargs)

    def _player_optimizers(self, given: dict, average: float) -> PlayerOptimizers:
        unknown = sorted(set(given) - set(self.players))
        if unknown:
            raise ValueError(f"no player is called {', '.join(unknown)}; there are {', '.join(self.players)}")
        chosen = {**self.default_optimizers(), **given}
        for player, chosen_optimizer in chosen.items():
            optimizer = keras.optimizers.get(chosen_optimizer)
            if self.dtype_policy.name == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            chosen[player] = optimizer
        return PlayerOptimizers(chosen, dict.fromkeys(self.averaged, average) if average else None)

    def get_compile_config(self):
        """The optimizers and switches that compile_from_config takes."""
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
        """Within it, `averaged` players wear their moving averages: for looking and for export.

        Before the first step there are none yet, and the weights stay as they are.
        """
        worn = {}
        for player in self.averaged:
            averages = self.optimizer.averaged(player)
            if averages is not None:
                variables = self.player_variables(player)
                worn[player] = [ops.convert_to_numpy(v) for v in variables]
                for variable, value in zip(variables, averages, strict=True):
                    variable.assign(value)
        try:
            yield self
        finally:
            for player, values in worn.items():
                for variable, value in zip(self.player_variables(player), values, strict=True):
                    variable.assign(value)

    def random_normal(self, shape):
        """Draw N(0, I) from the model's own generator, whose state is saved with the model."""
        return replicas.own_rows(lambda rows: keras.random.normal(rows, seed=self.seeds), shape)

    def random_uniform(self, shape):
        """Draw from the uniform distribution over 0..1 from the same generator."""
        return replicas.own_rows(lambda rows: keras.random.uniform(rows, seed=self.seeds), shape)

    def sample_posterior(self, mean, log_variance):
        """z = mean + eps * s, eps ~ N(0, I): the reparameterisation of Kingma & Welling 2014, eq. 4."""
        return mean + ops.exp(0.5 * log_variance) * self.random_normal(ops.shape(mean))

    def get_config(self):
        """Mirror __init__: a model keeps every argument of its own under the argument's name."""
        config = super().get_config()
        for base in type(self).__mro__[: type(self).__mro__.index(AdversarialModel)]:
            if "__init__" in vars(base):
                parameters = inspect.signature(vars(base)["__init__"]).parameters
                config |= {name: getattr(self, name) for name in parameters if name not in ("self", "kwargs")}
        return config

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
