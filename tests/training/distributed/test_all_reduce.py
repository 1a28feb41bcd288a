"""How tensors are grouped, and what one worker alone computes; what several do, test_workers.py tests."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.training.distributed import all_reduce, cluster, launcher, tf_config

ALONE = cluster.Cluster()
PAIR = cluster.Cluster(tf_config.Place(('a:1', 'b:2'), 0))


@pytest.mark.parametrize(('sizes', 'groups'), [
    ([], []), ([5], [[0]]), ([4, 4, 4], [[2, 1], [0]]), ([1, 2, 8, 1], [[3, 2], [1, 0]]), ([9, 9], [[1], [0]]),
    ([0, 10, 0], [[2, 1, 0]]),
])
def test_buckets_are_filled_from_the_last_tensor_on(sizes, groups):
    assert all_reduce.buckets(sizes, 10) == groups


def test_one_worker_alone_adds_nothing_to_the_graph():
    tensors = [tf.constant([1.0, 2.0])]
    size = len(tf.get_default_graph().get_operations())
    assert all_reduce.mean(ALONE, tensors) == tensors
    assert all_reduce.total(ALONE, tensors[0]) is tensors[0]
    assert ALONE.run_options() is None
    assert ALONE.gather('x') == ['x']
    assert len(tf.get_default_graph().get_operations()) == size
    with ALONE.joined(tf.ConfigProto()):
        assert ALONE.target == ''


@pytest.mark.parametrize('tensor', [tf.int32, tf.float64, None])
def test_what_cannot_be_averaged_is_refused(tensor):
    tensor = tf.placeholder(tf.float32, [None, 3]) if tensor is None else tf.zeros([2], tensor)
    with pytest.raises(ValueError, match='Only float32 tensors of known shapes'):
        all_reduce.mean(PAIR, [tensor])


def test_mean_sums_few_buckets_one_after_the_other():
    tensors = [tf.zeros([number, 10]) for number in range(1, 8)]
    means = all_reduce.mean(PAIR, tensors, bucket_bytes=400)
    assert [one.shape for one in means] == [one.shape for one in tensors]
    reductions = [op for op in tf.get_default_graph().get_operations() if op.type == 'CollectiveReduceV2']
    assert [op.inputs[0].shape.num_elements() for op in reductions] == [70, 60, 90, 60]
    keys = [int(tf.get_static_value(op.inputs[3])) for op in reductions]
    assert len(set(keys)) == len(keys)
    for before, op in zip(reductions, reductions[1:], strict=False):
        assert any(before in one.op.control_inputs for one in op.inputs)


def test_only_statistics_that_something_moves_are_averaged():
    with tf.variable_scope('bn', use_resource=True):
        moved, still = (tf.get_variable(name, [2], trainable=False, initializer=tf.zeros_initializer(),
                                        collections=['variables', 'model_variables']) for name in ('moved', 'still'))
    update = moved.assign_add([1.0, 3.0], read_value=False)
    given = []

    def reduce(tensors):
        given.extend(tensors)
        return [10 * one for one in tensors]

    means, updates = all_reduce.mean_with_statistics(reduce, [tf.constant(5.0)], [update])
    assert len(given) == 2
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run([means[0], *updates])[0] == 50
        np.testing.assert_array_equal(session.run(moved), [10, 30])
        np.testing.assert_array_equal(session.run(still), [0, 0])


def test_a_loss_of_a_worker_is_told_from_other_errors():
    text = ('Collective ops is aborted by: recvmsg:Connection reset by peer\nAdditional GRPC error information from '
            'remote target /job:worker/replica:0/task:1 while calling')
    with pytest.raises(cluster.LostWorkerError, match=r'^Stopped: worker 1 \(b:2\) is gone\. .* Go on\.$'), \
            PAIR.noticing_loss('Stopped', 'Go on.'):
        raise tf.errors.UnavailableError(None, None, text)
    with pytest.raises(tf.errors.InvalidArgumentError), PAIR.noticing_loss('Stopped'):
        raise tf.errors.InvalidArgumentError(None, None, f'Bad image\nRecent warning and error logs:\n{text}')
    with pytest.raises(tf.errors.UnavailableError), ALONE.noticing_loss('Stopped'):
        raise tf.errors.UnavailableError(None, None, text)


def test_a_port_in_use_is_said():
    import socket
    with socket.socket() as taken:
        taken.bind(('localhost', 0))
        taken.listen()
        port = taken.getsockname()[1]
        pair = cluster.Cluster(tf_config.Place((f'localhost:{port}', 'localhost:1'), 0))
        with pytest.raises(ValueError, match=rf'this is worker 0 \(localhost:{port}\), and no server can be started'), \
                pair.joined(tf.ConfigProto()):
            pass


def test_workers_that_do_not_start_are_named(monkeypatch):
    monkeypatch.setattr(cluster, '_START_SECS', 0)
    addresses = tuple(f'localhost:{port}' for port in launcher.free_ports(3))
    three = cluster.Cluster(tf_config.Place(addresses, 1))
    with pytest.raises(cluster.LostWorkerError, match=rf'^worker 0 \({addresses[0]}\), worker 2 \({addresses[2]}\) did '
                                                      'not start within 0 seconds'), three.joined(tf.ConfigProto()):
        pass
