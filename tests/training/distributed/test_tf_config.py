"""The environment variable TF_CONFIG, as clusters set it and as people get it wrong; and slim's flags beside it."""

import json

import pytest

from nets.training.distributed import settings, slim_flags, tf_config


def _read(cluster=None, task=None, **others):
    return tf_config.read({'TF_CONFIG': json.dumps({'cluster': cluster, 'task': task, **others})})


@pytest.mark.parametrize('environ', [{}, {'TF_CONFIG': ''}, {'TF_CONFIG': '{}'}, {'TF_CONFIG': '{"cluster": {}}'}])
def test_one_process_alone(environ):
    place = tf_config.read(environ)
    assert (place.num_workers, place.index, place.addresses) == (1, 0, ())


@pytest.mark.parametrize('cluster', [{'worker': ['a:1']}, {'chief': ['a:1'], 'evaluator': ['b:2']}])
def test_one_process_that_trains_needs_no_server(cluster):
    assert _read(cluster, {'type': next(iter(cluster)), 'index': 0}).addresses == ()


# What Kubeflow's training operator sets: the index is an integer, and there is more than TensorFlow asks for.
@pytest.mark.parametrize(('kind', 'index', 'rank'), [('chief', 0, 0), ('worker', 0, 1), ('worker', 1, 2)])
def test_the_chief_comes_first(kind, index, rank):
    cluster = {'worker': ['job-worker-0.ns.svc:2222', 'job-worker-1.ns.svc:2222'], 'chief': ['job-chief-0.ns.svc:2222'],
               'evaluator': ['job-evaluator-0.ns.svc:2222']}
    place = _read(cluster, {'type': kind, 'index': index}, environment='cloud')
    assert place.addresses == (cluster['chief'][0], *cluster['worker'])
    assert place.index == rank


def test_masters_are_chiefs_texts_are_indices_and_addresses_may_be_of_ipv6():
    place = _read({'master': ['[::1]:1'], 'worker': ['b:2']}, {'type': 'worker', 'index': '0'})
    assert (place.addresses, place.index) == (('[::1]:1', 'b:2'), 1)
    assert tf_config.split_address('[::1]:1') == ('[::1]', 1)


def test_a_place_is_read_as_it_was_written():
    place = tf_config.Place(('a:1', 'b:2'), 1)
    assert tf_config.read({'TF_CONFIG': place.to_json()}) == place


TWO = {'worker': ['a:1', 'b:2']}
FIRST = {'type': 'worker', 'index': 0}


@pytest.mark.parametrize(('cluster', 'task', 'message'), [
    (['a:1'], FIRST, '"cluster" must be an object with the keys chief, master, worker, ps, evaluator'),
    ({'workers': ['a:1']}, FIRST, '"cluster" must be an object with the keys chief'),
    ({'worker': 'a:1'}, FIRST, '"worker" must be a list of texts "host:port"'),
    ({'worker': {'0': 'a:1'}}, FIRST, '"worker" must be a list of texts "host:port"'),
    ({'worker': ['a:1', 2]}, FIRST, '"worker" must be a list of texts "host:port"'),
    ({'worker': ['a:1', 'b']}, FIRST, "the address 'b' of \"worker\" is not"),
    ({'worker': ['a:1', ':2']}, FIRST, "the address ':2' of \"worker\" is not"),
    ({'worker': ['a:1', 'b:0']}, FIRST, "the address 'b:0' of \"worker\" is not"),
    ({'worker': ['a:1', 'b:65536']}, FIRST, "the address 'b:65536' of \"worker\" is not"),
    ({'worker': ['a:1', 'a:1']}, FIRST, "the address 'a:1' is there twice"),
    ({'worker': ['a:1'], 'chief': ['a:1']}, FIRST, "the address 'a:1' is there twice"),
    ({'worker': ['a:1'], 'chief': ['b:1', 'c:1']}, FIRST, 'there can be one chief only'),
    ({'worker': ['a:1'], 'ps': ['b:1']}, FIRST, 'there are no parameter servers here'),
    (TWO, None, '"task" must be an object'),
    (TWO, {'index': 0}, '"task" must be an object'),
    (TWO, {'type': 'boss', 'index': 0}, "the type of the task must be one of chief, master, worker, ps, evaluator, not "
                                        "'boss'"),
    (TWO, {'type': 'worker', 'index': 2}, 'the index of the task must be an integer in [0, 2), as the cluster has 2 of '
                                          "the type 'worker'; it is 2"),
    (TWO, {'type': 'worker', 'index': -1}, 'it is -1'),
    (TWO, {'type': 'worker', 'index': True}, 'it is True'),
    (TWO, {'type': 'worker', 'index': 'one'}, "it is 'one'"),
    (TWO, {'type': 'chief', 'index': 0}, "as the cluster has 0 of the type 'chief'"),
    ({**TWO, 'evaluator': ['c:3']}, {'type': 'evaluator', 'index': 0}, 'this process is an evaluator, and this command '
                                                                      'trains'),
])
def test_what_is_wrong_is_said_with_an_example(cluster, task, message):
    with pytest.raises(ValueError, match='TF_CONFIG is wrong') as raised:
        _read(cluster, task)
    assert message in str(raised.value)
    assert f'It must look like {tf_config.EXAMPLE}; got {{"cluster":' in str(raised.value)


