"""Replicas of tf.distribute, each of which sees its rows of one batch."""

import tensorflow as tf


def is_distributed():
    """Whether what is built now will have replicas."""
    return tf.distribute.has_strategy()


def all_reduce_sum(tensor):
    """The sum of every replica's tensor, on each of them; gradients go back to all."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensor
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def local_rows(draw, shape):
    """This replica's rows of what one process would have drawn for the whole batch."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return draw(shape)
    rows = shape[0]
    drawn = draw((rows * replica.num_replicas_in_sync, *shape[1:]))
    first = tf.cast(replica.replica_id_in_sync_group, tf.int32) * rows
    return drawn[first : first + rows]


def all_gather(tensor):
    """Every replica's rows, on each of them; gradients go back to whose rows they are."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensor
    rows, place = tf.shape(tensor)[0], tf.cast(replica.replica_id_in_sync_group, tf.int32)
    around = [[rows * place, rows * (replica.num_replicas_in_sync - 1 - place)], *[[0, 0]] * (len(tensor.shape) - 1)]
    return all_reduce_sum(tf.pad(tensor, around))


def mean(tensor):
    """The mean of every replica's tensor, on each of them."""
    return all_reduce_sum(tensor / tf.distribute.get_strategy().num_replicas_in_sync)
