import sys

# Restoring is for TensorFlow 1.15 as well; what these test needs a newer one, and imports it.
if sys.version_info < (3, 10):
    collect_ignore = ['test_convert.py', 'test_convert_verify.py', 'test_nvidia.py', 'test_preset_file.py',
                      'test_writers.py']
