"""The shape of the project: what imports what, what the wheel holds, and what importing costs."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# A module imports only from rows above its own, or from its own package.
LEVELS = [
    ['nets.atomic_file', 'nets.cores', 'nets.error_text', 'nets.slim_compat'],
    ['nets.complexity', 'nets.convolution', 'nets.initializers'],
    ['nets.layers'],
    ['nets.units'],
    ['nets.resnet_utils'],
    ['nets.resnet_network'],
    ['nets.resnet'],
    ['nets.resnet_v1', 'nets.resnet_v2', 'nets.resnet_v15', 'nets.resnet_nvidia', 'nets.resnet_small'],
    ['nets.resnet_v1_beta', 'nets.resnext'],
    ['nets.resnet_keras'],
    ['nets.nets_factory'],
    ['nets.dense', 'nets.recompute'],
    ['nets.data'],
    ['nets.checkpoints'],
    ['nets.inference'],
    ['nets.applications', 'nets.training'],
    ['nets.segmentation'],
    ['nets.cli'],
    ['nets.__main__'],
]


def level_of(name):
    for level, rooms in enumerate(LEVELS):
        for room in rooms:
            if name == room or name.startswith(room + '.'):
                return level, room
    raise AssertionError('{} has no level; add it to LEVELS'.format(name))


def modules():
    for folder, _, files in os.walk(os.path.join(ROOT, 'nets')):
        for file in files:
            if file.endswith('.py'):
                path = os.path.join(folder, file)
                name = os.path.relpath(path, ROOT)[:-len('.py')].replace(os.sep, '.')
                name = name[:-len('.__init__')] if name.endswith('.__init__') else name
                with open(path, encoding='utf-8') as source:
                    yield name, ast.parse(source.read())


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module + '.' + alias.name


# Outside the core, sources have syntax that Python 3.7 cannot parse.
parses_all = pytest.mark.skipif(sys.version_info < (3, 10), reason='not all sources are for this Python')


@parses_all
def test_imports_point_down_only():
    seen = 0
    for name, tree in modules():
        if name == 'nets':
            continue
        level, room = level_of(name)
        for imported in imports(tree):
            if imported.startswith('nets.') and imported != 'nets.__version__':
                other, other_room = level_of(imported)
                assert other < level or other_room == room, '{} imports {}'.format(name, imported)
                seen += 1
    assert seen > 20


# What every namedtuple, and `os`, offer to the public.
PUBLIC = ('_asdict', '_fields', '_make', '_replace', '_exit')


@parses_all
def test_private_names_stay_in_slim_compat():
    for name, tree in modules():
        if not name.startswith('nets.slim_compat'):
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr.startswith('_') and not node.attr.startswith('__'):
                    own = isinstance(node.value, ast.Name) and node.value.id in ('self', 'cls')
                    assert own or node.attr in PUBLIC, '{} uses {}'.format(name, ast.dump(node))
            for imported in imports(tree):
                private = imported.startswith(('tensorflow.python', 'tf_slim.'))
                assert not private, '{} imports {}'.format(name, imported)


@parses_all
def test_flags_are_read_in_cli_only():
    for name, tree in modules():
        if not name.startswith('nets.cli'):
            assert not [i for i in imports(tree) if i.startswith('absl.flags') or i == 'absl.app'], name


def test_importing_the_package_imports_nothing():
    code = ('import sys, nets; assert "tensorflow" not in sys.modules; assert "resnet_v1" in dir(nets); '
            'assert nets.__version__')
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


def test_submodules_resolve_on_first_access_and_others_are_an_error():
    import nets
    assert nets.resnet_v1.resnet_v1_50.__module__ == 'nets.resnet_v1'
    with pytest.raises(AttributeError, match="'nets' has no attribute 'resnet_v3'"):
        getattr(nets, 'resnet_v' + '3')


@pytest.mark.skipif(sys.version_info < (3, 10), reason='the wheel is for Python 3.10 and later')
def test_the_wheels_only_top_level_package_is_nets(tmp_path):
    source, out = tmp_path / 'source', tmp_path / 'out'
    shutil.copytree(os.path.join(ROOT, 'nets'), str(source / 'nets'))
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(os.path.join(ROOT, name), str(source))
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '-w', str(out), str(source)], check=True)
    wheel, = [name for name in os.listdir(str(out)) if name.endswith('.whl')]
    with zipfile.ZipFile(str(out / wheel)) as archive:
        names = archive.namelist()
    tops = {name.split('/')[0] for name in names}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'nets'}
    sources = {name for name in names if name.startswith('nets/')}
    expected = {name.replace('.', '/') for name, _ in modules()}
    assert {name[:-len('.py')].replace('/__init__', '') for name in sources} == expected
