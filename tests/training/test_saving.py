"""Checkpoints: when they are due, and none with a value that is not finite."""

import os
import resource

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.training import saving


@pytest.fixture
def variables():
    return (tf.get_variable('net/w', initializer=tf.constant([1.0, 2.0])),
            tf.get_variable('global_step', initializer=tf.constant(7, tf.int64), trainable=False))


def test_bad_value_is_named_and_not_written(tmp_path, variables):
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        good = checkpointer.save(session, 7)
        before = sorted(os.listdir(str(tmp_path)))
        variables[0].load(np.array([1.0, np.inf], np.float32), session)
        with pytest.raises(FloatingPointError, match=r'step 8: 1 variables are not finite \(net/w.*' + good):
            checkpointer.save(session, 8)
    assert sorted(os.listdir(str(tmp_path))) == before


def test_due_by_the_clock(tmp_path, variables):
    now = [0.0]
    checkpointer = saving.Checkpointer(str(tmp_path), 60, clock=lambda: now[0])
    due = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for seconds in (59, 60, 61, 119, 121):
            now[0] = seconds
            due.append(checkpointer.due())
            if due[-1]:
                checkpointer.save(session, seconds)
    assert due == [False, True, False, False, True]


def test_resumed_run_keeps_counting_the_old_checkpoints(tmp_path, variables):
    def run(steps, resume=False):
        checkpointer = saving.Checkpointer(str(tmp_path), 60)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            if resume:
                found = saving.newest_checkpoint(str(tmp_path))
                checkpointer.resume_from(found.path, found.step)
            for step in steps:
                session.run(tf.assign(variables[1], step))
                checkpointer.save(session, step)

    run([1, 2, 3, 4])
    run([5, 6, 7], resume=True)
    kept = sorted(name for name in os.listdir(str(tmp_path)) if name.endswith('.index'))
    assert kept == [f'model.ckpt-{step}.index' for step in (3, 4, 5, 6, 7)]


def test_directory_that_vanished_is_said_with_the_step(tmp_path, variables):
    checkpointer = saving.Checkpointer(str(tmp_path / 'file' / 'below'), 60)
    (tmp_path / 'file').write_text('')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(ValueError, match='checkpoint of step 3 cannot be written'):
            checkpointer.save(session, 3)


def test_newest_checkpoint_of_nothing_of_step_0_and_of_no_run(tmp_path, variables):
    assert saving.newest_checkpoint(str(tmp_path / 'none')) is None
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        checkpointer.save(session, 7)
        assert saving.newest_checkpoint(str(tmp_path))[:2] == (str(tmp_path / 'model.ckpt-7'), 7)
        session.run(tf.assign(variables[1], 0))
        checkpointer.save(session, 0)
        assert saving.newest_checkpoint(str(tmp_path)) is None
        os.makedirs(str(tmp_path / 'other'))
        tf.train.Saver([variables[0]]).save(session, str(tmp_path / 'other' / 'weights'), write_meta_graph=False)
    with pytest.raises(ValueError, match='has no global_step'):
        saving.newest_checkpoint(str(tmp_path / 'other'))


@pytest.mark.parametrize('harm', ['truncated data', 'flipped bit', 'missing data', 'empty index', 'lost state file'])
def test_damaged_checkpoint_falls_back_to_the_one_before(harm, tmp_path, variables, caplog):
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for step in (1, 2, 3):
            session.run([tf.assign(variables[1], step), tf.assign(variables[0], [step, step])])
            checkpointer.save(session, step)
    data = tmp_path / 'model.ckpt-3.data-00000-of-00001'
    if harm == 'truncated data':
        data.write_bytes(data.read_bytes()[:-1])
    elif harm == 'flipped bit':
        content = bytearray(data.read_bytes())
        content[3] ^= 1
        data.write_bytes(content)
    elif harm == 'missing data':
        data.unlink()
    elif harm == 'empty index':
        (tmp_path / 'model.ckpt-3.index').write_bytes(b'')
    else:
        (tmp_path / 'checkpoint').unlink()
    found = saving.newest_checkpoint(str(tmp_path))
    expected = 3 if harm == 'lost state file' else 2
    assert found.step == expected
    assert found.reader.get_tensor('net/w').tolist() == [expected, expected]
    assert ('model.ckpt-3 cannot be read' in caplog.text) == (expected == 2)


def test_only_damaged_checkpoints_are_an_error(tmp_path, variables):
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        checkpointer.save(session, 3)
    (tmp_path / 'model.ckpt-3.index').write_bytes(b'no index')
    with pytest.raises(ValueError, match='No checkpoint in --train_dir=.* can be read.*model.ckpt-3.*Remove them'):
        saving.newest_checkpoint(str(tmp_path))


def test_checkpoints_of_later_steps_and_strangers(tmp_path, variables):
    """A run that went back takes the later ones away, and leaves files alone that are not its own."""
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    (tmp_path / 'elsewhere').mkdir()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / 'elsewhere' / 'model.ckpt'), global_step=9)
        tf.train.update_checkpoint_state(str(tmp_path), str(tmp_path / 'elsewhere' / 'model.ckpt-9'))
        for step in (10, 20, 15):
            checkpointer.save(session, step)
    assert sorted(one.name for one in tmp_path.glob('*.index')) == ['model.ckpt-10.index', 'model.ckpt-15.index']
    assert (tmp_path / 'elsewhere' / 'model.ckpt-9.index').exists()
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-15')


def test_disk_that_takes_no_more_keeps_the_old_checkpoint(tmp_path, variables):
    """A limit on the size of files stands in for the disk's: the kernel refuses to write, in the middle of a file."""
    tf.get_variable('net/large', initializer=tf.zeros([100000]))
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        good = checkpointer.save(session, 3)
        before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
        resource.setrlimit(resource.RLIMIT_FSIZE, (200000, hard))
        try:
            with pytest.raises(ValueError, match=f'step 4 cannot be written.*File too large.*last good one is {good}'):
                checkpointer.save(session, 4)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
        assert saving.newest_checkpoint(str(tmp_path)) is not None
        checkpointer.save(session, 5)  # there is room again
    assert (tmp_path / 'model.ckpt-5.index').exists()
