"""A training run that is killed with SIGKILL at random points, and one that is not.

    python killed_run.py IMAGES FOLDER KILLS STEPS

Trains the tiny network for STEPS steps in `FOLDER/whole`, and in `FOLDER/parts` again and again: each process is killed
after a random time, but for the last one. Every process is a fork of this one, which has imported TensorFlow and never
run it, so that most of the time goes into training. Prints the steps at which the runs began, as JSON.
"""

import json
import os
import random
import signal
import sys
import time

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tiny_network  # noqa: E402

sys.path.insert(0, tiny_network.ROOT)


def fork(train_dir, images, steps, seed):
    """Starts the run in a process of its own; returns its number."""
    process = os.fork()
    if not process:
        from nets.training import config, loop
        tiny_network.register()
        loop.train(config.TrainConfig(
            train_dir=train_dir, model_name='tiny', log_every_n_steps=1, seed=seed, batch_norm_decay=0.5,
            moving_average_decay=0.9, max_number_of_steps=steps, save_interval_secs=0.05,
            data=config.DataConfig(dataset_name='image_folder', dataset_dir=images, batch_size=4),
            optimizer=config.OptimizerConfig(optimizer='momentum'),
            schedule=config.ScheduleConfig(learning_rate_decay_type='cosine', learning_rate=0.02)))
        os._exit(0)
    return process


def newest_step(train_dir):
    """The step of the newest checkpoint, by the names of the files; -1 if there is none."""
    names = os.listdir(train_dir) if os.path.isdir(train_dir) else []
    return max([int(name[len('model.ckpt-'):-len('.index')]) for name in names if name.endswith('.index')], default=-1)


def main():
    images, folder, kills, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    import tensorflow.compat.v1 as tf

    from nets.training import loop  # noqa: F401, so that the forks need not import it
    tf.disable_v2_behavior()
    whole, parts = os.path.join(folder, 'whole'), os.path.join(folder, 'parts')
    assert os.waitpid(fork(whole, images, steps, 7), 0)[1] == 0
    random.seed(0)
    begun = []
    for _ in range(kills):
        begun.append(newest_step(parts))
        process = fork(parts, images, steps, 7)
        # It writes checkpoints most of the time, so many of the kills come while it does.
        deadline = time.monotonic() + random.uniform(0.5, 60)
        target = begun[-1] + random.randint(0, 3)
        while newest_step(parts) < target and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL, 'the run ended before it was killed; take more steps'
    assert os.waitpid(fork(parts, images, steps, 99), 0)[1] == 0
    print(json.dumps(begun))


if __name__ == '__main__':
    main()
