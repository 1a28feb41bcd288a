"""Parquet: a row for each image, with the columns `name` and END_POINT, a list of fixed size.

The shape of the features, which are flat there, is in the metadata of their column, as JSON under `shape`.
"""

import json


def check(end_points):
    if 'name' in end_points:
        raise ValueError("The end point 'name' has the name of the column of the file names.")
    _import()


def write(path, rows):
    pa, pq = _import()
    fields = [pa.field('name', pa.string())]
    for end_point, shape in rows.shapes.items():
        size = 1
        for length in shape:
            size *= length
        kind = pa.list_(pa.from_numpy_dtype(rows.dtype), size)
        fields.append(pa.field(end_point, kind, metadata={'shape': json.dumps(shape)}))
    schema = pa.schema(fields)
    with pq.ParquetWriter(path, schema) as writer:
        for names, arrays in rows.blocks():
            # Names that are no UTF-8 cannot be in such a column.
            columns = [pa.array([name.encode('utf-8', 'backslashreplace').decode('utf-8') for name in names])]
            columns += [pa.FixedSizeListArray.from_arrays(pa.array(arrays[field.name].ravel()), field.type.list_size)
                        for field in fields[1:]]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _import():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow; run: pip install 'tf1-nets[parquet]'") from error
    return pyarrow, pyarrow.parquet
