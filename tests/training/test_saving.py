"""Checkpoints: when they are due, and none with a value that is not finite."""

import os

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
                checkpointer.resume_from(*saving.newest_checkpoint(str(tmp_path)))
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
    assert saving.newest_checkpoint(str(tmp_path / 'none')) == (None, 0)
    checkpointer = saving.Checkpointer(str(tmp_path), 60)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        checkpointer.save(session, 7)
        assert saving.newest_checkpoint(str(tmp_path)) == (str(tmp_path / 'model.ckpt-7'), 7)
        session.run(tf.assign(variables[1], 0))
        checkpointer.save(session, 0)
        assert saving.newest_checkpoint(str(tmp_path)) == (None, 0)
        tf.train.Saver([variables[0]]).save(session, str(tmp_path / 'weights'), write_meta_graph=False)
    with pytest.raises(ValueError, match='has no global_step'):
        saving.newest_checkpoint(str(tmp_path))
