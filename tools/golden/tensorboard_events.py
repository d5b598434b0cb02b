"""The event file that TensorBoard's own writer makes of a small run, read back by its own reader.

Writes crates/rollout/testdata/tensorboard/. Run by hand, with tensorboard 2.21.0:
python tools/golden/tensorboard_events.py
"""

import math
import pathlib

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub.io.gfile import GFile
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

START = 1.75e9 + 0.5
FOLDER = pathlib.Path(__file__).parents[2] / "crates/rollout/testdata/tensorboard"
PATH = FOLDER / "events.out.tfevents.1750000000.align-pro"


def step(reward):
    seconds = {"backward": 0.0, "reward": 0.0, "sampling": 0.5, "scoring": 0.0, "target": 0.25, "total": 1.5}
    timings = {f"seconds/{name}": value for name, value in seconds.items()}
    return {"kl": 0.25, "reward": reward} | timings


EVENTS = [
    (1, START + 1.5, step(-0.5)),
    (300, START + 3.0, step(math.nan)),
    (300, START + 3.0, {"eval/reward": 0.75}),
]


def write():
    FOLDER.mkdir(parents=True, exist_ok=True)
    with GFile(str(PATH), "wb") as file:
        writer = RecordWriter(file)
        writer.write(event_pb2.Event(wall_time=START, file_version="brain.Event:2").SerializeToString())
        for step, wall_time, values in EVENTS:
            event = event_pb2.Event(wall_time=wall_time, step=step)
            for tag, value in values.items():
                event.summary.value.add(tag=tag, simple_value=value)
            writer.write(event.SerializeToString())
        writer.flush()


def read_back():
    accumulator = event_accumulator.EventAccumulator(str(PATH)).Reload()
    found = sorted(
        (tag, point.step, point.wall_time, float(tensor_util.make_ndarray(point.tensor_proto)))
        for tag in accumulator.Tags()["tensors"]
        for point in accumulator.Tensors(tag)
    ) + sorted(
        (tag, point.step, point.wall_time, point.value)
        for tag in accumulator.Tags()["scalars"]
        for point in accumulator.Scalars(tag)
    )
    expected = sorted((tag, step, time, value) for step, time, values in EVENTS for tag, value in values.items())
    assert repr(found) == repr(expected), (found, expected)


if __name__ == "__main__":
    write()
    read_back()
