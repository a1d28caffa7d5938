import os
import socket
import subprocess
import sys
import time

import pytest

import layerscope as ls


@pytest.fixture(scope="package")
def bert(tiny_folder):
    return ls.load(tiny_folder("bert"), device="cpu")


@pytest.fixture(scope="module")
def object_store():
    """An S3-compatible server on loopback, with a bucket; the environment tells this process and others of it."""
    import s3fs

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.1)
        files = s3fs.S3FileSystem()
        files.mkdir("corpora")
        yield files
    finally:
        server.kill()
        server.wait()
        os.environ.clear()
        os.environ.update(before)
