"""Training images per second on the CPU: this library's pipeline beside slim's and a loader of torch and Pillow.

    python benchmarks/data_pipeline.py [--presets inception torchvision vgg] [--starts 3] [--rounds 3] [--seconds 5]

All make batches of 224 pixels from the same JPEG files of 500 x 375 pixels, made from scikit-learn's two photos:

- `inception`: a random box of 5 to 100 % of the image, resized by one of four methods at random, mirrored half of the
  times, -1 to 1. No changes of the colours, which Pillow would need other means for.
- `torchvision`: a random box of 8 to 100 %, resized by the antialiased bilinear method, mirrored half of the times,
  standardised by the channels' means and deviations.
- `vgg`, the default of slim's scripts for these networks: resized by the bilinear method to a random short side of 256
  to 512, a random box of 224 by 224, mirrored half of the times, less the channels' means.

The sides:

- `nets`: `nets.data.pipeline` with the preset of that name, from TFRecord files.
- `nets_whole`: the same, but whole images are decoded, and cropped then.
- `slim`: how slim's scripts are built, by slim itself: `DatasetDataProvider` (4 readers) of the same files, which
  decodes whole images, then the operations above, `tf.train.batch` (4 threads) and `prefetch_queue`.
- `torch`: `DataLoader` (2 workers) of image files, decoded, cropped, resized and mirrored by Pillow.

Each has a process of its own, which waits while another one works: they work in turn, round by round, so that a busy
machine slows all of them. They are started several times, as the same program is up to a third faster in one process
than in another. What was made in advance is thrown away before a round is timed. The table has the median rate, the
processor's time for an image with that of the side's own processes, which other programs disturb least, and the medians
of the rounds' ratios of both to `nets`: how many times as fast `nets` is.
"""

import argparse
import functools
import json
import math
import multiprocessing
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SIZE = 224
WIDTH, HEIGHT = 500, 375
NUM_IMAGES = 512
MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VGG_MEANS, VGG_SIDES = (123.68, 116.78, 103.94), (256, 512)
AREAS = {'inception': (0.05, 1.0), 'torchvision': (0.08, 1.0)}
PRESETS = (*AREAS, 'vgg')
RATIOS = (3 / 4, 4 / 3)
# More batches than any side makes in advance.
WARM_UP = 12
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def write_images(folder, quality):
    """Writes the images as files and as TFRecord files."""
    import sklearn
    from PIL import Image

    from nets.data import conversion
    photos = pathlib.Path(sklearn.__file__).parent / 'datasets' / 'images'
    sources = [Image.open(photos / name).convert('RGB') for name in ('china.jpg', 'flower.jpg')]
    total = 0
    for index in range(NUM_IMAGES):
        name = ('china', 'flower')[index % 2]
        left, top = index % 37, index % 23
        image = sources[index % 2].resize((WIDTH + left, HEIGHT + top)).crop((left, top, WIDTH + left, HEIGHT + top))
        path = pathlib.Path(folder, 'images', 'train', name, f'{index:03d}.jpg')
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=quality)
        total += path.stat().st_size
    conversion.convert(os.path.join(folder, 'images'), os.path.join(folder, 'records'), num_shards=4)
    return total / NUM_IMAGES


def nets_side(folder, preset, batch_size, whole=False):
    import tensorflow.compat.v1 as tf

    from nets.data import datasets, images, pipeline, preprocessing
    options = {'colour': False} if preset == 'inception' else {}

    def preprocess(image, height, width, seed):
        image = images.whole(image) if whole else image
        return preprocessing.get_preprocessing(preset, True)(image, height, width, seed, **options)

    dataset = datasets.get_dataset('tfrecords', 'train', os.path.join(folder, 'records'))
    batches = pipeline.batches(dataset, preprocess, SIZE, SIZE, batch_size, pipeline.Share(seed=0))
    iterator = tf.data.make_initializable_iterator(batches)
    batch = iterator.get_next()
    session = tf.Session()
    session.run(iterator.initializer)
    return session.make_callable([batch['image'].op, batch['label'].op])


