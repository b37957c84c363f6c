"""The scripts that are written for models which a container cannot load by itself.

Each has ``model_fn`` and, where the container's own would not do, ``predict_fn``; the container's defaults
read requests and write answers. They run in the containers of sklearn and pytorch, whose defaults hand over
a numpy array or a tensor.
"""

from __future__ import annotations

MLFLOW_FOLDER = "mlflow"

# joblib reads what pickle wrote as well, and every scikit-learn brings it.
_SKLEARN = '''\
"""Loads the model for the scikit-learn container, whose defaults read requests and write answers."""

import os

import joblib


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, {name!r}))


def predict_fn(data, model):
    # The container reads one row of CSV as a flat array, and estimators take tables.
    return model.predict(data.reshape(1, -1) if getattr(data, "ndim", 2) == 1 else data)
'''

_ONNX = '''\
"""Serves an ONNX model by onnxruntime; the container's defaults read requests and write answers."""

import os

import numpy
import onnxruntime

# What ONNX calls the types of tensors, and what numpy does.
TYPES = {{
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}}


def model_fn(model_dir):
    session = onnxruntime.InferenceSession(os.path.join(model_dir, {name!r}))
    inputs = [each.name for each in session.get_inputs()]
    if len(inputs) != 1:
        raise ValueError("the model has the inputs " + ", ".join(inputs) + ": it needs a script of its own")
    return session


def predict_fn(data, session):
    """The model's first output; of a classifier, the labels."""
    wanted = session.get_inputs()[0]
    # The PyTorch container hands over a tensor, perhaps one on a GPU.
    array = numpy.asarray(data.cpu() if hasattr(data, "cpu") else data)
    # One row of CSV is a flat array, and the model takes a batch of them.
    array = array.reshape((1,) * (len(wanted.shape) - array.ndim) + array.shape)
    return session.run(None, {{wanted.name: array.astype(TYPES.get(wanted.type, array.dtype))}})[0]
'''
# A release with wheels for each Python that containers have. numpy is left to the container: its other
# packages are compiled for the one that it brings, and onnxruntime takes that.
ONNX_REQUIREMENTS = b"""\
onnxruntime==1.23.2; python_version >= "3.10"
onnxruntime==1.19.2; python_version >= "3.8" and python_version < "3.10"
onnxruntime==1.14.1; python_version < "3.8"
"""

_PICKLED_MODULE = '''\
"""Loads a pickled module for the PyTorch container, whose defaults do the rest."""

import os

import torch


def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # The file holds the module itself, not its weights alone.
    model = torch.load(os.path.join(model_dir, {name!r}), map_location=device, weights_only=False)
    return model.eval()
'''

_MLFLOW = '''\
"""Serves an MLflow model as a python_function; the container's defaults read requests and write answers."""

import os

import mlflow.pyfunc
import numpy
import pandas


def model_fn(model_dir):
    return mlflow.pyfunc.load_model(os.path.join(model_dir, {folder!r}))


def predict_fn(data, model):
    # The PyTorch container hands over a tensor, perhaps one on a GPU.
    array = numpy.asarray(data.cpu() if hasattr(data, "cpu") else data)
    answer = model.predict(shaped(array, model.metadata.get_input_schema()))
    return answer.to_numpy() if hasattr(answer, "to_numpy") else answer


def shaped(array, schema):
    """The request as the model's signature has it: MLflow converts no types that could lose something."""
    if schema is not None and schema.is_tensor_spec():
        spec = schema.inputs[0]
        array = array.reshape((1,) * (len(spec.shape) - array.ndim) + array.shape).astype(spec.type)
        return {{spec.name: array}} if spec.name else array
    # One row of CSV is a flat array.
    table = array.reshape(1, -1) if array.ndim < 2 else array
    if schema is None:
        return pandas.DataFrame(table)
    types = dict(zip(schema.input_names(), schema.pandas_types()))
    return pandas.DataFrame(table, columns=list(types)).astype(types)
'''


def for_sklearn(name: str) -> bytes:
    """Loads what joblib or pickle wrote."""
    return _SKLEARN.format(name=name).encode()


def for_onnx(name: str) -> bytes:
    """Serves a model with one input; needs ``ONNX_REQUIREMENTS``."""
    return _ONNX.format(name=name).encode()


def for_pickled_module(name: str) -> bytes:
    """Loads what ``torch.save(model)`` wrote, where the module's classes can be imported. PyTorch 1.13 on."""
    return _PICKLED_MODULE.format(name=name).encode()


def for_mlflow() -> bytes:
    """Loads an MLflow model from ``MLFLOW_FOLDER``; needs MLflow and the model's own requirements."""
    return _MLFLOW.format(folder=MLFLOW_FOLDER).encode()