@pytest.mark.parametrize(('text', 'message'), [('{', 'it is not JSON'), ('[1]', 'it is no JSON object')])
def test_what_is_no_object_is_said(text, message):
    with pytest.raises(ValueError, match=f'TF_CONFIG is wrong: {message}'):
        tf_config.read({'TF_CONFIG': text})


def test_the_example_is_right():
    assert tf_config.read({'TF_CONFIG': tf_config.EXAMPLE}).num_workers == 2


ALONE, SECOND = tf_config.Place(), tf_config.Place(('a:1', 'b:2'), 1)


@pytest.mark.parametrize(('flags', 'place'), [
    ({}, ALONE), ({'sync_replicas': True, 'replicas_to_aggregate': 1, 'worker_replicas': 1}, ALONE), ({}, SECOND),
    ({'sync_replicas': True, 'replicas_to_aggregate': 2, 'worker_replicas': 2, 'task': 1}, SECOND),
])
def test_flags_of_slim_that_agree_are_taken(flags, place):
    slim_flags.check(settings.DistributedConfig(**flags), place)


@pytest.mark.parametrize(('flags', 'place', 'message'), [
    ({'master': 'grpc://a:1'}, ALONE, '--master=grpc://a:1 has no use'),
    ({'num_ps_tasks': 2}, ALONE, '--num_ps_tasks=2: there are no parameter servers'),
    ({'worker_replicas': 3, 'task': 2}, ALONE, '--worker_replicas=3, and TF_CONFIG names no cluster'),
    ({'worker_replicas': 3}, SECOND, '--worker_replicas=3, and TF_CONFIG names 2 workers'),
    ({'task': 2}, SECOND, '--task=2, and TF_CONFIG names 2 workers, of which this process is number 1.'),
    ({'task': 1}, ALONE, '--task=1, and TF_CONFIG names no cluster'),
    ({'replicas_to_aggregate': 3}, SECOND, '--replicas_to_aggregate=3: every step takes the gradients of all 2'),
])
def test_flags_of_slim_that_do_not_agree_say_what_replaces_them(flags, place, message):
    with pytest.raises(ValueError, match='^--') as raised:
        slim_flags.check(settings.DistributedConfig(**flags), place)
    assert str(raised.value).startswith(message)


def test_the_replacement_is_one_that_can_be_used():
    with pytest.raises(ValueError, match='TF_CONFIG') as raised:
        slim_flags.check(settings.DistributedConfig(worker_replicas=3, task=2), ALONE)
    text = str(raised.value).partition("TF_CONFIG='")[2].partition("'")[0]
    assert tf_config.read({'TF_CONFIG': text}) == tf_config.Place(('HOST0:2222', 'HOST1:2222', 'HOST2:2222'), 2)


@pytest.mark.parametrize(('name', 'value'), [('num_clones', 0), ('task', -1), ('collective_timeout_secs', 0),
                                             ('all_reduce_megabytes', float('inf'))])
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f'{name} must be'):
        settings.DistributedConfig(**{name: value})
