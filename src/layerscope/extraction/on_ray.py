"""The parts of a corpus made by a Ray cluster: the driver reads and records, actors make whole parts and write them.

An actor loads the model itself and proves that it is the driver's, makes parts as `make_here` does, and writes each
to the folder that all machines share. Parts that were with an actor that died are made by another. The bytes are
those of the local engine where the versions, the device and the number of threads are the same; other numbers of
threads may sum in another order, and so may change the last bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from layerscope.errors import InputError, LayerscopeError, MissingExtraError
from layerscope.extraction.crew import Crew