def slim_side(folder, preset, batch_size):
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    import nets.slim_compat  # noqa: F401, makes tf_slim's decoders work
    decoder = slim.tfexample_decoder.TFExampleDecoder(
        {'image/encoded': tf.FixedLenFeature([], tf.string, ''),
         'image/format': tf.FixedLenFeature([], tf.string, 'jpg'),
         'image/class/label': tf.FixedLenFeature([], tf.int64, 0)},
        {'image': slim.tfexample_decoder.Image(), 'label': slim.tfexample_decoder.Tensor('image/class/label')})
    dataset = slim.dataset.Dataset(os.path.join(folder, 'records', '*.tfrecord'), tf.TFRecordReader, decoder,
                                   NUM_IMAGES, {'image': '', 'label': ''})
    provider = slim.dataset_data_provider.DatasetDataProvider(
        dataset, num_readers=4, common_queue_capacity=20 * batch_size, common_queue_min=10 * batch_size)
    image, label = provider.get(['image', 'label'])
    image = slim_vgg(image) if preset == 'vgg' else slim_box(image, preset)
    batch = tf.train.batch([image, label], batch_size, num_threads=4, capacity=5 * batch_size)
    images, labels = slim.prefetch_queue.prefetch_queue(list(batch), capacity=2).dequeue()
    session = tf.Session()
    tf.train.start_queue_runners(session)
    return session.make_callable([images.op, labels.op])


def slim_box(image, preset):
    import tensorflow.compat.v1 as tf
    start, size, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image), tf.constant([[[0., 0., 1., 1.]]]), min_object_covered=0.1 if preset == 'inception' else 0.0,
        aspect_ratio_range=RATIOS, area_range=AREAS[preset], max_attempts=100, use_image_if_no_bounding_boxes=True)
    if preset == 'inception':
        image = tf.slice(tf.image.convert_image_dtype(image, tf.float32), start, size)[tf.newaxis]
        methods = [tf.image.resize_bilinear, tf.image.resize_nearest_neighbor, tf.image.resize_bicubic,
                   tf.image.resize_area]
        image = tf.switch_case(tf.random_uniform([], 0, len(methods), tf.int32),
                               [functools.partial(method, image, [SIZE, SIZE]) for method in methods])[0]
    else:
        image = tf.compat.v2.image.resize(tf.slice(image, start, size), [SIZE, SIZE], antialias=True) / 255.
    image.set_shape([SIZE, SIZE, 3])
    image = tf.image.random_flip_left_right(image)
    if preset == 'inception':
        return (tf.clip_by_value(image, 0., 1.) - 0.5) * 2.
    return (image - tf.constant(MEANS)) / tf.constant(DEVIATIONS)


def slim_vgg(image):
    import tensorflow.compat.v1 as tf
    size = tf.to_float(tf.shape(image)[:2])
    side = tf.random_uniform([], VGG_SIDES[0], VGG_SIDES[1] + 1, tf.int32)
    new_size = tf.to_int32(tf.rint(size * tf.to_float(side) / tf.reduce_min(size)))
    image = tf.image.resize_bilinear(image[tf.newaxis], new_size)[0]
    top, left = (tf.random_uniform([], 0, new_size[axis] - SIZE + 1, tf.int32) for axis in (0, 1))
    image = tf.slice(image, tf.stack([top, left, 0]), [SIZE, SIZE, 3])
    image.set_shape([SIZE, SIZE, 3])
    image = tf.image.random_flip_left_right(tf.to_float(image))
    return tf.concat([channel - mean for channel, mean in zip(tf.split(image, 3, 2), VGG_MEANS)], 2)


class TorchImages:
    """The image files, as a data set of torch."""

    def __init__(self, folder, preset):
        import torch
        from PIL import Image
        self._torch, self._open = torch, Image.open
        self._paths = sorted(pathlib.Path(folder, 'images', 'train').glob('*/*.jpg'))
        self._area = AREAS.get(preset)
        filters = Image.Resampling
        self._filters = ([filters.BILINEAR, filters.NEAREST, filters.BICUBIC, filters.BOX] if preset == 'inception' else
                         [filters.BILINEAR])
        moments = {'inception': ((0.5,) * 3,) * 2, 'torchvision': (MEANS, DEVIATIONS), 'vgg': (VGG_MEANS, None)}
        means, deviations = moments[preset]
        self._means = torch.tensor(means).view(3, 1, 1)
        self._deviations = torch.tensor(deviations).view(3, 1, 1) if deviations else None
        self._mirror = Image.Transpose.FLIP_LEFT_RIGHT

    def __len__(self):
        return len(self._paths)

    def _box(self, width, height):
        """As torchvision's RandomResizedCrop draws it."""
        for _ in range(10):
            area = width * height * random.uniform(*self._area)
            ratio = math.exp(random.uniform(*map(math.log, RATIOS)))
            box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < box_width <= width and 0 < box_height <= height:
                left, top = random.randint(0, width - box_width), random.randint(0, height - box_height)
                return left, top, left + box_width, top + box_height
        return 0, 0, width, height

    def __getitem__(self, index):
        with self._open(self._paths[index]) as file:
            image = file.convert('RGB')
        if self._area:
            image = image.crop(self._box(*image.size)).resize((SIZE, SIZE), random.choice(self._filters))
        else:
            scale = random.randint(*VGG_SIDES) / min(image.size)
            image = image.resize([round(size * scale) for size in image.size], self._filters[0])
            left, top = (random.randint(0, size - SIZE) for size in image.size)
            image = image.crop((left, top, left + SIZE, top + SIZE))
        if random.random() < 0.5:
            image = image.transpose(self._mirror)
        tensor = self._torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float()
        if self._deviations is None:
            return tensor.sub_(self._means), index % 2
        return tensor.div_(255).sub_(self._means).div_(self._deviations), index % 2


