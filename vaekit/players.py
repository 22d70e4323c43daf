"""One optimizer for each player, and moving averages of players' weights."""

import keras
import numpy as np
from keras import ops


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
        super().__init__(learning_rate=0.0, name=name)  # a rate of its own that nobody takes
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

    @property
    def optimizers(self) -> list:
        """The players' optimizers: where it finds these, a callback of Keras works on each of them."""
        return list(self.by_player.values())

    @property
    def learning_rate(self):
        """The first player's learning rate. Setting it multiplies those of all players by the same factor."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, rate):
        first = float(ops.convert_to_numpy(self.learning_rate))
        if first:
            factor = float(rate) / first
            rates = [factor * float(ops.convert_to_numpy(o.learning_rate)) for o in self.optimizers]
        else:
            rates = [float(rate)] * len(self.optimizers)
        for optimizer, own in zip(self.optimizers, rates, strict=True):
            optimizer.learning_rate = own

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
