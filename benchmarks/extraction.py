"""Images per second of `nets.FeatureExtractor.stream` over JPEG files, beside computing alone and decoding alone.

    python benchmarks/extraction.py [--engines tensorflow onnxruntime] [--files 64] [--batch 8] [--rounds 7] [--memory]

ResNet-50 at 224 pixels with random weights; the files are crops of scikit-learn's two sample photos, resized to 500 by
375 (`pip install '.[demo]'`). Each engine has a process of its own, and all parts run in turn, round by round, so that
a busy machine slows all of them: `stream` reads, decodes, prepares and computes; `bare` computes ready arrays, by a
session on the folded graph or by ONNX Runtime alone; `decode` does all but computing. The table has the median rates,
the processor's time for an image, which other processes disturb least, and medians of the rounds' ratios: of stream to
bare, and of the time that stream takes to that of decode and bare one after the other, which is less than 1 where they
overlap. `--memory` adds the peak memory of an extraction of 200 and of 4000 files, by resnet_v1_14 at 32 pixels.
"""

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import inference
import numpy as np

PARTS = ('stream', 'bare', 'decode')
BARE = {'tensorflow': 'nets', 'onnxruntime': 'onnxruntime'}  # of inference.py
SIZE = 500, 375  # width and height


def write_photos(folder, count):
    """Writes different JPEG files and returns their paths."""
    import tensorflow as tf
    from sklearn import datasets
    photos, rng, paths = datasets.load_sample_images().images, np.random.RandomState(0), []
    for number in range(count):
        photo = photos[number % len(photos)]
        top, left = (rng.randint(0, size // 4) for size in photo.shape[:2])
        part = photo[top:top + photo.shape[0] * 3 // 4, left:left + photo.shape[1] * 3 // 4]
        paths.append(os.path.join(folder, f'{number:05d}.jpg'))
        tf.io.write_file(paths[-1], tf.io.encode_jpeg(tf.cast(tf.image.resize(part, SIZE[::-1]), tf.uint8)))
    return paths


def parts_of(engine, checkpoint, paths, batch_size):
    """Functions that run each of `PARTS` once over all images."""
    import nets
    from nets.checkpoints import preset_file
    from nets.inference import images
    extractor = nets.FeatureExtractor('resnet_v1_50', checkpoint, ['predictions'], batch_size=batch_size, engine=engine)
    bare = inference.ENGINES[BARE[engine]](checkpoint, {})
    preset = extractor.weights.preset
    prepare = functools.partial(preset_file.preprocess_fn(preset), height=preset.image_size, width=preset.image_size)

    def decode():
        source = images.Files(paths)
        return [batch.images for batch in images.batches(source, prepare, preset.image_size, batch_size)]

    ready = np.concatenate(decode())

    def compute():
        for first in range(0, len(ready), batch_size):
            bare(ready[first:first + batch_size])

    return {'stream': lambda: sum(1 for _ in extractor.stream(paths)), 'bare': compute, 'decode': decode}


def work(engine, checkpoint, folder, batch_size):
    """Answers each line of standard input, a part's name, with the images per second and the processor's ms for one."""
    prepare_process()
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    parts = parts_of(engine, checkpoint, paths, int(batch_size))
    print('ready', flush=True)
    for line in sys.stdin:
        begin, cpu = time.perf_counter(), time.process_time()
        parts[line.strip()]()
        print(json.dumps([len(paths) / (time.perf_counter() - begin),
                          (time.process_time() - cpu) * 1000 / len(paths)]), flush=True)


def measure_memory(checkpoint, folder, count):
    """Prints the peak memory of an extraction in MB."""
    prepare_process()
    from nets.inference import extraction
    names = sorted(os.listdir(folder))
    with tempfile.TemporaryDirectory() as output:
        spec = os.path.join(output, 'images.txt')
        with open(spec, 'w', encoding='utf-8') as file:
            file.writelines(os.path.join(folder, names[number % len(names)]) + '\n' for number in range(int(count)))
        extraction.extract('resnet_v1_14', checkpoint, spec, os.path.join(output, 'out.npy'))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def prepare_process():
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    sys.path.insert(0, inference.ROOT)
    import tensorflow.compat.v1 as tf
    tf.logging.set_verbosity('ERROR')


def command(*arguments):
    return [sys.executable, '-W', 'ignore', __file__, *map(str, arguments)]


def measure_rates(arguments, checkpoint, photos):
    """Prints the table of rates."""
    processes = {engine: subprocess.Popen(
        command('--work', engine, checkpoint, photos, arguments.batch), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=None if os.environ.get('SHOW') else subprocess.DEVNULL)
        for engine in arguments.engines}
    for process in processes.values():
        inference.answer(process)
    rounds = [{(engine, part): json.loads(inference.ask(process, part)) for engine, process in processes.items()
               for part in PARTS} for _ in range(arguments.rounds + 1)][1:]  # the first is a warm-up
    for process in processes.values():
        process.stdin.close()
        process.wait()
    print('| engine | images/s: stream, bare, decode | CPU ms/image | stream to bare | time: stream to both |\n'
          '| --- | --- | --- | --- | --- |')
    for engine in arguments.engines:
        rates, times = ([[one[engine, part][column] for part in PARTS] for one in rounds] for column in (0, 1))
        cells = [', '.join(f'{statistics.median(values):.{digits}f}' for values in zip(*table))
                 for table, digits in ((rates, 1), (times, 0))]
        to_bare = statistics.median(stream / bare for stream, bare, _ in rates)
        to_both = statistics.median(1 / stream / (1 / bare + 1 / decode) for stream, bare, decode in rates)
        print('| {} | {} | {:.2f} | {:.2f} |'.format(engine, ' | '.join(cells), to_bare, to_both))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--engines', nargs='+', default=list(BARE), choices=BARE)
    parser.add_argument('--files', type=int, default=64)
    parser.add_argument('--batch', type=int, default=8, help='images computed at a time')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--memory', action='store_true', help='measure the peak memory, too')
    parser.add_argument('--work', nargs=4, help=argparse.SUPPRESS)
    parser.add_argument('--work_memory', nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return
    if arguments.work_memory:
        measure_memory(*arguments.work_memory)
        return
    prepare_process()
    with tempfile.TemporaryDirectory() as folder:
        photos = os.path.join(folder, 'photos')
        os.mkdir(photos)
        write_photos(photos, arguments.files)
        measure_rates(arguments, inference.write_checkpoint(folder), photos)
        if arguments.memory:
            checkpoint = inference.write_checkpoint(folder, 'resnet_v1_14')
            for count in (200, 4000):
                done = subprocess.run(command('--work_memory', checkpoint, photos, count), check=True, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                print(f'peak memory over {count} files: {float(done.stdout):.0f} MB')


if __name__ == '__main__':
    main()