def torch_side(folder, preset, batch_size):
    import torch
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(TorchImages(folder, preset), batch_size, shuffle=True, num_workers=2,
                                         drop_last=True, persistent_workers=True)

    def endless():
        while True:
            yield from loader

    return functools.partial(next, endless())


SIDES = {'nets': nets_side, 'nets_whole': functools.partial(nets_side, whole=True), 'slim': slim_side,
         'torch': torch_side}


def processor_seconds():
    """The processor's time of this process and those that it started."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        fields = pathlib.Path(f'/proc/{child.pid}/stat').read_text().rsplit(')', 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
    return total


def work(side, folder, preset, batch_size):
    """Answers each line of standard input, a time in seconds, with the images per second and the seconds per image."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    sys.path.insert(0, ROOT)
    if side != 'torch':
        import tensorflow.compat.v1 as tf
        tf.logging.set_verbosity('ERROR')
        tf.disable_v2_behavior()
    run = SIDES[side](folder, preset, batch_size)
    run()
    print('ready', flush=True)
    for line in sys.stdin:
        for _ in range(WARM_UP):
            run()
        begin, used, count = time.perf_counter(), processor_seconds(), 0
        while time.perf_counter() - begin < float(line):
            run()
            count += batch_size
        print(json.dumps([count / (time.perf_counter() - begin), (processor_seconds() - used) / count]), flush=True)


def start(side, folder, preset, batch_size):
    process = subprocess.Popen([sys.executable, __file__, '--work', side, folder, preset, str(batch_size)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               stderr=None if os.environ.get('SHOW') else subprocess.DEVNULL)
    if process.stdout.readline() != 'ready\n':
        sys.exit(f'{side} does not run. With SHOW=1 in the environment it says why.')
    return process


def measure(folder, preset, arguments):
    results = {side: [] for side in arguments.sides}
    for _ in range(arguments.starts):
        processes = {side: start(side, folder, preset, arguments.batch_size) for side in arguments.sides}
        for _ in range(arguments.rounds):
            for side, process in processes.items():
                process.stdin.write(f'{arguments.seconds}\n')
                process.stdin.flush()
                results[side].append(json.loads(process.stdout.readline()))
        for process in processes.values():
            process.kill()
            process.wait()
    first = results[arguments.sides[0]]
    for side, rounds in results.items():
        rate, used = (statistics.median(column) for column in zip(*rounds))
        rate_ratio = statistics.median(base[0] / other[0] for base, other in zip(first, rounds))
        used_ratio = statistics.median(other[1] / base[1] for base, other in zip(first, rounds))
        print(f'| {preset} | {side} | {rate:.0f} | {1 / used:.0f} | {used * 1000:.2f} | {rate_ratio:.2f} | '
              f'{used_ratio:.2f} |', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--presets', nargs='+', choices=PRESETS, default=PRESETS)
    parser.add_argument('--sides', nargs='+', choices=SIDES, default=list(SIDES))
    parser.add_argument('--batch_size', type=int, default=32)
    parser.add_argument('--quality', type=int, default=95, help='of the JPEG files')
    parser.add_argument('--starts', type=int, default=3, help='how often the processes are started anew')
    parser.add_argument('--rounds', type=int, default=3, help='of each start')
    parser.add_argument('--seconds', type=float, default=5)
    parser.add_argument('--work', nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work[:3], int(arguments.work[3]))
        return
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    sys.path.insert(0, ROOT)
    with tempfile.TemporaryDirectory() as folder:
        size = write_images(folder, arguments.quality)
        print(f'{NUM_IMAGES} images of {size / 1000:.0f} kB, batches of {arguments.batch_size}, '
              f'{len(os.sched_getaffinity(0))} cores')
        print('| preset | side | images/s | images/s and core | CPU ms/image | nets is faster by | by CPU time |')
        print('| --- | --- | --- | --- | --- | --- | --- |')
        for preset in arguments.presets:
            measure(folder, preset, arguments)


if __name__ == '__main__':
    main()
