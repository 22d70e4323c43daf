"""A stand-in for TensorFlow Serving's binary: its own messages, on the SavedModels of a folder.

`python tests/serving_stub.py FOLDER` serves until standard input ends, and prints both addresses.
"""

import base64
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import orjson
import tensorflow as tf
from google.protobuf import any_pb2, json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

LARGEST = 2**31 - 1
"""Bytes of a message: what TensorFlow Serving sets, and protobuf can hold."""
PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)")
STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class ServingError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Models:
    """SavedModels by name and version; what both interfaces share.

    Attributes:
        calls: signatures that were asked for, in turn.
        busy: so many calls are answered that the queue is full.
        ends_after: so many calls are answered; then the server closes. None is never.
    """

    def __init__(self, folder):
        self.found = {(path.parent.name, int(path.name)): path for path in Path(folder).glob("*/[0-9]*")}
        self.loaded = {}
        self.lock = threading.Lock()
        self.calls, self.busy, self.ends_after, self.close = [], 0, None, None

    def key(self, name, version):
        versions = [number for model, number in self.found if model == name]
        if not versions or (version and version not in versions):
            wanted = f"Specific({name}, {version})" if version else f"Latest({name})"
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return name, version or max(versions)

    def signature(self, name, version, wanted):
        key = self.key(name, version)
        with self.lock:
            if key not in self.loaded:
                self.loaded[key] = tf.saved_model.load(str(self.found[key]))
        wanted = wanted or "serving_default"
        signatures = self.loaded[key].signatures
        if wanted not in signatures:
            message = f'Serving signature name: "{wanted}" not found in signature def'
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)
        return signatures[wanted]

    def definitions(self, name, version):
        path = self.found[self.key(name, version)]
        (graph,) = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs
        found = get_model_metadata_pb2.SignatureDefMap()
        for key, definition in graph.signature_def.items():
            found.signature_def[key].CopyFrom(definition)
        return found

    def run(self, name, signature, inputs):
        with self.lock:
            if self.ends_after == len(self.calls):
                threading.Thread(target=self.close).start()
                raise ServingError(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
            self.calls.append((name, signature.name, len(next(iter(inputs.values())))))
            if self.busy:
                self.busy -= 1
                message = "The batch scheduling queue to which this task was submitted is full"
                raise ServingError(grpc.StatusCode.UNAVAILABLE, message)
        try:
            return {key: value.numpy() for key, value in signature(**inputs).items()}
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models):
        self.models = models

    def Predict(self, request, context):  # noqa: N802
        spec = request.model_spec
        try:
            signature = self.models.signature(spec.name, spec.version.value, spec.signature_name)
            inputs = {
                key: tf.constant(tf.make_ndarray(proto), tf.dtypes.as_dtype(proto.dtype), shape(proto))
                for key, proto in request.inputs.items()
            }
            outputs = self.models.run(spec.name, signature, inputs)
        except ServingError as error:
            context.abort(error.code, str(error))
        response = predict_pb2.PredictResponse(model_spec=spec)
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(field_proto(value))
        return response

    def GetModelMetadata(self, request, context):  # noqa: N802
        spec = request.model_spec
        if list(request.metadata_field) != ["signature_def"]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Metadata field is not supported")
        try:
            found = self.models.definitions(spec.name, spec.version.value)
        except ServingError as error:
            context.abort(error.code, str(error))
        packed = any_pb2.Any()
        packed.Pack(found)
        return get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec, metadata={"signature_def": packed})


def shape(proto):
    return [side.size for side in proto.tensor_shape.dim]


def field_proto(value):
    """A TensorProto as TensorFlow Serving answers: floats in `float_val`, not in `tensor_content`."""
    if value.dtype != np.float32:
        return tf.make_tensor_proto(value)
    proto = tf.make_tensor_proto([], tf.float32)
    proto.ClearField("tensor_shape")
    for side in value.shape:
        proto.tensor_shape.dim.add(size=side)
    proto.float_val.extend(value.ravel().tolist())
    return proto


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet
    models = None

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        found = PATH.fullmatch(self.path)
        try:
            if found is None:
                raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, f"Malformed request: {self.command} {self.path}")
            name, version, what = found[1], int(found[2] or 0), found[3]
            status, told = 200, self.predict(name, version, body) if what == ":predict" else self.told(name, version)
        except ServingError as error:
            status, told = STATUSES[error.code], {"error": str(error)}
        data = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def told(self, name, version):
        definitions = json.loads(
            json_format.MessageToJson(
                self.models.definitions(name, version),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
        )
        spec = {"name": name, "signature_name": "", "version": str(version)}
        return {"model_spec": spec, "metadata": {"signature_def": definitions}}

    def predict(self, name, version, body):
        try:
            asked = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, f"JSON Parse error: {error}") from None
        signature = self.models.signature(name, version, asked.get("signature_name"))
        rows = "instances" in asked
        specs = signature.structured_input_signature[1]
        given = asked["instances"] if rows else asked["inputs"]
        if rows:
            if len(specs) == 1 and not isinstance(given[0], dict):
                given = [{next(iter(specs)): item} for item in given]
            given = {key: [item[key] for item in given] for key in given[0]}
        elif not isinstance(given, dict):
            given = {next(iter(specs)): given}
        if given.keys() != specs.keys():
            message = f"input size does not match signature: {len(given)}!={len(specs)}"
            raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)
        inputs = {key: tensor(given[key], spec) for key, spec in specs.items()}
        outputs = self.models.run(name, signature, inputs)
        values = {
            key: value if value.dtype == np.float32 else [{"b64": base64.b64encode(each).decode()} for each in value]
            for key, value in outputs.items()
        }
        lone = next(iter(values.values()))
        return {"predictions": lone} if rows else {"outputs": lone}

    def log_message(self, *_):
        pass


def tensor(values, spec):
    """A tensor of JSON: base64 is for strings alone, and numbers are lists."""
    try:
        if spec.dtype == tf.string:
            values = [base64.b64decode(each["b64"]) if isinstance(each, dict) else each for each in values]
            return tf.constant(values, tf.string)
        return tf.constant(np.array(values, spec.dtype.as_numpy_dtype))
    except (TypeError, ValueError):
        message = f"JSON Value: {str(values)[:40]} Type: Object is not of expected type: {spec.dtype.name}"
        raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, message) from None


class Stub:
    """Both interfaces, on ports of their own.

    Attributes:
        rest, grpc: addresses, as --runtime takes them.
        models: see Models.
    """

    def __init__(self, folder, threads=2):
        self.models = Models(folder)
        self.models.close = self.close
        handler = type("Bound", (Handler,), {"models": self.models})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True)
        self.rpc = grpc.server(
            ThreadPoolExecutor(threads),
            options=[("grpc.max_receive_message_length", LARGEST), ("grpc.max_send_message_length", LARGEST)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(self.models), self.rpc)
        port = self.rpc.add_insecure_port("127.0.0.1:0")
        self.rest = f"http://127.0.0.1:{self.http.server_port}"
        self.grpc = f"grpc://127.0.0.1:{port}"

    def __enter__(self):
        self.thread.start()
        self.rpc.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.rpc.stop(None).wait()


if __name__ == "__main__":
    with Stub(sys.argv[1]) as stub:
        print(stub.rest, stub.grpc, flush=True)
        sys.stdin.read()
