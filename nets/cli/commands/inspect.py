"""`nets inspect`: what a file of weights is, holds and fits."""

from nets.cli import common

DESCRIPTION = ('Tells of a file of weights: its format, variables, the networks that it fits, number of classes, '
               'moving averages and state of an optimizer, numbers that cannot be right, and SHA-256. Reads TensorFlow '
               'checkpoints (V1 and V2), SavedModels, .h5, .weights.h5, .keras, .pth, .safetensors and .npz. Exit code '
               '1 if numbers cannot be right, or the file does not fit --network.')
_SHOWN = 12


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    parser.add_argument('checkpoint', metavar='CKPT', help='a file, the prefix of a checkpoint, or a directory')
    parser.add_argument('--network', metavar='NAME', help='say exactly how the file differs from this network')
    parser.add_argument('--num_classes', type=int, metavar='N',
                        help='number of classes that the network should have; by default that of the file')
    parser.add_argument('--ema', action='store_true', help='take the moving averages of a torch file')
    parser.add_argument('--all', action='store_true', help='list all variables and networks')


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    common.load_tensorflow()
    from nets.checkpoints import inspection
    found = inspection.inspect(arguments.checkpoint, arguments.network, arguments.num_classes, arguments.ema)
    if not arguments.json:
        print('\n'.join(_lines(found, None if arguments.all else _SHOWN)))
    if found['problems'] or found.get('difference'):
        found['exit_code'] = 1
    return found


def _lines(found, shown):
    """The results as text."""
    lines = [f'{found["path"]}: {found["format"]}' + (f', step {found["step"]}' if found['step'] is not None else '')]
    lines += [f'  {file["path"]}  {_size(file["bytes"])}  SHA-256 {file["sha256"]}' for file in found['files']]
    lines += ['', f'{len(found["variables"])} variables, {found["num_values"]:,} values, {_size(found["num_bytes"])}']
    lines += _table([(variable['name'], variable['type'], 'x'.join(map(str, variable['shape'])) or 'scalar',
                      _size(variable['bytes'])) for variable in found['variables']], shown)
    lines += ['', f'classes: {found["num_classes"] or "no classifier"}',
              f'moving averages: {"yes" if found["moving_averages"] else "no"}',
              f'optimizer: {", ".join(found["slots"]) or "yes" if found["optimizer"] else "no"}', '',
              'networks, by names and shapes (those of the same origin first; others compute something else):']
    lines += _table([(network['network'], 'fits' if network['fits'] else f'{network["matched"]} fit',
                      _count(network, 'missing'), _count(network, 'misshaped'), _count(network, 'unexpected'))
                     for network in found['networks'] if network['matched']], shown)
    lines += ['', 'numbers: ' + (f'{len(found["problems"])} problems' if found['problems'] else 'all sound')]
    lines += _table([(problem['name'], problem['problem']) for problem in found['problems']], None)
    if 'difference' in found:
        lines += ['', found['difference'] or 'It fits the network: no name is missing, unexpected or of another shape.']
    return lines


def _table(rows, shown):
    """Lines of columns, cut after some; None for all."""
    if not rows:
        return []
    cut = rows[:shown]
    widths = [max(len(row[column]) for row in cut) for column in range(len(cut[0]))]
    lines = ['  ' + '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cut]
    return lines + ([f'  … and {len(rows) - len(cut)} more (--all lists them)'] if len(rows) > len(cut) else [])


def _count(network, key):
    return f'{network[key]} {key}' if network[key] else ''


def _size(count):
    """A number of bytes for people."""
    for unit in ('bytes', 'kB', 'MB'):
        if count < 1000:
            return f'{count:.0f} bytes' if unit == 'bytes' else f'{count:.1f} {unit}'
        count /= 1000
    return f'{count:.2f} GB'
