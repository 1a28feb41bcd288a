"""Class maps of photographs of any size in bounded memory: seconds and peak memory of images of several sizes.

    python benchmarks/tiling.py [--sizes 1500x1000 6000x4000] [--tile_size 1025] [--overlap 0 32 64 128]

The photograph is a sample of scikit-learn's, enlarged. The network has random weights and a 1x1 convolution to 21
classes at output stride 16. Each run has a process of its own, which reads the image from a file (JPEG files are
decoded at once, to 4 bytes a pixel; of .npy files only the tiles are read) and writes the class map to another.
`--check` is the size at which tiles are compared with the whole image, for the overlap of the receptive field and for
those of `--overlap`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MEANS = np.float32([123.68, 116.78, 103.94])  # of the preset vgg


def make_photograph(width, height, path):
    """Writes the photograph, enlarged, as .npy or as an image file."""
    from PIL import Image
    from sklearn.datasets import load_sample_image
    image = Image.fromarray(load_sample_image('china.jpg')).resize((width, height), Image.Resampling.BICUBIC)
    if path.endswith('.npy'):
        np.save(path, np.asarray(image))
    else:
        image.save(path, quality=95)


def make_tiler(arguments):
    """A function of tile size and overlap that makes a tiler of logits; what runs the network; and its field."""
    import tensorflow.compat.v1 as tf

    from nets import nets_factory
    from nets.dense import receptive_field, tiling
    tf.disable_v2_behavior()
    tf.set_random_seed(1)
    images = tf.placeholder(tf.float32, [1, None, None, 3])
    logits, _ = nets_factory.get_network_fn(arguments.network, num_classes=21)(
        images, global_pool=False, spatial_squeeze=False, output_stride=arguments.output_stride)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    run_fn = session.make_callable(logits, [images])
    field = receptive_field.of_network(arguments.network, output_stride=arguments.output_stride)

    def tiler(tile_size, overlap):
        return tiling.Tiler(run_fn, field, tile_size, overlap, preprocess=lambda pixels: np.float32(pixels) - MEANS)

    return tiler, run_fn, field


def peak_memory():
    """The most memory that this process had, in MB."""
    with open('/proc/self/status', encoding='utf-8') as file:
        line, = [line for line in file if line.startswith('VmHWM:')]
    return int(line.split()[1]) / 1024


def measure(arguments):
    """Writes the class map of a file; prints what it took."""
    tiler, _, _ = make_tiler(arguments)
    calls = []
    start = time.perf_counter()
    tiler(arguments.tile_size, None).class_map(arguments.file, arguments.file + '.classes.npy',
                                               lambda *done: calls.append(done))
    return {'seconds': time.perf_counter() - start, 'MB': peak_memory(), 'tiles': len(calls)}


def check(arguments):
    """Compares tiles with the whole image, which this size leaves memory for."""
    tiler, run_fn, field = make_tiler(arguments)
    image = np.load(arguments.file)
    whole = run_fn(np.float32(image)[np.newaxis] - MEANS)[0]
    radius = field.reach().last
    rows = []
    for overlap in [*arguments.overlap, radius]:
        tile_size = arguments.tile_size - 2 * (radius - overlap)
        tiled = tiler(tile_size, overlap).run(image)
        error = np.abs(tiled - whole) / np.abs(whole).max()
        rows.append({'tile_size': tile_size, 'overlap': overlap, 'largest': float(error.max()),
                     'mean': float(error.mean()),
                     'same class': float((tiled.argmax(2) == whole.argmax(2)).mean())})
    return rows


def child(arguments, **changes):
    flags = {**vars(arguments), **changes}
    environment = dict(os.environ, PYTHONPATH=ROOT, TF_CPP_MIN_LOG_LEVEL='3', CUDA_VISIBLE_DEVICES='')
    output = subprocess.run([sys.executable, os.path.abspath(__file__), '--child', json.dumps(flags)], check=True,
                            env=environment, stdout=subprocess.PIPE).stdout
    return json.loads(output.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--network', default='resnet_v1_50')
    parser.add_argument('--output_stride', type=int, default=16)
    parser.add_argument('--sizes', nargs='+', default=['1500x1000', '6000x4000'], help='width x height')
    parser.add_argument('--formats', nargs='+', default=['npy', 'jpg'])
    parser.add_argument('--tile_size', type=int, default=1025)
    parser.add_argument('--overlap', type=int, nargs='*', default=[0, 32, 64, 128])
    parser.add_argument('--check', default='1500x1000', help='size of the comparison; empty for none')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        arguments = argparse.Namespace(**json.loads(arguments.child))
        print(json.dumps(globals()[arguments.task](arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        print('| image | format | tiles | s | peak MB |\n| --- | --- | --- | --- | --- |')
        for size in arguments.sizes:
            for kind in arguments.formats:
                path = os.path.join(folder, f'{size}.{kind}')
                make_photograph(*map(int, size.split('x')), path)
                row = child(arguments, task='measure', file=path)
                print(f'| {size} | {kind} | {row["tiles"]} | {row["seconds"]:.1f} | {row["MB"]:.0f} |', flush=True)
        if arguments.check:
            path = os.path.join(folder, 'check.npy')
            make_photograph(*map(int, arguments.check.split('x')), path)
            print('\n| overlap | tile | largest difference | mean | same class |\n| --- | --- | --- | --- | --- |')
            for row in child(arguments, task='check', file=path):
                print(f'| {row["overlap"]} | {row["tile_size"]} | {row["largest"]:.1e} | {row["mean"]:.1e} | '
                      f'{row["same class"]:.4f} |')


if __name__ == '__main__':
    main()
