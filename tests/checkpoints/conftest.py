import sys

# Restoring is for TensorFlow 1.15 as well; what these test is for Python 3.10 and later.
if sys.version_info < (3, 10):
    collect_ignore = [f'test_{name}.py' for name in (
        'convert', 'convert_verify', 'formats', 'hostile', 'inspection', 'nvidia', 'preset_file', 'writers')]
