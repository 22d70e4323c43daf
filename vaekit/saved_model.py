"""What a SavedModel may do before TensorFlow is let run it: a graph can read and write files like any program."""

from pathlib import Path

from vaekit.bundle import BundleError

FILE = "saved_model.pb"
OTHER_FILES = ("saved_model.cpb", "saved_model.pbtxt")
"""What TensorFlow would load instead."""

_ARITHMETIC = """
    Abs Add AddN AddV2 BiasAdd Cast Ceil ClipByValue Cos Div DivNoNan Elu Erf Erfc Exp Expm1 Floor FloorDiv FloorMod
    LeakyRelu LeftShift Log Log1p LogSoftmax Maximum Minimum Mod Mul MulNoNan Neg OnesLike Pow RealDiv Reciprocal Relu
    Relu6 RightShift Rint Round Rsqrt Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Square SquaredDifference
    Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy ZerosLike
"""
_COMPARISONS = """
    ApproximateEqual Equal Greater GreaterEqual IsFinite IsInf IsNan Less LessEqual LogicalAnd LogicalNot LogicalOr
    NotEqual Select SelectV2
"""
_REDUCTIONS = "All Any ArgMax ArgMin Cumprod Cumsum EuclideanNorm Max Mean Min Prod Sum TopKV2"
_SHAPES = """
    BatchToSpaceND BroadcastArgs BroadcastTo ConcatV2 Const DepthToSpace EnsureShape ExpandDims Fill GatherNd GatherV2
    LinSpace MirrorPad OneHot Pack Pad PadV2 Placeholder PreventGradient Range Rank Reshape ReverseV2 Roll ScatterNd
    Shape ShapeN Size Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze StopGradient StridedSlice
    TensorScatterUpdate Tile Transpose Unpack Where
"""
_NETWORKS = """
    AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv2DBackpropInput DepthwiseConv2dNative Einsum
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 MatMul MaxPool ReadVariableOp
"""
_PICTURES = """
    AdjustContrastv2 CropAndResize DecodeBmp DecodeGif DecodeImage DecodeJpeg DecodePng EncodePng ExtractImagePatches
    ImageProjectiveTransformV3 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
"""
_NOISE = """
    StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg StatelessRandomNormal
    StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformV2 StatelessTruncatedNormalV2
"""
_FLOW = """
    Assert Case Identity IdentityN If NoOp PartitionedCall StatefulPartitionedCall StatelessCase StatelessIf
    StatelessWhile TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListSetItem
    TensorListStack While
"""
_STRINGS = "StaticRegexFullMatch Substr"
ALLOWED = frozenset(
    " ".join([_ARITHMETIC, _COMPARISONS, _REDUCTIONS, _SHAPES, _NETWORKS, _PICTURES, _STRINGS, _NOISE, _FLOW]).split()
)
"""Ops that compute with what they are given, and touch nothing else."""


def check_ops(folder: Path) -> None:
    """Check that all that loading a SavedModel and calling its signatures can reach is made of allowed ops.

    What saves and restores variables is not reached: TensorFlow restores them by itself.

    Raises:
        BundleError: it holds another op, or it cannot be told what it holds.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    for name in OTHER_FILES:
        if (folder / name).exists():
            raise BundleError(f"{folder / name}: only {FILE} is loaded")
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString((folder / FILE).read_bytes())
    except (OSError, DecodeError) as error:
        raise BundleError(f"{folder / FILE}: cannot be read: {str(error).splitlines()[0]}") from None
    for graph in model.meta_graphs:
        if not graph.object_graph_def.nodes:  # TensorFlow 1: loading it runs the graph itself
            raise BundleError(f"{folder / FILE}: a SavedModel of TensorFlow 1 is not loaded")
        library = {function.signature.name: function for function in graph.graph_def.library.function}
        reached, ahead = set(), list(graph.object_graph_def.concrete_functions)
        while ahead:
            name = ahead.pop()
            if name in reached or name not in library:
                continue
            reached.add(name)
            for node in library[name].node_def:
                # An op can also be a function of the library.
                if node.op not in ALLOWED and node.op not in library:
                    raise BundleError(f"{folder / FILE}: holds the op {node.op}, which can do more than compute")
                ahead.append(node.op)
                for attribute in node.attr.values():
                    ahead += [attribute.func.name, *(function.name for function in attribute.list.func)]
