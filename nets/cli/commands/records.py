"""`nets records`: images into TFRecord files, and their verification."""

import contextlib
import shutil
import sys

from nets.cli import common
from nets.cli.commands import extract

DESCRIPTION = ('Writes images to TFRecord files of slim\'s schema, in an order that --seed decides, with labels.txt '
               'and NAME_SPLIT.manifest.json. Every image is decoded once to check it; its bytes are kept as they are, '
               'those of CMYK, GIF and BMP, too. A call that was killed goes on when it is repeated. The same images '
               'give the same bytes, whatever the number of workers. Or verifies such files (--check).')
_BAR = '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]'


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument('--images', metavar='DIR|CSV',
                      help='a folder with one folder of images for each class, or with folders train, validation and '
                      'test of such; or a CSV file with lines PATH,LABEL, the images of the split')
    task.add_argument('--check', metavar='DIR',
                      help='compare the files in DIR with their manifests, and read every record')
    parser.add_argument('--output', metavar='DIR', help='folder to write to')
    parser.add_argument('--name', help='name of the data set; by default that of the folder or CSV file')
    parser.add_argument('--split', default='train', help='train, validation or test; any name for a CSV file (train)')
    parser.add_argument('--shards', type=int, metavar='N', help='number of files; by default one for 1,250 images')
    parser.add_argument('--workers', type=int, metavar='N',
                        help='number of processes, or of files read at a time; by default no more than cores')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='decides the order of the images (0)')
    parser.add_argument('--held_out', type=float, metavar='FRACTION',
                        help='part of a folder without train and validation that is for validation and test, by a '
                        'hash of CLASS/FILE (0.2); 0 for none')
    parser.add_argument('--labels', metavar='FILE',
                        help='names of all classes, a line ID:NAME each; by default labels.txt in the output, or else '
                        'the classes that are there, sorted')
    parser.add_argument('--skip_corrupt', action='store_true', help='leave out images that cannot be decoded')
    parser.add_argument('--overwrite', action='store_true', help='replace files of that name and split')


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    common.load_tensorflow()
    return _check(arguments) if arguments.check else _convert(arguments)


def _convert(arguments):
    from nets.data import conversion
    if not arguments.output:
        raise ValueError('--output must name a folder to write to.')
    with _bar('writing', ' images') as on_progress:
        result = conversion.convert(
            arguments.images, arguments.output, arguments.name, arguments.split, arguments.shards,
            arguments.workers, arguments.seed, arguments.held_out, arguments.labels, arguments.skip_corrupt,
            arguments.overwrite, on_progress, common.load_tensorflow)
    extract.report_corrupt(result['corrupt'])
    if result['manifest']:
        print(f'Wrote {result["examples"]} images of {result["classes"]} classes to {result["shards"]} files; see '
              f'{result["manifest"]}.{_kept(result)}', file=sys.stderr)
    else:
        print(f'{arguments.output} has no new files yet. Mend these images or leave them out by --skip_corrupt, and '
              'repeat the call: files without any of them are kept.', file=sys.stderr)
    others = {key: count for key, count in result['formats'].items() if key not in ('jpg', 'png')}
    if others:
        print(f'Kept as they are: {", ".join(f"{count} {key.upper()}" for key, count in others.items())}. nets reads '
              'them; slim reads no GIF.', file=sys.stderr)
    return dict(result, exit_code=int(not result['manifest']))


def _kept(result):
    return f' {result["shards_kept"]} of them were there.' if result['shards_kept'] else ''


def _check(arguments):
    from nets import cores
    from nets.data import manifest
    with _bar('checking', 'B', unit_scale=True) as on_progress:
        result = manifest.check(arguments.check, arguments.workers or cores.count(), on_progress)
    for problem in result['problems']:
        print(problem, file=sys.stderr)
    print(f'{result["files"]} files with {result["records"]} records, {result["bytes"]} bytes: '
          f'{len(result["problems"]) or "no"} problems.', file=sys.stderr)
    return dict(result, exit_code=int(bool(result['problems'])))


@contextlib.contextmanager
def _bar(description, unit, **options):
    """A function of what is done and of all that shows a progress bar on a terminal."""
    from tqdm import tqdm

    # tqdm itself takes the size 0 of a terminal that does not tell for the room that there is.
    columns, rows = shutil.get_terminal_size()
    with tqdm(desc=description, unit=unit, bar_format=_BAR, ncols=columns, nrows=rows,
              disable=not sys.stderr.isatty(), **options) as bar:
        def show(done, total):
            bar.total = total
            bar.update(done - bar.n)

        yield show
