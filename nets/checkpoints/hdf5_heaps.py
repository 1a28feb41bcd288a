"""Checks the part of an HDF5 file in which damage makes the HDF5 library go round for ever: the heaps of its texts.

An attribute whose value is a text, such as the name of a layer, refers to an object in a global heap (HDF5 File Format
Specification, section III.E). The library steps from object to object by sizes that have no checksum, and never leaves
one of size 0.
"""

import mmap
import struct

# Signature, version and reserved bytes; then the size of the heap, which counts them, and its objects.
_HEAD = b'GCOL\x01\0\0\0'
_SIZE = struct.Struct('<Q')
_OBJECT = struct.Struct('<HHIQ')  # number, 0 for what is free; references; reserved; size


def check_file(path):
    """As `check`, of a file.

    Args:
        path: The file.

    Raises:
        ValueError: The steps through a heap do not end where it ends.
        OSError: The file cannot be read.
    """
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        check(content)


def check(content):
    """Steps through all global heaps as the library does.

    Args:
        content: The bytes of a file, or an `mmap`.

    Raises:
        ValueError: The steps through a heap do not end where it ends.
    """
    begin = content.find(_HEAD)
    while begin >= 0:
        _check_heap(content, begin)
        begin = content.find(_HEAD, begin + 1)


def _check_heap(content, begin):
    place = begin + len(_HEAD) + _SIZE.size
    if place > len(content):
        return  # the library sees that the file ends
    end = begin + _SIZE.unpack_from(content, begin + len(_HEAD))[0]
    if end > len(content):
        return
    while place + _OBJECT.size <= end:
        number, _, _, size = _OBJECT.unpack_from(content, place)
        step = _OBJECT.size + -(-size // 8) * 8 if number else size
        if not 0 < step <= end - place:
            raise ValueError(f'the heap of texts at byte {begin} is damaged: its object at byte {place} has the size '
                             f'{size}')
        place += step
